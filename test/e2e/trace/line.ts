/**
 * Three nodes in a row, each in a network namespace of its own: a and b have a LAN with m each, and no way to each other but by the overlay.
 * They find each other by LAN discovery and by what m tells, so there is no server. b has Open vSwitch at its edge, the others tincan's switch.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Peer } from '../../../agent/src/api.ts';
import { nodeFileValue } from '../../../agent/src/config/testing/fixture.ts';
import { generatePrivateKey } from '../../../agent/src/wire/keys.ts';
import { Ovs } from '../../servers/ovs.ts';
import { type Done, program, scratch } from '../evio.ts';
import { copyDist, environment, inside, ok, pidsIn, removeOld, type TermNode, until } from '../terminal/lan.ts';

const PREFIX = 'evio-trace-';
const NAMES = ['a', 'm', 'b'] as const;
type Name = (typeof NAMES)[number];

export class Line {
  readonly nodes: { readonly [name in Name]: TermNode };
  readonly #evio: string;
  readonly #remove: () => void;
  readonly #children = new Map<Name, ChildProcess>();
  readonly #dir: string;
  #ovs: Ovs | undefined;

  private constructor() {
    const place = scratch();
    this.#remove = place.remove;
    this.#dir = place.dir;
    this.#evio = join(place.dir, 'opt', 'evio');
    copyDist(join(place.dir, 'opt'));
    const shared = { authority: generatePrivateKey('ed25519'), notBefore: Math.floor(Date.now() / 1000) - 60 };
    const node = (name: Name, number: number): TermNode => {
      const home = join(place.dir, name);
      mkdirSync(home, { mode: 0o700 });
      const [runDir, file, address] = [join(home, 'run'), join(home, 'node.json'), `10.45.0.${number}`];
      const value = nodeFileValue({ ...shared, name, address: `${address}/16`, serial: BigInt(number) });
      const here = { ice: { stun: [], turn: 'none' }, runDir, stateDir: join(home, 'state') };
      writeFileSync(file, JSON.stringify({ ...value, ...here }), { mode: 0o600 });
      return { name, ns: `${PREFIX}${process.pid}-${name}`, address, file, runDir, log: join(home, 'log') };
    };
    this.nodes = { a: node('a', 1), m: node('m', 2), b: node('b', 3) };
  }

  static async make(): Promise<Line> {
    const line = new Line();
    try {
      await line.#begin();
      return line;
    } catch (error) {
      await line.remove();
      throw error;
    }
  }

  async #begin(): Promise<void> {
    await removeOld(PREFIX);
    const { a, m, b } = this.nodes;
    for (const { ns } of [a, m, b]) {
      await ok('ip', 'netns', 'add', ns);
      await ok('ip', '-n', ns, 'link', 'set', 'lo', 'up');
    }
    for (const [end, number] of [
      [a, 1],
      [b, 2],
    ] as const) {
      await ok(
        'ip',
        '-n',
        end.ns,
        'link',
        'add',
        'eth0',
        'type',
        'veth',
        'peer',
        'name',
        `to-${end.name}`,
        'netns',
        m.ns,
      );
      for (const [ns, link, host] of [
        [end.ns, 'eth0', 1],
        [m.ns, `to-${end.name}`, 2],
      ] as const) {
        await ok('ip', '-n', ns, 'address', 'add', `192.168.${number}.${host}/24`, 'dev', link);
        await ok('ip', '-n', ns, 'link', 'set', link, 'up');
      }
    }
    const ovs = await Ovs.start({ netns: b.ns, within: this.#dir });
    this.#ovs = ovs;
    const value = JSON.parse(readFileSync(b.file, 'utf8')) as object;
    writeFileSync(b.file, JSON.stringify({ ...value, switch: 'ovs', ovs: { runDir: ovs.runDir } }), { mode: 0o600 });
    for (const name of NAMES) this.start(name);
    await this.reached('a', 'm', 'direct');
    await this.reached('b', 'm', 'direct');
    await this.reached('a', 'b', 'via');
    await this.reached('b', 'a', 'via');
  }

  start(name: Name): void {
    const node = this.nodes[name];
    const log = openSync(node.log, 'a', 0o600);
    const args = ['netns', 'exec', node.ns, this.#evio, 'agent', 'run', '--config', node.file];
    this.#children.set(name, spawn('ip', args, { stdio: ['ignore', log, log], env: environment() }));
  }

  /** The agent alone ends: tincan carries frames on. */
  async endAgent(name: Name): Promise<void> {
    const child = this.#children.get(name);
    child?.kill('SIGTERM');
    await until(`the agent of ${name} ends`, 10_000, () => child?.exitCode ?? child?.signalCode ?? undefined);
  }

  /** The command as an administrator of that node gives it. */
  command(name: Name, ...args: readonly string[]): Promise<Done> {
    return inside(this.nodes[name].ns, this.#evio, ...args, '--run-dir', this.nodes[name].runDir);
  }

  nft(name: Name, ...rules: readonly string[]): Promise<Done> {
    return inside(this.nodes[name].ns, 'nft', rules.join('; '));
  }

  log(name: Name): string {
    return readFileSync(this.nodes[name].log, 'utf8');
  }

  async reached(from: Name, to: Name, path: Peer['path']): Promise<void> {
    await until(`${from} reaches ${to}: ${path}`, 30_000, async () => {
      const done = await this.command(from, 'peers', '-o', 'json');
      if (done.code !== 0) return undefined;
      const { peers } = JSON.parse(done.stdout) as { peers: readonly Peer[] };
      return peers.some((peer) => peer.name === to && peer.path === path) || undefined;
    });
  }

  async remove(): Promise<void> {
    await this.#ovs?.stop();
    for (const { ns } of Object.values(this.nodes)) {
      for (const pid of await pidsIn(ns)) process.kill(pid, 'SIGKILL');
      await until(`nothing runs in ${ns}`, 5_000, async () => (await pidsIn(ns)).length === 0 || undefined);
      await program('ip', 'netns', 'delete', ns);
    }
    this.#remove();
  }
}
