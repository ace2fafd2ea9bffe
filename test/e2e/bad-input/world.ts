/** What the rows share: a real Prosody, an overlay with nodes on it, and node files. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type FixtureOptions, nodeFileValue } from '../../../agent/src/config/testing/fixture.ts';
import { XmppAdmin } from '../../../agent/src/io/xmpp-admin.ts';
import { type Prosody, startProsody } from '../../servers/prosody.ts';
import { CONFERENCE, DOMAIN } from '../../servers/xmpp-server.ts';
import { EVIO } from './carry-out.ts';
import type { Place } from './row.ts';

type Section = Record<string, unknown>;
export type NodeValue = ReturnType<typeof nodeFileValue> & Section;

/** Long enough that no other text holds it by chance. */
const PASSWORD = 'correct horse battery staple';
export const ROOM = `lab@${CONFERENCE}`;

export class World {
  readonly dir: string;
  readonly mark: string;
  /** Nothing that is said may hold one of these. */
  readonly secrets = new Set<string>([PASSWORD]);
  readonly prosody: Prosody;
  readonly admin: XmppAdmin;
  /** An administrator's file for Prosody, and an overlay on it with node n1. */
  readonly adminFile: string;
  readonly overlay: string;

  private constructor(dir: string, mark: string, prosody: Prosody, admin: XmppAdmin) {
    this.dir = dir;
    this.mark = mark;
    this.prosody = prosody;
    this.admin = admin;
    this.adminFile = join(dir, 'admin.json');
    this.overlay = join(dir, 'overlay');
    this.secrets.add(prosody.admin.password);
  }

  static async make(mark: string): Promise<World> {
    const dir = mkdtempSync(join(tmpdir(), 'evio-bad-'));
    // Prosody's user has to get to what is in it.
    chmodSync(dir, 0o755);
    const prosody = await startProsody();
    const { service, domain, ca, admin: credentials } = prosody;
    const admin = await XmppAdmin.connect({ service, domain, ca, ...credentials });
    const world = new World(dir, mark, prosody, admin);
    await admin.createRoom(ROOM);
    world.write(world.adminFile, world.adminValue());
    await world.evio('overlay', 'create', 'shared', '--server', world.adminFile, '--dir', world.overlay);
    await world.evio('node', 'enroll', 'n1', '--overlay', world.overlay, '--out', join(dir, 'n1.json'));
    return world;
  }

  async end(): Promise<void> {
    this.admin.close();
    await this.prosody.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** A command that has to succeed. */
  async evio(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(EVIO, args);
    return stdout;
  }

  write(path: string, value: unknown, mode = 0o600): string {
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value), { mode });
    return path;
  }

  /** The value of a complete node file, with keys and an overlay of its own; its secrets are watched for. */
  nodeValue(options?: FixtureOptions): NodeValue {
    const value = nodeFileValue(options) as NodeValue;
    for (const secret of [value.identity.key, value.identity.sessionKey, value.signalling.password])
      this.secrets.add(secret);
    return value;
  }

  /**
   * A node file of this row's own, with an account of its own in the room: names of interfaces, directories and its address are like
   * no other row's.
   */
  async node(
    place: Place,
    change: (value: NodeValue) => void = () => undefined,
    options: FixtureOptions = {},
  ): Promise<string> {
    const value = this.nodeValue({ address: `10.45.${place.number}.1/16`, ...options });
    const username = `row${place.number}`;
    await this.admin.addUser(username, PASSWORD);
    await this.admin.addMember(ROOM, username);
    Object.assign(value.signalling, {
      ...{
        service: this.prosody.service,
        domain: DOMAIN,
        username,
        password: PASSWORD,
        room: ROOM,
        ca: this.prosody.ca,
      },
    });
    Object.assign(value, {
      ice: { stun: [], turn: 'none' },
      network: { bridge: place.bridge, tap: place.tap, lan: false },
      runDir: place.path('run'),
      stateDir: place.path('state'),
    });
    change(value);
    return this.write(place.path('node.json'), value);
  }

  /** An administrator's file. */
  adminValue(change: { readonly service?: string; readonly password?: string } = {}): object {
    const { service, domain, ca, admin } = this.prosody;
    if (change.password !== undefined) this.secrets.add(change.password);
    return { apiVersion: 'evio-admin/1', service, domain, ca, ...admin, conference: CONFERENCE, stun: [], ...change };
  }

  /** The directory of the shared overlay, for one row alone. */
  copyOverlay(place: Place): string {
    cpSync(this.overlay, place.path('overlay'), { recursive: true });
    return place.path('overlay');
  }

  /** To nobody. */
  giveAway(path: string): void {
    chownSync(path, 65_534, 65_534);
  }

  valueOf(file: string): NodeValue {
    return JSON.parse(readFileSync(file, 'utf8')) as NodeValue;
  }

  /** An agent beside the one a row is about. */
  async runAgent(file: string, runDir: string): Promise<{ readonly pid: number; end(): Promise<void> }> {
    const child = spawn(EVIO, ['agent', 'run', '--config', file], { stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = once(child, 'exit');
    let log = '';
    child.stdout.on('data', (data: Buffer) => {
      log += data.toString();
    });
    const up = () => log.includes('carries the frames') && existsSync(join(runDir, 'agent.sock'));
    for (let i = 0; i < 400 && !up(); i++) await sleep(25);
    if (!up()) throw new Error(`the other agent did not start: ${log}`);
    return {
      pid: child.pid ?? 0,
      async end() {
        child.kill('SIGINT');
        await ended;
      },
    };
  }

  /** An empty directory of a row's own. */
  directory(place: Place, name: string, mode = 0o700): string {
    mkdirSync(place.path(name), { mode });
    return place.path(name);
  }
}
