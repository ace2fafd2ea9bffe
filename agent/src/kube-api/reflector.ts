/**
 * Keeps a copy of all objects of one kind: lists them, then watches for changes, and begins anew whenever something may have been
 * missed (https://kubernetes.io/docs/reference/using-api/api-concepts/, "Efficient detection of changes").
 *
 * A watch is taken up again at its last resource version only when it ended at the time that was asked for. After any other end all
 * is listed again: the server may have lost its data, and a watch from a version it has not reached yet is silent, not an error.
 */

import type { Instant, Machine, Random } from '../machine.ts';
import { Told } from '../told.ts';
import { DecodeError } from '../wire/reader.ts';
import { pauseAfter } from './backoff.ts';
import { type Key, type KubeObject, keyOf } from './object.ts';
import { type Reading, readLine, readPage, type Status } from './parse.ts';
import { type Change, Store } from './store.ts';

/** Why a request got no answer, or not the one that was asked for. */
export interface Failure {
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  readonly reason: string;
  /** One line for people. */
  readonly message: string;
  /** The same without what was asked. */
  readonly why?: string;
  readonly retryAfterMs?: number | undefined;
}

/** `id` is that of the action the event answers; what comes for an older one is ignored. */
export type ReflectorEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'deadline' }
  | { readonly kind: 'page'; readonly id: number; readonly text: string }
  /** The watch was accepted: lines will come. */
  | { readonly kind: 'opened'; readonly id: number }
  | { readonly kind: 'line'; readonly id: number; readonly line: string }
  /** Nothing more comes of this request; without `failure` a watch was ended by the server in order. */
  | { readonly kind: 'ended'; readonly id: number; readonly failure?: Failure };

export type ReflectorAction<T> =
  | { readonly kind: 'list'; readonly id: number; readonly limit?: number; readonly continue?: string }
  | { readonly kind: 'watch'; readonly id: number; readonly resourceVersion: string; readonly timeoutSeconds: number }
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'changed'; readonly change: Change<T> }
  | { readonly kind: 'synced' }
  /** A failure that is not the first in a row, each once; without `failure` the end of it. */
  | { readonly kind: 'trouble'; readonly failure?: Failure };

export const PAGE_LIMIT = 500;
export const PAGE_TIMEOUT_MS = 60_000;
export const OPEN_TIMEOUT_MS = 30_000;
/** The server ends a watch after this and up to as much again, so that not all come back at once. */
export const WATCH_MIN_S = 300;
/** Bookmarks come every minute: a connection silent for two is dead, or its server knows nothing of our resource version. */
export const IDLE_MS = 120_000;
/** A watch that ends this much before its time still ended in order: clocks differ. */
export const EARLY_MS = 5_000;
/** Even if all is in order: whatever nobody thought of is mended by then. */
export const RELIST_MS = 30 * 60_000;
export const BACKOFF_MIN_MS = 500;
export const BACKOFF_MAX_MS = 30_000;
/** A server may ask for patience, not for ever. */
export const RETRY_AFTER_MAX_MS = 120_000;
/** A watch that lasted this long shows that the trouble before it is over. */
export const HEALTHY_MS = 30_000;

/** The times above; a test against real servers has less patience. */
export interface Patience {
  readonly pageMs: number;
  readonly openMs: number;
  readonly watchMinSeconds: number;
  readonly idleMs: number;
  readonly backoffMaxMs: number;
}
const PATIENCE: Patience = {
  pageMs: PAGE_TIMEOUT_MS,
  openMs: OPEN_TIMEOUT_MS,
  watchMinSeconds: WATCH_MIN_S,
  idleMs: IDLE_MS,
  backoffMaxMs: BACKOFF_MAX_MS,
};

type State<T> =
  | { readonly name: 'stopped' }
  | { readonly name: 'waiting'; readonly until: Instant; readonly next: 'list' | 'watch' }
  | {
      readonly name: 'listing';
      readonly id: number;
      readonly until: Instant;
      readonly whole: boolean;
      readonly items: Map<Key, T>;
      readonly resourceVersion?: string;
    }
  | {
      readonly name: 'watching';
      readonly id: number;
      readonly since: Instant;
      readonly timeoutMs: number;
      until: Instant;
      opened: boolean;
    };

export interface ReflectorOptions<T extends KubeObject> extends Reading<T> {
  readonly random: Random;
  readonly patience?: Partial<Patience> | undefined;
}

export class Reflector<T extends KubeObject> implements Machine<ReflectorEvent, ReflectorAction<T>> {
  readonly store = new Store<T>();
  readonly patience: Patience;
  readonly #options: ReflectorOptions<T>;
  #state: State<T> = { name: 'stopped' };
  #resourceVersion = '';
  #lastId = 0;
  #failures = 0;
  #listedAt: Instant | undefined;
  #heardAt: Instant | undefined;
  readonly #told = new Told();

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.patience = { ...PATIENCE, ...options.patience };
  }

  /** All objects were heard of at least once. */
  get synced(): boolean {
    return this.#listedAt !== undefined;
  }

  /** When something last came from the server, be it a bookmark: how old what is known may be. */
  get heardAt(): Instant | undefined {
    return this.#heardAt;
  }

  deadline(): Instant | undefined {
    return this.#state.name === 'stopped' ? undefined : this.#state.until;
  }

  handle(event: ReflectorEvent, now: Instant): readonly ReflectorAction<T>[] {
    const state = this.#state;
    switch (event.kind) {
      case 'start':
        return state.name === 'stopped' ? [this.#list(now, false)] : [];
      case 'stop':
        this.#state = { name: 'stopped' };
        return abort(state);
      case 'deadline':
        return this.#deadline(state, now);
      default:
        return this.#answer(state, event, now);
    }
  }

  #deadline(state: State<T>, now: Instant): readonly ReflectorAction<T>[] {
    if (state.name === 'stopped' || now < state.until) return [];
    if (state.name === 'waiting') return [state.next === 'list' ? this.#list(now, false) : this.#watch(now)];
    const what = state.name === 'listing' ? 'a list' : state.opened ? 'a watch' : 'the start of a watch';
    return [...abort(state), ...this.#failed(silence(what), now)];
  }

  #answer(
    state: State<T>,
    event: Exclude<ReflectorEvent, { kind: 'start' | 'stop' | 'deadline' }>,
    now: Instant,
  ): readonly ReflectorAction<T>[] {
    if (!('id' in state) || state.id !== event.id) return [];
    if (event.kind === 'ended') return this.#ended(state, event.failure, now);
    this.#heardAt = now;
    if (state.name === 'listing') return event.kind === 'page' ? this.#page(state, event.text, now) : [];
    state.until = now + this.patience.idleMs;
    state.opened = true;
    return event.kind === 'line' ? this.#line(event.line, now) : [];
  }

  #page(state: State<T> & { name: 'listing' }, text: string, now: Instant): readonly ReflectorAction<T>[] {
    const page = this.#read(() => readPage(text, this.#options));
    if (page instanceof DecodeError) return this.#failed(garbage(page.message), now);
    for (const object of page.items) state.items.set(keyOf(object), object);
    // Pages of one list are of one version; if a server gives several, the first misses nothing.
    const resourceVersion = state.resourceVersion ?? page.resourceVersion;
    if (page.continue !== undefined) {
      const id = ++this.#lastId;
      this.#state = { ...state, id, resourceVersion, until: now + this.patience.pageMs };
      return [{ kind: 'list', id, limit: PAGE_LIMIT, continue: page.continue }];
    }
    const first = !this.synced;
    this.#listedAt = now;
    this.#resourceVersion = resourceVersion;
    const found = changed(this.store.replace(state.items));
    return [...found, ...(first ? [{ kind: 'synced' } as const] : []), this.#watch(now)];
  }

  #line(text: string, now: Instant): readonly ReflectorAction<T>[] {
    const line = this.#read(() => readLine(text, this.#options));
    if (line instanceof DecodeError) return [...abort(this.#state), ...this.#failed(garbage(line.message), now)];
    const recovered = this.#recovered(now);
    switch (line.type) {
      case 'ERROR':
        return [...abort(this.#state), ...this.#failed(failureOf(line.status), now)];
      case 'BOOKMARK':
        this.#resourceVersion = line.resourceVersion;
        return recovered;
      case 'DELETED':
        this.#resourceVersion = line.object.metadata.resourceVersion;
        return [...recovered, ...changed(this.store.remove(keyOf(line.object)))];
      default:
        this.#resourceVersion = line.object.metadata.resourceVersion;
        return [...recovered, ...changed(this.store.put(line.object))];
    }
  }

  #read<R>(read: () => R): R | DecodeError {
    try {
      return read();
    } catch (error) {
      if (error instanceof DecodeError) return error;
      throw error;
    }
  }

  #ended(state: State<T>, failure: Failure | undefined, now: Instant): readonly ReflectorAction<T>[] {
    if (state.name === 'listing') {
      // A page that came too late (410): all at once then, which takes longer and cannot expire.
      if (failure?.status === 410 && !state.whole) return [this.#list(now, true)];
      return this.#failed(failure ?? garbage('no list came'), now);
    }
    if (state.name !== 'watching') return [];
    const lasted = now - state.since;
    if (failure === undefined && state.opened && lasted >= state.timeoutMs - EARLY_MS) {
      const next = this.#listedAt !== undefined && now - this.#listedAt >= RELIST_MS ? 'list' : 'watch';
      const recovered = this.#recovered(now);
      this.#state = { name: 'waiting', until: now + this.#options.random() * 1000, next };
      return recovered;
    }
    return this.#failed(failure ?? early(lasted), now);
  }

  #failed(failure: Failure, now: Instant): readonly ReflectorAction<T>[] {
    const state = this.#state;
    if (state.name === 'watching' && now - state.since >= HEALTHY_MS) this.#failures = 0;
    const asked = Math.min(failure.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS);
    const backoff = { firstMs: BACKOFF_MIN_MS, maxMs: this.patience.backoffMaxMs, random: this.#options.random };
    const pause = pauseAfter(this.#failures, backoff, asked);
    this.#failures++;
    this.#state = { name: 'waiting', until: now + pause, next: 'list' };
    return this.#trouble(failure);
  }

  /** An end of a watch now and then is everyday life: the second failure in a row is told, and each other one after it. */
  #trouble(failure: Failure): readonly ReflectorAction<T>[] {
    if (this.#failures < 2 || !this.#told.problem(failure.message)) return [];
    return [{ kind: 'trouble', failure }];
  }

  #recovered(now: Instant): readonly ReflectorAction<T>[] {
    const state = this.#state;
    if (state.name !== 'watching' || now - state.since < HEALTHY_MS) return [];
    this.#failures = 0;
    return this.#told.well() ? [{ kind: 'trouble' }] : [];
  }

  #list(now: Instant, whole: boolean): ReflectorAction<T> {
    const id = ++this.#lastId;
    this.#state = { name: 'listing', id, until: now + this.patience.pageMs, whole, items: new Map() };
    return whole ? { kind: 'list', id } : { kind: 'list', id, limit: PAGE_LIMIT };
  }

  #watch(now: Instant): ReflectorAction<T> {
    const id = ++this.#lastId;
    const timeoutSeconds = Math.round(this.patience.watchMinSeconds * (1 + this.#options.random()));
    this.#state = {
      name: 'watching',
      id,
      since: now,
      timeoutMs: timeoutSeconds * 1000,
      until: now + this.patience.openMs,
      opened: false,
    };
    return { kind: 'watch', id, resourceVersion: this.#resourceVersion, timeoutSeconds };
  }
}

const changed = <T>(changes: readonly Change<T>[]): readonly ReflectorAction<T>[] =>
  changes.map((change) => ({ kind: 'changed', change }));

const abort = (state: State<unknown>): readonly { readonly kind: 'abort'; readonly id: number }[] =>
  'id' in state ? [{ kind: 'abort', id: state.id }] : [];

const silence = (what: string): Failure => ({
  status: 0,
  reason: 'NoAnswer',
  message: `nothing came from the API server in time for ${what}: see whether it, and the way to it, is up`,
});
const garbage = (what: string): Failure => ({
  status: 0,
  reason: 'Garbage',
  message: `what came is not of an API server (${what}): see what answers at its address`,
});
const early = (lastedMs: number): Failure => ({
  status: 0,
  reason: 'Unreachable',
  message: `the API server ended a watch after ${Math.round(lastedMs / 1000)} s, before its time`,
});
const failureOf = ({ code, reason, message, retryAfterMs }: Status): Failure => ({
  status: code,
  reason,
  message: `the API server ended a watch: ${reason} (${message.slice(0, 200)})`,
  retryAfterMs,
});
