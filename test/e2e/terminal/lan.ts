/**
 * Two nodes on one LAN, each in a network namespace of its own, as `evio agent run` runs them from a folder with what is shipped. They
 * find each other by LAN discovery, so there is no server.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Peer, Status } from '../../../agent/src/api.ts';
import { nodeFileValue } from '../../../agent/src/config/testing/fixture.ts';
import { generatePrivateKey } from '../../../agent/src/wire/keys.ts';
import { alive } from '../../alive.ts';
import { ANSWER_MS, fping, lost, PING_EVERY_MS, parseFping, trimmed } from '../../demo/ping.ts';
import { answered, type Done, program, scratch } from '../evio.ts';

const DIST = resolve(import.meta.dirname, '../../../dist');
const PREFIX = 'evio-term-';

/** Other tests start their servers on this machine: theirs are not ours to end. */
const namespace = (name: string): string => `${PREFIX}${process.pid}-${name}`;

export interface TermNode {
  readonly name: string;
  readonly ns: string;
  readonly address: string;
  readonly file: string;
  readonly runDir: string;
  readonly log: string;
}

export class Lan {
  readonly dir: string;
  /** The folder that an administrator would copy to a node. */
  readonly dist: string;
  readonly a: TermNode;
  readonly b: TermNode;
  /** Admits further nodes, or these with other papers. */
  readonly authority: KeyObject = generatePrivateKey('ed25519');
  readonly #remove: () => void;

  private constructor() {
    const place = scratch();
    this.dir = place.dir;
    this.#remove = place.remove;
    this.dist = join(this.dir, 'opt');
    const shared = { authority: this.authority, notBefore: Math.floor(Date.now() / 1000) - 60 };
    const node = (name: string, number: number): TermNode => {
      const home = join(this.dir, name);
      mkdirSync(home, { mode: 0o700 });
      const [runDir, file, address] = [join(home, 'run'), join(home, 'node.json'), `10.45.0.${number}`];
      const value = nodeFileValue({ ...shared, name, address: `${address}/16`, serial: BigInt(number) });
      const here = { ice: { stun: [], turn: 'none' }, runDir, stateDir: join(home, 'state') };
      writeFileSync(file, JSON.stringify({ ...value, ...here }), { mode: 0o600 });
      return { name, ns: namespace(name), address, file, runDir, log: join(home, 'log') };
    };
    this.a = node('a', 1);
    this.b = node('b', 2);
  }

  static async make(): Promise<Lan> {
    if (!existsSync(join(DIST, 'tincan'))) throw new Error('dist/ has no tincan: run make build first');
    await removeOld(PREFIX);
    const lan = new Lan();
    copyDist(lan.dist);
    const [a, b] = [lan.a.ns, lan.b.ns];
    for (const ns of [a, b]) {
      await ok('ip', 'netns', 'add', ns);
      await ok('ip', '-n', ns, 'link', 'set', 'lo', 'up');
    }
    await ok('ip', '-n', a, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b);
    for (const [ns, address] of [
      [a, '192.168.7.1/24'],
      [b, '192.168.7.2/24'],
    ] as const) {
      await ok('ip', '-n', ns, 'address', 'add', address, 'dev', 'eth0');
      await ok('ip', '-n', ns, 'link', 'set', 'eth0', 'up');
    }
    return lan;
  }

  get evio(): string {
    return join(this.dist, 'evio');
  }

  /** The command as an administrator of that node gives it. */
  command(node: TermNode, ...args: readonly string[]): Promise<Done> {
    return inside(node.ns, this.evio, ...args);
  }

  /** The agent as a service manager would start it, its words in a file. */
  start(node: TermNode): ChildProcess {
    const log = openSync(node.log, 'a', 0o600);
    return spawn('ip', ['netns', 'exec', node.ns, this.evio, 'agent', 'run', '--config', node.file], {
      stdio: ['ignore', log, log],
      env: environment(),
    });
  }

  logOf(node: TermNode): string {
    return existsSync(node.log) ? readFileSync(node.log, 'utf8') : '';
  }

  async status(node: TermNode): Promise<Status> {
    const done = await this.command(node, 'status', '--run-dir', node.runDir, '-o', 'json');
    return answered(done);
  }

  /** The agent answers and its tincan carries frames. */
  running(node: TermNode): Promise<Status> {
    return until(`${node.name} runs`, 10_000, async () => {
      const status = await this.status(node).catch(() => undefined);
      return status?.tincan === null ? undefined : status;
    });
  }

  async joined(): Promise<void> {
    for (const [one, other] of [
      [this.a, this.b],
      [this.b, this.a],
    ] as const)
      await until(`${one.name} reaches ${other.name} directly`, 20_000, async () => {
        const done = await this.command(one, 'peers', '--run-dir', one.runDir, '-o', 'json');
        if (done.code !== 0) return undefined;
        const { peers } = JSON.parse(done.stdout) as { peers: readonly Peer[] };
        return peers.some((peer) => peer.name === other.name && peer.path === 'direct') || undefined;
      });
  }

  /** By how the name of the program begins, as this machine counts. */
  async pidsOf(node: TermNode, name: string): Promise<readonly number[]> {
    return (await pidsIn(node.ns)).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith(name));
  }

  /** No process, no interface, no socket of that node. */
  async clear(node: TermNode): Promise<void> {
    for (const pid of await pidsIn(node.ns)) kill(pid);
    await until(`nothing runs in ${node.ns}`, 5_000, async () => (await pidsIn(node.ns)).length === 0 || undefined);
    for (const link of ['evio0', 'evio-tap']) await program('ip', '-n', node.ns, 'link', 'delete', link);
    rmSync(node.runDir, { recursive: true, force: true });
    rmSync(node.log, { force: true });
  }

  async remove(): Promise<void> {
    for (const node of [this.a, this.b]) {
      await this.clear(node);
      await program('ip', 'netns', 'delete', node.ns);
    }
    this.#remove();
  }
}

export const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
});

/** As a copy over what is there, file by file by renaming, as packages are installed. */
export function copyDist(to: string, change: (text: string) => string = (text) => text): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(DIST).filter((one) => one !== 'node')) {
    const target = join(to, name);
    rmSync(target, { force: true });
    cpSync(join(DIST, name), target);
    if (/\.mjs$/.test(name)) writeFileSync(target, change(readFileSync(target, 'utf8')));
  }
}

export const inside = (ns: string, ...command: readonly string[]): Promise<Done> =>
  program('env', `PATH=${environment().PATH}`, 'ip', 'netns', 'exec', ns, ...command);

export async function ok(...command: readonly [string, ...string[]]): Promise<string> {
  const done = await program(...command);
  if (done.code !== 0) throw new Error(`${command.join(' ')}: exit code ${done.code}: ${done.stderr}`);
  return done.stdout;
}

export async function until<T>(
  what: string,
  withinMs: number,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${withinMs} ms`);
    await sleep(50);
  }
}

/** The exit code, or the signal, of a child within the time. */
export function ended(child: ChildProcess, withinMs = 8_000): Promise<number | string> {
  return until('the process ends', withinMs, () => child.exitCode ?? child.signalCode ?? undefined);
}

/** Who holds the lock of tincan, by what it wrote there. */
export const tincanPid = (node: TermNode): number => Number(readFileSync(join(node.runDir, 'tincan.lock'), 'utf8'));

export const hasLink = async (node: TermNode, link = 'evio0'): Promise<boolean> =>
  (await program('ip', '-n', node.ns, 'link', 'show', link)).code === 0;

export async function pidsIn(ns: string): Promise<readonly number[]> {
  const done = await program('ip', 'netns', 'pids', ns);
  return done.stdout.split('\n').filter(Boolean).map(Number).filter(alive);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

/** What a test that was killed has left: namespaces named by the prefix and its pid. */
export async function removeOld(prefix: string): Promise<void> {
  const list = (await program('ip', 'netns', 'list')).stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  for (const ns of list) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(ns)?.[1];
    if (pid === undefined || alive(Number(pid))) continue;
    for (const left of await pidsIn(ns)) kill(left);
    await program('ip', 'netns', 'delete', ns);
  }
}

/** Pings 100 times a second while something happens; gives what was sent and what was lost. */
export async function pinging(
  from: TermNode,
  to: TermNode,
  what: () => Promise<void>,
): Promise<{ readonly sent: number; readonly lost: number }> {
  const child = spawn('ip', ['netns', 'exec', from.ns, ...fping([to.address], PING_EVERY_MS)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let errors = '';
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString();
  });
  const closed = new Promise((done) => child.on('close', done));
  try {
    await sleep(300);
    await what();
    await sleep(ANSWER_MS);
  } finally {
    child.kill('SIGINT');
    await closed;
  }
  const whole = parseFping(`${text}\n${errors}`).get(to.address);
  if (whole === undefined) throw new Error(`fping said: ${text}${errors}`);
  const run = trimmed(whole);
  return { sent: run.sent, lost: lost(run) };
}
