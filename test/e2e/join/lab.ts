/**
 * A server, an authority and two machines, each in a network namespace of its own on one network: real Prosody or ejabberd, as
 * `evio server init` sets them up. To the authority nothing comes from outside that it did not begin.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '../../../agent/src/io/atomic-file.ts';
import { type Certificate, encodeCertificate, verifyCertificate } from '../../../agent/src/wire/certificate.ts';
import { rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { fromBase64 } from '../../../agent/src/wire/reader.ts';
import { verifyRevocations } from '../../../agent/src/wire/revocations.ts';
import { OverlayDirectory } from '../../../cli/src/overlay/book.ts';
import type { XmppName } from '../../../cli/src/server/settings.ts';
import { answered, type Done, program, scratch } from '../evio.ts';
import { copyDist, ended, environment, inside, ok, pidsIn, until } from '../terminal/lan.ts';

export const DOMAIN = 'evio.example';
const SERVER = '192.0.2.1';
const NAMES = ['server', 'authority', 'a', 'b'] as const;
export type Name = (typeof NAMES)[number];

export interface Machine {
  readonly name: Name;
  readonly ns: string;
  readonly file: string;
  readonly runDir: string;
  readonly stateDir: string;
}

export class Lab {
  readonly dir: string;
  /** The overlay's directory, at the authority. */
  readonly overlay: string;
  readonly evio: string;
  readonly #remove: () => void;
  readonly #children: ChildProcess[] = [];
  #serving: ChildProcess | undefined;
  /** What `evio authority serve` has said so far. */
  log = '';

  private constructor() {
    const place = scratch();
    this.dir = place.dir;
    this.#remove = place.remove;
    this.overlay = join(this.dir, 'lab');
    this.evio = join(this.dir, 'opt', 'evio');
  }

  static async make(xmpp: XmppName): Promise<Lab> {
    const lab = new Lab();
    try {
      copyDist(join(lab.dir, 'opt'));
      await lab.#network();
      const address = ['--domain', DOMAIN, '--address', SERVER];
      await lab.ok('server', 'server', 'init', ...address, '--xmpp', xmpp, '--dir', lab.server, '--foreground');
      await lab.#run('server', [`${xmpp}: ready`, 'coturn: ready'], 'server', 'run', '--dir', lab.server);
      const admin = join(lab.server, 'admin.json');
      await lab.ok('authority', 'overlay', 'create', 'lab', '--server', admin, '--dir', lab.overlay);
      return lab;
    } catch (error) {
      await lab.remove();
      throw error;
    }
  }

  get server(): string {
    return join(this.dir, 'server');
  }

  ns(name: Name): string {
    return `evio-join-${process.pid}-${name}`;
  }

  machine(name: 'a' | 'b'): Machine {
    const home = join(this.dir, name);
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const [file, runDir, stateDir] = ['node.json', 'run', 'state'].map((one) => join(home, one)) as [
      string,
      string,
      string,
    ];
    return { name, ns: this.ns(name), file, runDir, stateDir };
  }

  async #network(): Promise<void> {
    for (const name of NAMES) {
      await ok('ip', 'netns', 'add', this.ns(name));
      await ok('ip', '-n', this.ns(name), 'link', 'set', 'lo', 'up');
    }
    const bridge = this.ns('server');
    await ok('ip', '-n', bridge, 'link', 'add', 'net', 'type', 'bridge');
    await ok('ip', '-n', bridge, 'address', 'add', `${SERVER}/24`, 'dev', 'net');
    await ok('ip', '-n', bridge, 'link', 'set', 'net', 'up');
    for (const [i, name] of (['authority', 'a', 'b'] as const).entries()) {
      const ns = this.ns(name);
      await ok('ip', '-n', bridge, 'link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns);
      await ok('ip', '-n', bridge, 'link', 'set', `to-${name}`, 'master', 'net', 'up');
      await ok('ip', '-n', ns, 'address', 'add', `192.0.2.${i + 2}/24`, 'dev', 'eth0');
      await ok('ip', '-n', ns, 'link', 'set', 'eth0', 'up');
    }
    const nft = (...command: readonly string[]) => ok('ip', 'netns', 'exec', this.ns('authority'), 'nft', ...command);
    await nft('add table ip closed');
    await nft('add chain ip closed in { type filter hook input priority 0; policy drop; }');
    await nft('add rule ip closed in ct state established,related accept');
    await nft('add rule ip closed in iif lo accept');
  }

  // ---- commands ------------------------------------------------------------------------------------------------------

  command(name: Name, ...args: readonly string[]): Promise<Done> {
    return inside(this.ns(name), this.evio, ...args);
  }

  async ok(name: Name, ...args: readonly string[]): Promise<string> {
    const done = await this.command(name, ...args);
    if (done.code !== 0) throw new Error(`evio ${args.join(' ')}: exit code ${done.code}: ${done.stderr}`);
    return done.stdout;
  }

  async token(...more: readonly string[]): Promise<string> {
    return (await this.ok('authority', 'token', 'create', '--overlay', this.overlay, ...more)).trim();
  }

  join({ name, file, runDir, stateDir }: Machine, token: string, ...more: readonly string[]): Promise<Done> {
    const places = ['--config', file, '--run-dir', runDir, '--state-dir', stateDir];
    const named = more.includes('--name') ? [] : ['--name', name];
    return this.command(name, 'join', token, ...places, ...named, ...more);
  }

  async joined(machine: Machine, token: string, ...more: readonly string[]): Promise<string> {
    const done = await this.join(machine, token, ...more);
    if (done.code !== 0) throw new Error(`${machine.name} did not join: ${done.stderr}`);
    return done.stdout;
  }

  /** A process that goes on until the lab is removed. */
  async #run(name: Name, ready: readonly string[], ...args: readonly string[]): Promise<ChildProcess> {
    const child = spawn('ip', ['netns', 'exec', this.ns(name), this.evio, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment(),
    });
    this.#children.push(child);
    let said = '';
    const hear = (data: Buffer): void => {
      said += data.toString();
      if (args[0] === 'authority') this.log += data.toString();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    await until(`evio ${args.join(' ')} is ready`, 25_000, () => {
      if (child.exitCode !== null) throw new Error(`evio ${args.join(' ')} ended: ${said}`);
      return ready.every((words) => said.includes(words)) || undefined;
    });
    return child;
  }

  async serve(): Promise<void> {
    this.#serving = await this.#run(
      'authority',
      ['answers for overlay'],
      'authority',
      'serve',
      '--overlay',
      this.overlay,
    );
  }

  async endServing(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    const child = this.#serving;
    this.#serving = undefined;
    if (child === undefined) return 'not serving';
    child.kill(signal);
    return ended(child);
  }

  /** The agent of a machine that has joined, until it is told to end. */
  async run({ name, file }: Machine): Promise<void> {
    await this.#run(name, ['carries the frames'], 'agent', 'run', '--config', file);
  }

  /** The tincan of a machine, by its agent; undefined while that does not answer. */
  async tincanOf({ name, runDir }: Machine): Promise<{ readonly pid: number } | undefined> {
    const done = await this.command(name, 'status', '--run-dir', runDir, '-o', 'json');
    try {
      return answered(done).tincan ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** Node ids on the revocation list that a machine remembers. */
  revokedAt({ stateDir }: Machine): readonly string[] {
    const { revocations } = JSON.parse(readIfThere(join(stateDir, 'members.json')) ?? '{"revocations":null}');
    return revocations === null
      ? []
      : verifyRevocations(fromBase64(revocations), this.#authorityKey).revoked.map(({ nodeId }) => nodeId);
  }

  get #authority(): KeyObject {
    return new OverlayDirectory(this.overlay).authority();
  }

  get #authorityKey(): Buffer {
    return rawPublicKey(this.#authority);
  }

  /** Makes a machine's certificate one of `life` seconds, of which `over` have gone by; gives it. */
  aged({ file }: Machine, life: number, over: number): Certificate {
    const value = JSON.parse(readFileSync(file, 'utf8'));
    const before = verifyCertificate(fromBase64(value.identity.certificate), this.#authorityKey);
    const notBefore = before.notBefore - over;
    const aged = encodeCertificate({ ...before, notBefore, notAfter: notBefore + life }, this.#authority);
    value.identity.certificate = aged.toString('base64');
    writeFileSync(file, JSON.stringify(value), { mode: 0o600 });
    return verifyCertificate(aged, this.#authorityKey);
  }

  /** Accounts of the server, by its own files (Prosody). */
  hasAccount(username: string): boolean {
    const file = join(
      this.server,
      'prosody',
      'data',
      DOMAIN.replaceAll('.', '%2e'),
      'accounts',
      `${username.replaceAll('-', '%2d').replaceAll('.', '%2e')}.dat`,
    );
    return existsSync(file);
  }

  /** No process, no interface, no file of a machine. */
  async clear(machine: Machine): Promise<void> {
    for (const pid of await pidsIn(machine.ns)) kill(pid);
    await until(
      `nothing runs in ${machine.ns}`,
      5_000,
      async () => (await pidsIn(machine.ns)).length === 0 || undefined,
    );
    for (const link of ['evio0', 'evio0-tap']) await program('ip', '-n', machine.ns, 'link', 'delete', link);
    rmSync(join(this.dir, machine.name), { recursive: true, force: true });
  }

  async remove(): Promise<void> {
    for (const child of this.#children) child.kill('SIGTERM');
    await Promise.all(this.#children.map((child) => ended(child).catch(() => child.kill('SIGKILL'))));
    for (const name of NAMES) {
      const ns = this.ns(name);
      for (const pid of await pidsIn(ns)) kill(pid);
      await program('ip', 'netns', 'delete', ns);
    }
    this.#remove();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}
