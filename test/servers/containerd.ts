/**
 * A private containerd: its state in a directory of its own, its containers' cgroups under a name of its own. What Kubernetes would ask
 * it by is left out; `ctr` is what runs containers here.
 *
 *     const containerd = await Containerd.start('evio-images');
 *     containerd.ctr('images', 'import', archive);
 *     ... containerd.arguments('run', '--rm', image, 'name') for spawn('ctr', ...) ...
 *     await containerd.stop();
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const CGROUPS = '/sys/fs/cgroup';
const READY_MS = 60_000;

export class Containerd {
  readonly folder: string;
  /** Of containerd; runc names a cgroup after it. */
  readonly #namespace: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, namespace: string) {
    this.folder = folder;
    this.#namespace = namespace;
    const config = `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${this.#address}"
`;
    writeFileSync(join(folder, 'config.toml'), config);
    const command = ['containerd', '--config', join(folder, 'config.toml')];
    this.#process = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...command], { stdio: 'ignore' });
  }

  /** `name` begins the names of its directory and of its cgroup. */
  static async start(name: string): Promise<Containerd> {
    const containerd = new Containerd(mkdtempSync(join(tmpdir(), `${name}-`)), `${name}-${process.pid}`);
    for (const end = performance.now() + READY_MS; ; await sleep(100)) {
      if (spawnSync('ctr', ['--address', containerd.#address, 'version']).status === 0) return containerd;
      if (performance.now() < end) continue;
      await containerd.stop();
      throw new Error('containerd does not answer');
    }
  }

  get #address(): string {
    return join(this.folder, 'containerd.sock');
  }

  /** Of `ctr`, for this containerd. */
  arguments(...args: readonly string[]): readonly string[] {
    return ['--address', this.#address, '--namespace', this.#namespace, ...args];
  }

  ctr(...args: readonly string[]): string {
    return execFileSync('ctr', this.arguments(...args), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Containers have ended before. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      await ended;
    }
    for (const place of [CGROUPS, ...readdirSync(CGROUPS).map((name) => join(CGROUPS, name))]) {
      const cgroup = join(place, this.#namespace);
      if (existsSync(cgroup)) rmdirSync(cgroup);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
