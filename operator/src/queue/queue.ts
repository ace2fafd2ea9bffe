/**
 * Which key is worked on when: never two of one key at once, those that wait longest first, and those that failed later and later.
 * A key that is added while it is worked on comes once more afterwards, so that no change is missed.
 */
import { pauseAfter } from '../../../agent/src/kube-api/backoff.ts';
import type { Instant, Machine, Random } from '../../../agent/src/machine.ts';
import { Heap } from './heap.ts';

export type QueueEvent =
  /** From here on keys are worked on; before, they are only collected. */
  | { readonly kind: 'start' }
  | { readonly kind: 'add'; readonly key: string; readonly afterMs?: number }
  | {
      readonly kind: 'done';
      readonly key: string;
      readonly failed: boolean;
      readonly againAfterMs?: number | undefined;
    }
  | { readonly kind: 'deadline' }
  /** Nothing more is begun; `stopped` comes when nothing is worked on any more. */
  | { readonly kind: 'stop' };

export type QueueAction =
  /** `waitedMs`: since it was ready to be worked on. */
  { readonly kind: 'run'; readonly key: string; readonly waitedMs: number } | { readonly kind: 'stopped' };

export interface QueueOptions {
  /** Keys at once. */
  readonly concurrency: number;
  readonly random: Random;
}

export const BACKOFF_MIN_MS = 250;
export const BACKOFF_MAX_MS = 120_000;
/**
 * A change brings a key that failed forward: it may be what was missing. But not closer than this to its failure, or a controller
 * whose own writes are changes would fail as fast as it can.
 */
export const AFTER_FAILURE_MS = 1_000;

interface Work {
  readyAt: Instant | undefined;
  /** When it becomes ready by itself. */
  dueAt: Instant | undefined;
  running: boolean;
  /** Was added while it was running. */
  again: boolean;
  failures: number;
  failedAt: Instant | undefined;
}

export class WorkQueue implements Machine<QueueEvent, QueueAction> {
  readonly #options: QueueOptions;
  readonly #work = new Map<string, Work>();
  /** In the order they became ready. */
  readonly #ready = new Set<string>();
  /** Holds entries that no longer count too: they are passed over when they come up. */
  readonly #due = new Heap<string>();
  #running = 0;
  #state: 'collecting' | 'working' | 'stopping' = 'collecting';

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Ready and not begun. */
  get depth(): number {
    return this.#ready.size;
  }

  get running(): number {
    return this.#running;
  }

  /** Keys of which anything is remembered. */
  get size(): number {
    return this.#work.size;
  }

  /** How often a key failed in a row. */
  failures(key: string): number {
    return this.#work.get(key)?.failures ?? 0;
  }

  deadline(): Instant | undefined {
    return this.#state === 'working' ? this.#next() : undefined;
  }

  handle(event: QueueEvent, now: Instant): readonly QueueAction[] {
    switch (event.kind) {
      case 'start':
        if (this.#state === 'collecting') this.#state = 'working';
        break;
      case 'add':
        this.#add(event.key, now, event.afterMs ?? 0);
        break;
      case 'done':
        return this.#done(event, now);
      case 'stop':
        if (this.#state === 'stopping') return [];
        this.#state = 'stopping';
        return this.#running === 0 ? [{ kind: 'stopped' }] : [];
      case 'deadline':
        break;
    }
    return this.#begin(now);
  }

  #add(key: string, now: Instant, afterMs: number): void {
    if (this.#state === 'stopping') return;
    const work = this.#of(key);
    const { failedAt } = work;
    if (afterMs > 0) this.#plan(key, work, now + afterMs);
    else if (work.running) work.again = true;
    else if (failedAt !== undefined && now < failedAt + AFTER_FAILURE_MS)
      this.#plan(key, work, failedAt + AFTER_FAILURE_MS);
    else this.#makeReady(key, work, now);
  }

  #done(event: QueueEvent & { kind: 'done' }, now: Instant): readonly QueueAction[] {
    const work = this.#work.get(event.key);
    if (work === undefined || !work.running) return [];
    const { again } = work;
    work.running = false;
    work.again = false;
    this.#running--;
    if (this.#state === 'stopping') return this.#running === 0 ? [{ kind: 'stopped' }] : [];
    if (event.failed) {
      const backoff = { firstMs: BACKOFF_MIN_MS, maxMs: BACKOFF_MAX_MS, random: this.#options.random };
      this.#plan(event.key, work, now + pauseAfter(work.failures, backoff, event.againAfterMs));
      work.failures++;
      work.failedAt = now;
    } else {
      work.failures = 0;
      work.failedAt = undefined;
      if (event.againAfterMs !== undefined) this.#plan(event.key, work, now + Math.max(0, event.againAfterMs));
    }
    if (again) this.#add(event.key, now, 0);
    if (work.readyAt === undefined && work.dueAt === undefined) this.#work.delete(event.key);
    return this.#begin(now);
  }

  #begin(now: Instant): readonly QueueAction[] {
    if (this.#state !== 'working') return [];
    for (let at = this.#next(); at !== undefined && at <= now; at = this.#next()) {
      const key = this.#due.pop() ?? '';
      const work = this.#of(key);
      work.dueAt = undefined;
      if (work.running) work.again = true;
      else this.#makeReady(key, work, at);
    }
    const actions: QueueAction[] = [];
    for (const key of this.#ready) {
      if (this.#running >= this.#options.concurrency) break;
      const work = this.#of(key);
      this.#ready.delete(key);
      actions.push({ kind: 'run', key, waitedMs: now - (work.readyAt ?? now) });
      work.readyAt = undefined;
      work.running = true;
      this.#running++;
    }
    return actions;
  }

  #makeReady(key: string, work: Work, now: Instant): void {
    work.dueAt = undefined;
    if (work.readyAt !== undefined) return;
    work.readyAt = now;
    this.#ready.add(key);
  }

  /** The earliest plan counts. */
  #plan(key: string, work: Work, at: Instant): void {
    if (work.readyAt !== undefined || (work.dueAt !== undefined && work.dueAt <= at)) return;
    work.dueAt = at;
    this.#due.push(at, key);
  }

  #next(): Instant | undefined {
    for (let first = this.#due.first(); first !== undefined; first = this.#due.first()) {
      if (this.#work.get(first.value)?.dueAt === first.at) return first.at;
      this.#due.pop();
    }
    return undefined;
  }

  #of(key: string): Work {
    const known = this.#work.get(key);
    if (known !== undefined) return known;
    const work: Work = {
      readyAt: undefined,
      dueAt: undefined,
      running: false,
      again: false,
      failures: 0,
      failedAt: undefined,
    };
    this.#work.set(key, work);
    return work;
  }
}
