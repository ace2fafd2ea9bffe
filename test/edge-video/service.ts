/** A service of the example's compose file on a host of the demo's internet, in containerd where people have Docker. */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { EXAMPLES, IMAGES, type Image } from '../../hack/images/images.ts';
import type { Joined } from '../demo/overlay.ts';
import { PREFIX, sleep } from '../demo/shell.ts';
import type { Containerd } from '../servers/containerd.ts';
import { runOf } from './compose.ts';

const COMPOSE = resolve('examples/edge-video/compose.yaml');
/** Docker waits as long before it kills. */
const STOP_MS = 10_000;
const AGAIN_MS = 200;

function imageOf(reference: string): Image {
  const name = basename(reference).replace(/:.*/, '');
  const found = [...IMAGES, ...EXAMPLES].find((image) => image.name === name);
  if (found === undefined) throw new Error(`${reference} is no image of ours`);
  return found;
}

/** When it ends by itself it is started again, as `restart: unless-stopped` says. */
export class Service {
  /** Of all its containers, one after the other. */
  readonly log: string;
  readonly #id: string;
  readonly #containerd: Containerd;
  readonly #signal: string;
  readonly #ended: Promise<void>;
  #stopped = false;
  #child: ChildProcess | undefined;
  #execs = 0;

  constructor(containerd: Containerd, node: Joined, name: string, env: Readonly<Record<string, string>> = {}) {
    const folder = dirname(node.config);
    this.#containerd = containerd;
    this.#id = `${node.name}-${name}`;
    this.log = join(folder, `${name}.log`);
    writeFileSync(this.log, '', { flag: 'a' });
    const { image, options, command, folders } = runOf(readFileSync(COMPOSE, 'utf8'), name, {
      netns: PREFIX + node.name,
      folder,
      volumes: join(folder, 'volumes'),
      env,
      entrypoint: (reference) => imageOf(reference).entrypoint,
    });
    for (const path of folders) mkdirSync(path, { recursive: true });
    this.#signal = imageOf(image).stopSignal ?? 'SIGTERM';
    this.#ended = this.#run(containerd.arguments('run', ...options, image, this.#id, ...command));
  }

  async #run(args: readonly string[]): Promise<void> {
    while (!this.#stopped) {
      const child = spawn('ctr', args, { stdio: ['ignore', 'pipe', 'pipe'] });
      this.#child = child;
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data: Buffer) => appendFileSync(this.log, data));
      await new Promise((done) => child.once('close', done));
      if (!this.#stopped) await sleep(AGAIN_MS);
    }
  }

  /** As `docker stop` does: the image's signal, and SIGKILL to what has not ended by then. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#kill(this.#signal);
    const late = setTimeout(() => this.#kill('SIGKILL'), STOP_MS);
    await this.#ended;
    clearTimeout(late);
  }

  /** As if the kernel had killed all of it. */
  crash(): Promise<void> {
    const child = this.#child;
    const gone = new Promise<void>((done) => child?.once('close', () => done()));
    this.#kill('SIGKILL');
    return gone;
  }

  #kill(signal: string): void {
    if (this.#child?.exitCode !== null) return;
    try {
      this.#containerd.ctr('task', 'kill', '--signal', signal, this.#id);
    } catch {
      // It has ended in between.
    }
  }

  said(): string {
    return readFileSync(this.log, 'utf8');
  }

  /** Runs a command in the container to its end, and gives what it printed. */
  exec(...command: readonly string[]): string {
    this.#execs += 1;
    return this.#containerd.ctr('task', 'exec', '--exec-id', `exec-${this.#execs}`, this.#id, ...command);
  }
}
