/**
 * Keeps one tincan running for this node and a control connection to it. tincan outlives the agent: it runs in a session of its own
 * and writes to its own log file, so that neither a signal to the agent's group nor a closed pipe reaches it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Control, ControlError } from './control.ts';
import { makeDirectory, systemReason } from './system-error.ts';

const RETRY_MS = 50;
/** Somebody else starts it: it is looked for at leisure, and missed after a while. */
const EXTERNAL_RETRY_MS = 250;
const MISSED_MS = 10_000;
/** Longer than any line of tincan's. */
const LAST_WORDS_BYTES = 16_384;
/** From one start of tincan to the next. */
const RESTART_MS = 250;
/** A tincan that lived shorter than this died of something a restart does not cure: the pause doubles, up to MAX_RESTART_MS. */
const SHORT_LIFE_MS = 2_000;
const MAX_RESTART_MS = 10_000;
const SHUTDOWN_MS = 3_000;

export interface TincanHandlers {
  /** A control connection stands; `started` tells whether this agent started the process behind it. */
  up(control: Control, started: boolean): void;
  event(name: string, data: unknown): void;
  down(reason: string): void;
  /** It ended by itself, or could not be started: one line. `times` counts since a connection stood. */
  ended(message: string, times: number): void;
  /** One line for the log. */
  report(message: string): void;
}

export interface TincanOptions {
  readonly runDir: string;
  /** What to run when no tincan is there; undefined: somebody else runs it, and ends it. */
  readonly binary: string | undefined;
}

export class TincanProcess {
  readonly #options: TincanOptions;
  readonly #handlers: TincanHandlers;
  #control: Control | undefined;
  #child: ChildProcess | undefined;
  #startedAt = 0;
  #pauseMs = RESTART_MS;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #ends = 0;
  /** When a tincan of others was first found missing; told: Infinity. */
  #missingSince: number | undefined;
  #gone: () => void = () => undefined;

  constructor(options: TincanOptions, handlers: TincanHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  start(): void {
    void this.#connect();
  }

  /** For a node that could not start: ends tincan. */
  async abandon(): Promise<void> {
    if (this.#options.binary === undefined) {
      this.detach();
      return;
    }
    const child = this.#child;
    const gone = new Promise<void>((done) => (child === undefined ? done() : child.once('exit', () => done())));
    await this.shutdown();
    child?.kill('SIGTERM');
    await Promise.race([gone, new Promise((done) => setTimeout(done, SHUTDOWN_MS))]);
  }

  /** Leaves tincan running. */
  detach(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#control?.close();
  }

  /** Another tincan takes the place of this one; bridge and tap stay. */
  async exchange(): Promise<void> {
    if (this.#control === undefined) throw new ControlError('closed', 'tincan is away');
    if (this.#options.binary === undefined)
      throw new ControlError(
        'conflict',
        'this agent does not run its tincan; delete the evio-dataplane pod of this node',
      );
    await this.#control.request('shutdown', { keepBridge: true }, SHUTDOWN_MS);
  }

  /** Ends tincan with its bridge and tap; gives whether it is gone. */
  async shutdown(): Promise<boolean> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const gone = this.#untilGone();
    // One that has only just been started listens to signals before it listens to us.
    if (this.#control === undefined) this.#child?.kill('SIGTERM');
    else this.#control.request('shutdown', { keepBridge: false }, SHUTDOWN_MS).catch(() => undefined);
    return gone;
  }

  /** tincan lets go of its connections when all else is done. */
  #untilGone(): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#control === undefined && this.#child === undefined) resolve(true);
      setTimeout(() => resolve(false), SHUTDOWN_MS).unref();
      this.#gone = () => resolve(true);
    });
  }

  async #connect(): Promise<void> {
    if (this.#stopped) return;
    try {
      const control = await Control.open(join(this.#options.runDir, 'control.sock'), {
        event: (name, data) => this.#handlers.event(name, data),
        closed: (reason) => this.#lost(reason),
      });
      if (this.#stopped) {
        control.close();
        return;
      }
      this.#control = control;
      this.#ends = 0;
      this.#missingSince = undefined;
      this.#handlers.up(control, this.#child !== undefined);
    } catch {
      const { binary } = this.#options;
      if (binary === undefined) {
        this.#missed();
        this.#again(EXTERNAL_RETRY_MS);
        return;
      }
      // Nobody listens. Either our child has not come so far, or there is none.
      if (this.#child === undefined) this.#spawn(binary);
      this.#again(RETRY_MS);
    }
  }

  #missed(): void {
    const now = performance.now();
    this.#missingSince ??= now;
    if (now - this.#missingSince < MISSED_MS) return;
    this.#missingSince = Number.POSITIVE_INFINITY;
    this.#handlers.report(
      `no tincan answers at ${join(this.#options.runDir, 'control.sock')} for ${MISSED_MS / 1000} s: no traffic passes; see the evio-dataplane pod of this node`,
    );
  }

  #again(delayMs: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), delayMs);
  }

  #lost(reason: string): void {
    if (this.#control === undefined) return;
    this.#control = undefined;
    this.#gone();
    if (this.#stopped) return;
    this.#handlers.down(reason);
    this.#again(RETRY_MS);
  }

  #spawn(binary: string): void {
    const now = performance.now();
    const sinceMs = now - this.#startedAt;
    if (this.#startedAt !== 0 && sinceMs < this.#pauseMs) return;
    this.#pauseMs =
      this.#startedAt !== 0 && sinceMs < SHORT_LIFE_MS + this.#pauseMs
        ? Math.min(this.#pauseMs * 2, MAX_RESTART_MS)
        : RESTART_MS;
    this.#startedAt = now;
    const { runDir } = this.#options;
    const path = join(runDir, 'tincan.log');
    let log: number | undefined;
    // Telling systemd that the service is ready is the agent's business, and so are the launcher's settings for its heap.
    const { NOTIFY_SOCKET: _, MALLOC_MMAP_THRESHOLD_: __, MALLOC_TRIM_THRESHOLD_: ___, ...env } = process.env;
    try {
      // The run directory may have been taken away under us.
      makeDirectory(runDir, 0o700);
    } catch (error) {
      this.#handlers.ended(`cannot make ${runDir}: ${systemReason(error)}`, ++this.#ends);
      return;
    }
    try {
      log = openSync(path, 'a', 0o600);
    } catch (error) {
      // A full disk, no descriptors: a datapath without a log is better than none.
      this.#handlers.report(`cannot write ${path}: ${systemReason(error)}; tincan runs without its log`);
    }
    try {
      const from = log === undefined ? 0 : fstatSync(log).size;
      const child = spawn(binary, ['--run-dir', this.#options.runDir], {
        detached: true,
        stdio: ['ignore', log ?? 'ignore', log ?? 'ignore'],
        env,
      });
      this.#child = child;
      child.on('error', (error) => this.#ended(child, `cannot be run: ${systemReason(error)}`));
      child.on('exit', (code, signal) => {
        const words = log === undefined ? '' : lastLine(path, from);
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        this.#ended(child, words === '' ? `ended: ${how}` : `ended: ${how}: ${words}`);
      });
      child.unref();
    } finally {
      if (log !== undefined) closeSync(log);
    }
  }

  #ended(child: ChildProcess, reason: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#control === undefined) this.#gone();
    if (this.#stopped) return;
    this.#handlers.ended(`tincan (${this.#options.binary}) ${reason}`, ++this.#ends);
  }
}

/** What it said last since it was started: why it ended, mostly. */
function lastLine(path: string, from: number): string {
  let log: number | undefined;
  try {
    log = openSync(path, 'r');
    // The log of months is not read for one line of it.
    const end = fstatSync(log).size;
    const start = Math.max(from, end - LAST_WORDS_BYTES);
    const words = Buffer.alloc(Math.max(0, end - start));
    readSync(log, words, 0, words.length, start);
    return words.toString().trim().split('\n').at(-1) ?? '';
  } catch {
    return '';
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

/**
 * Where the tincan binary is: named by EVIO_TINCAN, beside the program as shipped, built in the source tree, or in PATH.
 */
export function findTincan(environment: NodeJS.ProcessEnv = process.env): string {
  const named = environment.EVIO_TINCAN;
  if (named !== undefined && named !== '') return named;
  const here = dirname(fileURLToPath(import.meta.url));
  const target = environment.CARGO_TARGET_DIR ?? join(here, '../../../target');
  const candidates = [
    join(here, 'tincan'),
    join(dirname(process.argv[1] ?? here), 'tincan'),
    join(target, 'release/tincan'),
    join(target, 'debug/tincan'),
    '/usr/lib/evio/tincan',
  ];
  return candidates.find(executable) ?? 'tincan';
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
