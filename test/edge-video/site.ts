/** Three hosts of one overlay on the demo's internet, without Kubernetes, and what runs on them. */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Peer } from '../../agent/src/api.ts';
import { build, takeDown } from '../demo/internet.ts';
import { giveLock, takeLock } from '../demo/lock.ts';
import { createOverlay, enrolNode, type Joined, type Server, startAgent, startServer } from '../demo/overlay.ts';
import { attempt, FOLDER, start, until } from '../demo/shell.ts';
import { Containerd } from '../servers/containerd.ts';
import { Service } from './service.ts';

const ARCHIVE = '.cache/examples/edge-video.tar';
const EXAMPLE = resolve('examples/edge-video/edge-video.mjs');
const FRAMES_FILE = '/tmp/frames';
/** In its container a node has the places that its file need not name. */
const USUAL_PLACES = { runDir: undefined, stateDir: undefined };

export class Site {
  readonly #dir: string;
  readonly #containerd: Containerd;
  readonly #server: Server;
  readonly #services: Service[] = [];
  readonly #children: ChildProcess[] = [];
  /** Behind a NAT of its own, with Evio and the camera as programs of the host. */
  readonly home: Joined;
  /** Behind two NATs that take a port of their own for each destination; in containers. */
  readonly mobile: Joined;
  /** Behind the NAT of its cloud; in containers. */
  readonly cloud: Joined;
  #cloudNode: Service | undefined;
  #analysis: Service | undefined;
  #from = 0;

  private constructor(dir: string, containerd: Containerd, server: Server, nodes: readonly [Joined, Joined, Joined]) {
    this.#dir = dir;
    this.#containerd = containerd;
    this.#server = server;
    [this.home, this.mobile, this.cloud] = nodes;
  }

  /** One at a time; what a run before has left goes first. */
  static async make(): Promise<Site> {
    if (!existsSync(ARCHIVE)) throw new Error(`there is no ${ARCHIVE}; run: hack/examples.sh`);
    takeLock('mocha');
    await takeDown();
    const dir = mkdtempSync(join(tmpdir(), FOLDER));
    // The servers run as their own users and have to get through to their folders; those are closed by themselves.
    chmodSync(dir, 0o711);
    const containerd = await Containerd.start('evio-video');
    try {
      containerd.ctr('images', 'import', ARCHIVE);
      await build();
      const server = await startServer(join(dir, 'server'));
      const overlay = await createOverlay(server, 'video', dir, []);
      const enrol = async (name: string, keys: object): Promise<Joined> => {
        const node = await enrolNode(overlay, name, join(dir, 'nodes', name), { keys });
        copyFileSync(node.config, join(dirname(node.config), 'node.json'));
        return node;
      };
      const home = await enrol('home1', {});
      return new Site(dir, containerd, server, [
        home,
        await enrol('lte1', USUAL_PLACES),
        await enrol('home2', USUAL_PLACES),
      ]);
    } catch (error) {
      await containerd.stop();
      await takeDown();
      giveLock();
      throw error;
    }
  }

  async remove(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop()));
    for (const child of this.#children) child.kill('SIGKILL');
    await this.#containerd.stop();
    this.#server.process.kill('SIGTERM');
    await takeDown();
    rmSync(this.#dir, { recursive: true, force: true });
    giveLock();
  }

  #service(node: Joined, name: string, env: Readonly<Record<string, string>> = {}): Service {
    const service = new Service(this.#containerd, node, name, env);
    this.#services.push(service);
    return service;
  }

  // ---- what is started -----------------------------------------------------------------------------------------------

  startHome(): void {
    const log = join(dirname(this.home.config), 'camera.log');
    const camera = ['env', `CAMERA_NAME=${this.home.name}`, process.execPath, EXAMPLE, 'camera'];
    this.#children.push(startAgent(this.home), start(this.home.name, log, ...camera));
  }

  startMobile(): void {
    this.#service(this.mobile, 'evio');
    this.startCamera(this.mobile, this.mobile.name);
  }

  startCloud(): void {
    this.#cloudNode = this.#service(this.cloud, 'evio');
  }

  startAnalysis(): void {
    this.#analysis = this.#service(this.cloud, 'analysis', { ANALYSIS_FRAMES: FRAMES_FILE });
  }

  startCamera(node: Joined, name: string): Service {
    return this.#service(node, 'camera', { CAMERA_NAME: name });
  }

  get cloudNode(): Service {
    return this.#cloudNode ?? notYet();
  }

  get analysis(): Service {
    return this.#analysis ?? notYet();
  }

  // ---- what is seen --------------------------------------------------------------------------------------------------

  async reaches(from: Joined, to: Joined): Promise<void> {
    await until(`${to.name} answers ${from.name}`, 60_000, async () => {
      const done = await attempt(from.name, ['ping', '-n', '-q', '-c', '1', '-W', '1', to.ipv4]);
      return done.code === 0;
    });
  }

  /** What the cloud's node says of a member. */
  peer(node: Joined): Peer | undefined {
    const said = JSON.parse(this.cloudNode.exec('evio', 'peers', '-o', 'json')) as { readonly peers: readonly Peer[] };
    return said.peers.find(({ id }) => id === node.id);
  }

  /** What the analysis has said since `fromNow`. */
  #said(): string {
    return this.analysis.said().slice(this.#from);
  }

  /** What the analysis has said up to now is not looked at any more. */
  fromNow(): void {
    this.#from = this.analysis.said().length;
  }

  /** Waits for a line of the analysis. */
  analysisSays(what: string, pattern: RegExp): Promise<RegExpMatchArray> {
    return until(`the analysis says ${what}`, 60_000, async () => pattern.exec(this.#said()) ?? undefined);
  }

  async found(camera: string): Promise<{ readonly url: string; readonly seconds: number }> {
    const line = new RegExp(`found camera="${camera}" url=(\\S+) seconds=(\\S+)`);
    const [, url = '', seconds] = await this.analysisSays(`that it found ${camera}`, line);
    return { url, seconds: Number(seconds) };
  }

  /** The figures of a camera that the analysis gave last. */
  report(camera: string): Readonly<Record<string, number>> | undefined {
    const start = `camera="${camera}" frames=`;
    const lines = this.#said().split('\n').slice(0, -1);
    const line = lines.findLast((one) => one.startsWith(start));
    if (line === undefined) return undefined;
    return Object.fromEntries([...line.matchAll(/ (\w+)=([\d.]+)/g)].map(([, key, value]) => [key, Number(value)]));
  }

  async pictures(camera: string, count: number): Promise<void> {
    await until(`${count} pictures of ${camera}`, 60_000, async () => (this.report(camera)?.frames ?? 0) >= count);
  }

  /** Every picture of a camera that the analysis decoded: its time in the stream, and its checksum. */
  seen(camera: string): readonly string[] {
    const lines = this.analysis.exec('cat', FRAMES_FILE).split('\n');
    return lines.filter((line) => line.endsWith(` ${camera}`)).map((line) => line.slice(0, -camera.length - 1));
  }
}

function notYet(): never {
  throw new Error('it was not started yet');
}
