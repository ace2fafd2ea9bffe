/** A service of the example's compose file on a host of the demo's internet, in containerd where people have Docker. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { EXAMPLES, IMAGES, type Image } from '../../hack/images/images.ts';
import type { Joined } from '../demo/overlay.ts';
import { attempt, PREFIX, sleep } from '../demo/shell.ts';
import type { Containerd } from '../servers/containerd.ts';
import { type Model, runOf } from './compose.ts';

const COMPOSE = resolve('examples/edge-video/compose.yaml');
/** hack/compose: what Docker Compose reads it by. */
const READER = resolve('.cache/examples/compose');
/** Docker waits as long before it kills. */
const STOP_MS = 10_000;
const AGAIN_MS = 200;
const EXEC_TRIES = 5;

function imageOf(reference: string): Image {
  const name = basename(reference).replace(/:.*/, '');
  const found = [...IMAGES, ...EXAMPLES].find((image) => image.name === name);
  if (found === undefined) throw new Error(`${reference} is no image of ours`);
  return found;
}

/** The file lies beside the host's node.json, as its user has them. */
function modelIn(folder: string, env: Readonly<Record<string, string>>): Model {
  copyFileSync(COMPOSE, join(folder, 'compose.yaml'));
  const said = execFileSync(READER, ['compose.yaml'], { cwd: folder, env, encoding: 'utf8' });
  return JSON.parse(said) as Model;
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
  #awayMs = 0;
  #child: ChildProcess | undefined;
  #execs = 0;

  constructor(containerd: Containerd, node: Joined, name: string, env: Readonly<Record<string, string>> = {}) {
    const folder = dirname(node.config);
    this.#containerd = containerd;
    this.#id = `${node.name}-${name}`;
    this.log = join(folder, `${name}.log`);
    writeFileSync(this.log, '', { flag: 'a' });
    const { image, options, command, folders } = runOf(modelIn(folder, env), name, {
      netns: PREFIX + node.name,
      volumes: join(folder, 'volumes'),
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
      if (!this.#stopped) await sleep(AGAIN_MS + this.#awayMs);
    }
  }

  /** As `docker stop` does: the image's signal, and SIGKILL to what has not ended by then. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const signal = this.#killed(this.#signal);
    const late = setTimeout(() => void this.#killed('SIGKILL'), STOP_MS);
    await this.#ended;
    await signal;
    clearTimeout(late);
  }

  /** As if the kernel had killed all of it; Docker takes its time to start it again. */
  async crash(awayMs = 0): Promise<void> {
    this.#awayMs = awayMs;
    const child = this.#child;
    const gone = new Promise((done) => child?.once('close', done));
    await this.#killed('SIGKILL');
    await gone;
  }

  /** A container that is only just starting has no process yet. */
  async #killed(signal: string): Promise<void> {
    const child = this.#child;
    while (child?.exitCode === null) {
      const done = await attempt(undefined, [
        'ctr',
        ...this.#containerd.arguments('task', 'kill', '--signal', signal, this.#id),
      ]);
      if (done.code === 0) return;
      await sleep(AGAIN_MS);
    }
  }

  said(): string {
    return readFileSync(this.log, 'utf8');
  }

  /**
   * Runs a command in the container to its end, and gives what it printed, which is something: `ctr` may end before it has copied
   * any of it, and is asked again then.
   */
  exec(...command: readonly string[]): string {
    for (let tries = 1; tries <= EXEC_TRIES; tries++) {
      this.#execs += 1;
      const said = this.#containerd.ctr('task', 'exec', '--exec-id', `exec-${this.#execs}`, this.#id, ...command);
      if (said !== '') return said;
    }
    throw new Error(`${command.join(' ')} printed nothing in ${this.#id}`);
  }
}
