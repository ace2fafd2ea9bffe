/** `evio server run`: both servers as children in the foreground, until SIGINT or SIGTERM. */

import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { raisePriority } from '../../../agent/src/io/priority.ts';
import { Failure } from '../failure.ts';
import { installed } from '../process.ts';
import { layoutOf, readJson, settingsFile } from './layout.ts';
import { portProblem } from './ready.ts';
import { RestartDelay } from './restart.ts';
import { type Service, servicesOf } from './services.ts';
import { serverSettings } from './settings.ts';
import { installCommand } from './users.ts';
import { XMPP_SERVERS } from './xmpp-server.ts';

const READY_MS = 20_000;
const ASK_EVERY_MS = 100;
/** An XMPP server ends its streams first; coturn ends at once. */
const STOP_MS = 5_000;

export type Say = (line: string) => void;

export async function runServer(dir: string, verbose: boolean, say: Say): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Failure('evio server run starts servers as their own users: run it as root (sudo)');
  const place = resolve(dir);
  const settings = readJson(settingsFile(place), serverSettings, 'run evio server init again');
  if (settings === undefined)
    throw new Failure(`there is no server in ${place}; run evio server init --dir ${place} first`);
  const layout = layoutOf(place, settings.xmpp);
  const xmpp = XMPP_SERVERS[settings.xmpp];
  for (const program of [xmpp.proof, 'turnserver', 'setpriv']) {
    if (!installed(program)) throw new Failure(`${program} is not installed; run: ${installCommand(xmpp)}`);
  }
  const services = servicesOf(layout, settings);
  for (const { protocol, address, port } of services.flatMap((s) => s.ports)) {
    const problem = await portProblem(protocol, address, port);
    if (problem !== undefined) throw new Failure(problem);
  }
  const keepers = services.map((service) => new Keeper(service, verbose, say));
  await new Promise<void>((done) => {
    let stopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (stopping) return;
      stopping = true;
      say(`${signal}: stopping`);
      void Promise.all(keepers.map((k) => k.stop())).then(() => done());
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
    for (const keeper of keepers) keeper.start();
  });
}

/** Keeps one server running. */
class Keeper {
  readonly #service: Service;
  readonly #verbose: boolean;
  readonly #say: Say;
  readonly #delay = new RestartDelay();
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(service: Service, verbose: boolean, say: Say) {
    this.#service = service;
    this.#verbose = verbose;
    this.#say = (line) => say(`${service.name}: ${line}`);
  }

  start(): void {
    const { user, command, environment } = this.#service;
    const started = performance.now();
    // In a process group of its own, so that Ctrl-C reaches it through us; and never left behind: the kernel ends it with us.
    const child = spawn(
      'setpriv',
      [
        `--reuid=${user}`,
        `--regid=${user}`,
        '--clear-groups',
        '--no-new-privs',
        '--inh-caps=-all',
        '--bounding-set=-all',
        '--pdeathsig',
        'TERM',
        '--',
        ...command,
      ],
      {
        cwd: '/',
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', ...environment },
      },
    );
    this.#child = child;
    if (this.#service.carriesTraffic && child.pid !== undefined) raisePriority(child.pid);
    for (const stream of [child.stdout, child.stderr]) this.#readLog(stream);
    child.on('error', (error) => this.#ended(child, error.message, 0));
    child.on('exit', (code, signal) => this.#ended(child, signal ?? `exit code ${code}`, performance.now() - started));
    void this.#awaitReady(child);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(hard);
  }

  async #awaitReady(child: ChildProcess): Promise<void> {
    const until = performance.now() + READY_MS;
    const ready = this.#service.readiness();
    while (this.#child === child && !this.#stopped) {
      if (await ready()) {
        if (this.#child === child && !this.#stopped) this.#say(`ready: ${this.#service.places}`);
        return;
      }
      if (performance.now() > until) {
        this.#say(
          `runs, but does not answer after ${READY_MS / 1000} s: ${this.#service.places}; see its log with --verbose`,
        );
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  }

  #ended(child: ChildProcess, how: string, livedMs: number): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#stopped) return;
    const delayMs = this.#delay.after(livedMs);
    this.#say(`ended (${how}); starting it again in ${delayMs / 1000} s`);
    this.#timer = setTimeout(() => this.start(), delayMs);
  }

  #readLog(stream: NodeJS.ReadableStream | null): void {
    let rest = '';
    stream?.on('data', (data: Buffer) => {
      const lines = (rest + data.toString()).split('\n');
      rest = (lines.pop() ?? '').slice(0, 4096);
      for (const line of lines) if (this.#verbose || this.#service.matters(line)) this.#say(line.trim());
    });
  }
}
