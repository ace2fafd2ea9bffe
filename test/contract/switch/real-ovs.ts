/**
 * A real Open vSwitch with a network namespace, a database and a run directory of its own, and one bridge of the userspace datapath
 * (no kernel module is needed). Ports are veths whose other ends are in the namespace too. Needs root.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PORT } from '../../../agent/src/sdn/openflow/index.ts';

const run = promisify(execFile);

const START_MS = 30_000;
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const BRIDGE = 'br-evio';
/** Kernels behind ports speak when they like (MLD, router solicitations), and what leaves a port is counted: they are silenced. */
const QUIET = 'for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done; echo ready; exec cat';

export class RealOvs {
  readonly switchPath: string;
  readonly #dir: string;
  readonly #children: ChildProcess[] = [];

  private constructor(dir: string) {
    this.#dir = dir;
    this.switchPath = join(dir, `${BRIDGE}.mgmt`);
  }

  static async start(mac: string): Promise<RealOvs> {
    const ovs = new RealOvs(mkdtempSync(join(tmpdir(), 'evio-ovs-')));
    try {
      await ovs.#start(mac);
      return ovs;
    } catch (error) {
      await ovs.stop();
      throw error;
    }
  }

  async #start(mac: string): Promise<void> {
    const namespace = spawn('unshare', ['--net', 'sh', '-c', QUIET], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(namespace);
    await new Promise((resolve) => namespace.stdout.once('data', resolve));
    const [database, socket] = [join(this.#dir, 'conf.db'), join(this.#dir, 'db.sock')];
    await run('ovsdb-tool', ['create', database, SCHEMA]);
    this.#spawn('ovsdb-server', [database, `--remote=punix:${socket}`, `--unixctl=${join(this.#dir, 'db.ctl')}`]);
    await appears(socket);
    await this.#vsctl('--no-wait', 'init');
    this.#spawn('ovs-vswitchd', [`unix:${socket}`, `--unixctl=${join(this.#dir, 'vswitchd.ctl')}`]);
    // Without rules of ours the bridge forwards nothing: a learning switch in a cyclic overlay is a broadcast storm.
    const settings = ['datapath_type=netdev', 'fail_mode=secure', `other_config:hwaddr="${mac}"`];
    await this.#vsctl('add-br', BRIDGE, '--', 'set', 'bridge', BRIDGE, ...settings);
    await this.ip('link', 'set', BRIDGE, 'up');
    await appears(this.switchPath);
  }

  /** Adds a port and answers its OpenFlow number: the one that is wished for, or any. */
  async addPort(name: string, wished?: number): Promise<number> {
    await this.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-far`);
    for (const end of [name, `${name}-far`]) await this.ip('link', 'set', end, 'up');
    const request = wished === undefined ? [] : ['--', 'set', 'interface', name, `ofport_request=${wished}`];
    await this.#vsctl('add-port', BRIDGE, name, ...request);
    const number = Number(await this.#vsctl('get', 'interface', name, 'ofport'));
    if (!(number > 0) || number !== (wished ?? number))
      throw new Error(`Open vSwitch does not take ${name} for a port: ${number}`);
    return number;
  }

  /** Takes the carrier of a port away, or gives it back, as tincan does with a tap (TUNSETCARRIER). */
  async carrier(name: string, up: boolean): Promise<void> {
    await this.ip('link', 'set', `${name}-far`, up ? 'up' : 'down');
  }

  /** Gives the kernel behind LOCAL an address. */
  async address(prefix: string): Promise<void> {
    await this.ip('address', 'add', prefix, 'dev', BRIDGE);
  }

  async ip(...args: readonly string[]): Promise<string> {
    return await this.inside('ip', ...args);
  }

  /** What a command says that runs in the namespace of the switch. */
  async inside(command: string, ...args: readonly string[]): Promise<string> {
    const network = `--net=/proc/${this.#children[0]?.pid}/ns/net`;
    const { stdout } = await run('nsenter', [network, command, ...args]);
    return stdout;
  }

  /** The ports a frame would leave by, with `controller` for a packet-in: what `ofproto/trace` ends with. */
  async trace(inPort: number, frame: Buffer): Promise<readonly string[]> {
    const control = join(this.#dir, 'vswitchd.ctl');
    const flow = [`in_port=${inPort === PORT.local ? 'LOCAL' : inPort}`, frame.toString('hex')];
    const { stdout } = await run('ovs-appctl', ['-t', control, 'ofproto/trace', '--names', BRIDGE, ...flow]);
    const actions = /^Datapath actions: (.*)$/m.exec(stdout)?.[1];
    if (actions === undefined) throw new Error(stdout);
    const outputs = actions.replaceAll(/userspace\(pid=\d+,controller\([^)]*\)\)/g, 'controller').split(',');
    return outputs.filter((output) => output !== 'drop').map((output) => (output === BRIDGE ? 'LOCAL' : output));
  }

  /** As somebody would who has a shell. */
  async ofctl(...args: readonly string[]): Promise<string> {
    const [command = '', ...rest] = args;
    const { stdout } = await run('ovs-ofctl', ['-O', 'OpenFlow13', command, `unix:${this.switchPath}`, ...rest]);
    return stdout;
  }

  async #vsctl(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('ovs-vsctl', [`--db=unix:${join(this.#dir, 'db.sock')}`, '--timeout=30', ...args]);
    return stdout.trim();
  }

  #spawn(command: string, args: readonly string[]): void {
    const places = { OVS_RUNDIR: this.#dir, OVS_LOGDIR: this.#dir, OVS_DBDIR: this.#dir };
    const network = `--net=/proc/${this.#children[0]?.pid}/ns/net`;
    // nsenter becomes the command: its process is the one to end.
    const child = spawn('nsenter', [network, command, ...args, '-vconsole:emer'], {
      env: { ...process.env, ...places },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    this.#children.push(child);
  }

  /** The switch first, its namespace last. */
  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await ended;
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

async function appears(path: string): Promise<void> {
  const end = Date.now() + START_MS;
  while (!existsSync(path)) {
    if (Date.now() > end) throw new Error(`${path} does not appear`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
