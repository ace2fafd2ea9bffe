/**
 * One object of the API server, watched: listed first, then followed from that resource version on (Kubernetes API Concepts, "Efficient
 * detection of changes"). Only a watch that spoke and was ended in order is gone on with from its last version; after anything else the
 * object is listed again, because a version may be too old (410), or of a server that has lost its data since, whose watch says nothing.
 * A connection on which nothing comes for long is dead: the server sends bookmarks about every minute. Pure.
 */
import type { Instant, Machine, Random } from '../machine.ts';
import { GONE, type KubeError } from './api-error.ts';
import { Backoff } from './backoff.ts';

/** The server ends a watch after this, and up to a fifth more, so that it does not end all of them at once. */
export const WATCH_SECONDS = 300;
/** More than two bookmarks. */
export const IDLE_MS = 150_000;
/** A watch that ended sooner did not work, whatever it said. */
const SHORT_MS = 5_000;

/** What every object has. */
export interface KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly uid?: string | undefined;
    readonly resourceVersion?: string | undefined;
  };
}

export type WatchEvent<T> =
  | { readonly kind: 'start' }
  /** The answer to `list`: the object, if it is there, and the version of the list. */
  | { readonly kind: 'listed'; readonly object: T | undefined; readonly resourceVersion: string }
  /** A line of the watch. */
  | { readonly kind: 'line'; readonly type: string; readonly object: unknown }
  /** The watch is over, as the server wanted it. */
  | { readonly kind: 'ended' }
  /** `list` or `watch` failed. */
  | { readonly kind: 'failed'; readonly error: KubeError }
  | { readonly kind: 'deadline' };

export type WatchAction<T> =
  | { readonly kind: 'list' }
  | { readonly kind: 'watch'; readonly resourceVersion: string; readonly timeoutSeconds: number }
  /** Ends the watch that is on; nothing of it is told any more. */
  | { readonly kind: 'cut' }
  /** The object as it is now; undefined: there is none. */
  | { readonly kind: 'object'; readonly object: T | undefined }
  | { readonly kind: 'problem'; readonly error: Error }
  | { readonly kind: 'well' };

export class ObjectWatch<T extends KubeObject> implements Machine<WatchEvent<T>, WatchAction<T>> {
  readonly #random: Random;
  readonly #idleMs: number;
  readonly #backoff: Backoff;
  #state: 'idle' | 'listing' | 'watching' | 'waiting' = 'idle';
  /** Where to go on from; undefined: list. */
  #version: string | undefined;
  /** The version told last; undefined: nothing was told, null: that there is none. */
  #told: string | null | undefined;
  #since: Instant = 0;
  #heard = false;
  #deadline: Instant | undefined;

  constructor(random: Random, idleMs = IDLE_MS) {
    this.#random = random;
    this.#idleMs = idleMs;
    this.#backoff = new Backoff({ firstMs: 1_000, maxMs: 30_000, random });
  }

  deadline(): Instant | undefined {
    return this.#deadline;
  }

  handle(event: WatchEvent<T>, now: Instant): readonly WatchAction<T>[] {
    switch (event.kind) {
      case 'start':
        return this.#state === 'idle' ? this.#next(now) : [];
      case 'listed':
        if (this.#state !== 'listing') return [];
        this.#version = event.resourceVersion;
        return [{ kind: 'well' }, ...this.#tell(event.object), ...this.#next(now)];
      case 'line':
        return this.#state === 'watching' ? this.#line(event.type, event.object, now) : [];
      case 'ended':
        if (this.#state !== 'watching') return [];
        if (this.#heard) return this.#next(now);
        this.#version = undefined;
        // A proxy in between may end every watch at once.
        return now - this.#since < SHORT_MS ? this.#wait(0, now) : this.#next(now);
      case 'failed':
        return this.#failed(event.error, now);
      case 'deadline':
        return this.#due(now);
    }
  }

  #line(type: string, object: unknown, now: Instant): readonly WatchAction<T>[] {
    this.#deadline = now + this.#idleMs;
    const version = versionOf(object);
    if (type === 'ERROR') {
      // The server has no more to say on this connection (meta/v1 Status).
      const code = fieldsOf(object).code;
      this.#version = undefined;
      return [{ kind: 'cut' }, ...(code === GONE ? this.#next(now) : this.#wait(0, now))];
    }
    if (version === undefined) return [];
    this.#heard = true;
    this.#backoff.reset();
    this.#version = version;
    if (type === 'BOOKMARK') return [{ kind: 'well' }];
    return [{ kind: 'well' }, ...this.#tell(type === 'DELETED' ? undefined : (object as T))];
  }

  #failed(error: KubeError, now: Instant): readonly WatchAction<T>[] {
    if (this.#state !== 'listing' && this.#state !== 'watching') return [];
    this.#version = undefined;
    if (error.status === GONE && this.#state === 'watching') return this.#next(now);
    return [{ kind: 'problem', error }, ...this.#wait(error.retryAfterMs, now)];
  }

  #due(now: Instant): readonly WatchAction<T>[] {
    if (this.#deadline === undefined || now < this.#deadline) return [];
    if (this.#state === 'watching') {
      // Half open: the other end has forgotten us.
      this.#version = undefined;
      return [{ kind: 'cut' }, ...this.#next(now)];
    }
    return this.#state === 'waiting' ? this.#next(now) : [];
  }

  #wait(atLeastMs: number, now: Instant): readonly WatchAction<T>[] {
    this.#state = 'waiting';
    this.#deadline = now + this.#backoff.pauseMs(atLeastMs);
    return [];
  }

  #next(now: Instant): readonly WatchAction<T>[] {
    this.#since = now;
    this.#heard = false;
    if (this.#version === undefined) {
      this.#state = 'listing';
      // The request has a time limit of its own.
      this.#deadline = undefined;
      return [{ kind: 'list' }];
    }
    this.#state = 'watching';
    this.#deadline = now + this.#idleMs;
    const timeoutSeconds = Math.round(WATCH_SECONDS * (1 + this.#random() / 5));
    return [{ kind: 'watch', resourceVersion: this.#version, timeoutSeconds }];
  }

  /** Only what is news: a list after a lost watch mostly is not. */
  #tell(object: T | undefined): readonly WatchAction<T>[] {
    const version = object === undefined ? null : `${object.metadata.uid} ${object.metadata.resourceVersion}`;
    if (version === this.#told) return [];
    this.#told = version;
    return [{ kind: 'object', object }];
  }
}

function versionOf(object: unknown): string | undefined {
  const version = fieldsOf(fieldsOf(object).metadata).resourceVersion;
  return typeof version === 'string' && version !== '' ? version : undefined;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
