/** Runs one controller's reconciles as `queue/queue.ts` says. */

import { Alarm } from '../../../agent/src/io/alarm.ts';
import type { Log } from '../../../agent/src/io/log.ts';
import { ApiFailure } from '../../../agent/src/kube-api/client.ts';
import { Seldom } from '../../../agent/src/seldom.ts';
import type { Controller, Result } from '../controller.ts';
import { type QueueAction, type QueueEvent, WorkQueue } from '../queue/queue.ts';
import type { Metrics } from './metrics.ts';

export const RESYNC_MS = 10 * 60_000;

export class Worker {
  readonly #controller: Controller;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #queue: WorkQueue;
  readonly #seldom = new Seldom();
  readonly #aborted = new AbortController();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #alarm = new Alarm(
    () => performance.now(),
    () => this.#handle({ kind: 'deadline' }),
  );
  #resync: NodeJS.Timeout | undefined;

  constructor(controller: Controller, log: Log, metrics: Metrics) {
    this.#controller = controller;
    this.#log = log;
    this.#metrics = metrics;
    this.#queue = new WorkQueue({ concurrency: controller.concurrency ?? 1, random: Math.random });
    for (const watching of controller.watches) watching.start((key) => this.add(key));
  }

  get name(): string {
    return this.#controller.name;
  }

  get depth(): number {
    return this.#queue.depth;
  }

  get running(): number {
    return this.#queue.running;
  }

  add(key: string, afterMs = 0): void {
    this.#handle({ kind: 'add', key, afterMs });
  }

  start(): void {
    this.#handle({ kind: 'start' });
    const resyncMs = this.#controller.resyncMs ?? RESYNC_MS;
    this.#resync = setInterval(() => {
      // Spread, so that the API server does not feel it.
      for (const key of this.#known()) this.add(key, 1 + Math.random() * resyncMs * 0.1);
    }, resyncMs);
  }

  /** Begins nothing more and waits for what runs: after `graceMs` it is told to hurry, after twice that it is left alone. */
  async stop(graceMs: number): Promise<void> {
    this.#end();
    const hurry = setTimeout(() => this.#aborted.abort(), graceMs);
    const leave = setTimeout(() => {
      this.#log.warn(`${this.name}: ${this.running} reconciles did not end in time; they are left where they are`);
      this.#stopped.resolve();
    }, 2 * graceMs);
    await this.#stopped.promise;
    clearTimeout(hurry);
    clearTimeout(leave);
  }

  /** Begins nothing more, and tells what runs to end at once. */
  abort(): void {
    this.#end();
    this.#aborted.abort();
  }

  #end(): void {
    clearInterval(this.#resync);
    this.#handle({ kind: 'stop' });
    this.#alarm.clear();
  }

  #known(): ReadonlySet<string> {
    return new Set(this.#controller.watches.flatMap((watching) => [...watching.known()]));
  }

  #handle(event: QueueEvent): void {
    for (const action of this.#queue.handle(event, performance.now())) this.#do(action);
    this.#alarm.set(this.#queue.deadline());
  }

  #do(action: QueueAction): void {
    if (action.kind === 'stopped') this.#stopped.resolve();
    else {
      this.#metrics.waited(this.name, action.waitedMs / 1000);
      void this.#run(action.key);
    }
  }

  async #run(key: string): Promise<void> {
    const started = performance.now();
    let result: Result | undefined;
    let failure: unknown;
    let failed = false;
    try {
      result = await this.#controller.reconcile(key, { signal: this.#aborted.signal });
    } catch (error) {
      failure = error;
      failed = true;
    }
    const againAfterMs = failed ? retryAfter(failure) : result?.againAfterMs;
    const outcome = failed ? 'error' : againAfterMs === undefined ? 'success' : 'again';
    this.#metrics.reconciled(this.name, outcome, (performance.now() - started) / 1000);
    if (failed) this.#tell(key, failure);
    this.#handle({ kind: 'done', key, failed, againAfterMs });
  }

  /** Of a fault of ours the log has the place too. */
  #tell(key: string, failure: unknown): void {
    const ours = FAULTS.some((fault) => failure instanceof fault);
    const what = failure instanceof Error ? (ours && failure.stack) || failure.message : String(failure);
    const line = this.#seldom.line(`${this.name} ${key}: ${what}`, performance.now());
    if (line !== undefined) this.#log.warn(line);
  }
}

/** What only a mistake in the program throws. */
const FAULTS = [TypeError, RangeError, ReferenceError, SyntaxError];

/** What the server asks to wait. */
const retryAfter = (failure: unknown): number | undefined =>
  failure instanceof ApiFailure ? failure.retryAfterMs : undefined;
