/**
 * A private Open vSwitch: its own database, sockets and logs in a directory of its own, and a network namespace of its own (or a given
 * one), so that its bridges and taps meet nobody else's. Both daemons run in the foreground and are ended by their process ids.
 *
 *     const ovs = await Ovs.start();
 *     ovs.tap('t1');
 *     ... ovs.socket, ovs.runDir, ovs.vsctl('add-br', 'br9') ...
 *     await ovs.stop();
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const START_TIMEOUT_MS = 15_000;

/** Those that run, for the case that the tests end without ending them. */
const running = new Set<Ovs>();
process.on('exit', () => {
  for (const ovs of running) ovs.abandon();
});

export interface OvsOptions {
  /** The database is on a file system of so many bytes. */
  readonly diskBytes?: number;
  /** TCP offload is asked for before ovs-vswitchd starts, as an installation should. */
  readonly offload?: boolean;
  /** A network namespace that is there already, and stays. */
  readonly netns?: string;
  /** Where its directory is made, instead of the system's for temporary files. */
  readonly within?: string;
}

export class Ovs {
  readonly directory: string;
  readonly netns: string;
  /** Where the database is. */
  readonly disk: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #offload: boolean;
  readonly #ownNetns: boolean;
  #mounted = false;
  #server: ChildProcess | undefined;
  #vswitchd: ChildProcess | undefined;

  private constructor(directory: string, options: OvsOptions) {
    this.directory = directory;
    this.netns = options.netns ?? `ovs-${directory.slice(-6)}`;
    this.#ownNetns = options.netns === undefined;
    this.disk = join(directory, 'disk');
    this.#offload = options.offload ?? true;
    const of = { OVS_RUNDIR: directory, OVS_LOGDIR: directory, OVS_DBDIR: directory, OVS_SYSCONFDIR: directory };
    this.#env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...of };
    execFileSync('mkdir', [this.disk]);
    running.add(this);
    if (options.diskBytes !== undefined) {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${options.diskBytes}`, 'evio-ovs', this.disk]);
      this.#mounted = true;
    }
    if (this.#ownNetns) this.#run('ip', ['netns', 'add', this.netns]);
  }

  static async start(options: OvsOptions = {}): Promise<Ovs> {
    const ovs = new Ovs(mkdtempSync(join(options.within ?? tmpdir(), 'evio-ovs-')), options);
    try {
      await ovs.startServer();
      await ovs.startVswitchd();
    } catch (error) {
      await ovs.stop();
      throw error;
    }
    return ovs;
  }

  get runDir(): string {
    return this.directory;
  }

  get socket(): string {
    return join(this.directory, 'db.sock');
  }

  get #database(): string {
    return join(this.disk, 'conf.db');
  }

  /** With an empty database where there is none. */
  async startServer(): Promise<void> {
    const fresh = !existsSync(this.#database);
    if (fresh) this.#run('ovsdb-tool', ['create', this.#database, SCHEMA]);
    const args = [this.#database, `--remote=punix:${this.socket}`, ...this.#common('ovsdb-server')];
    this.#server = this.#spawn('ovsdb-server', args);
    await this.#until('ovsdb-server', this.#server, () => this.#answers());
    if (!fresh) return;
    this.vsctl('--no-wait', 'init');
    if (this.#offload) this.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', 'other_config:userspace-tso-enable=true');
  }

  async startVswitchd(): Promise<void> {
    const args = [`unix:${this.socket}`, ...this.#common('ovs-vswitchd')];
    const child = this.#spawn('ovs-vswitchd', args);
    this.#vswitchd = child;
    await this.#until('ovs-vswitchd', child, () => existsSync(join(this.directory, 'ovs-vswitchd.ctl')));
  }

  /** As one process: "ip netns exec" becomes what it runs. */
  #spawn(daemon: string, args: readonly string[]): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.netns, daemon, ...args], { stdio: 'ignore', env: this.#env });
  }

  get pids(): readonly number[] {
    return [this.#server, this.#vswitchd].flatMap((child) => child?.pid ?? []);
  }

  async killServer(): Promise<void> {
    await end(this.#server, 'SIGKILL');
    // A killed one leaves its sockets.
    rmSync(this.socket, { force: true });
  }

  async killVswitchd(): Promise<void> {
    await end(this.#vswitchd, 'SIGKILL');
    rmSync(join(this.directory, 'ovs-vswitchd.ctl'), { force: true });
  }

  /** As after somebody removed the file. The server has to be away. */
  emptyDatabase(): void {
    rmSync(this.#database);
  }

  vsctl(...args: readonly string[]): string {
    return this.#run('ovs-vsctl', [`--db=unix:${this.socket}`, '--timeout=10', ...args]);
  }

  /** What OpenFlow calls the ports of a bridge: lines of `ovs-ofctl show`. */
  openflow(bridge: string): string {
    return this.#run('ovs-ofctl', ['-O', 'OpenFlow13', 'show', `unix:${join(this.directory, `${bridge}.mgmt`)}`]);
  }

  /** A tap in the namespace, as tincan makes one. */
  tap(name: string): void {
    this.ip('tuntap', 'add', name, 'mode', 'tap');
    this.ip('link', 'set', name, 'up');
  }

  ip(...args: readonly string[]): string {
    return this.#run('ip', ['-n', this.netns, ...args]);
  }

  log(daemon: 'ovsdb-server' | 'ovs-vswitchd'): string {
    const path = join(this.directory, `${daemon}.log`);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  async stop(): Promise<void> {
    await end(this.#vswitchd, 'SIGTERM');
    await end(this.#server, 'SIGTERM');
    this.#remove();
  }

  /** At once, from an `exit` handler. */
  abandon(): void {
    this.#vswitchd?.kill('SIGKILL');
    this.#server?.kill('SIGKILL');
    this.#remove();
  }

  /** It outlives this process; whoever removes it finds its daemons in their namespace. */
  leave(): void {
    running.delete(this);
    for (const child of [this.#server, this.#vswitchd]) child?.unref();
  }

  /** Taps go with their namespace. */
  #remove(): void {
    running.delete(this);
    if (this.#ownNetns) this.#quietly('ip', ['netns', 'del', this.netns]);
    // Lazily: who was killed may not have let go of it yet.
    if (this.#mounted) this.#quietly('umount', ['-l', this.disk]);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #common(daemon: string): readonly string[] {
    const [log, ctl] = [join(this.directory, `${daemon}.log`), join(this.directory, `${daemon}.ctl`)];
    return [`--unixctl=${ctl}`, `--log-file=${log}`, '--no-chdir'];
  }

  #answers(): boolean {
    if (!existsSync(this.socket)) return false;
    return this.#quietly('ovsdb-client', ['--timeout=5', 'list-dbs', `unix:${this.socket}`]);
  }

  async #until(name: 'ovsdb-server' | 'ovs-vswitchd', child: ChildProcess, ready: () => boolean): Promise<void> {
    const until = Date.now() + START_TIMEOUT_MS;
    while (!ready()) {
      if (ended(child) || Date.now() > until) throw new Error(`${name} did not start:\n${this.log(name)}`);
      await sleep(20);
    }
  }

  #run(command: string, args: readonly string[]): string {
    return execFileSync(command, args, {
      encoding: 'utf8',
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 10_000,
    });
  }

  #quietly(command: string, args: readonly string[]): boolean {
    try {
      this.#run(command, args);
      return true;
    } catch {
      return false;
    }
  }
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || ended(child)) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const late = sleep(5_000, undefined, { ref: false }).then(() => child.kill('SIGKILL'));
  await Promise.race([exited, late]);
  await exited;
}
