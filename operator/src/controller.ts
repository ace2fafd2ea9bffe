/**
 * A controller names what it watches and reconciles one key at a time: observe (caches), decide (pure), apply (client). It gets keys,
 * never events, so that one run is right whatever was missed (level-based).
 */
import type { Log } from '../../agent/src/io/log.ts';
import type { Cache, CacheOptions } from '../../agent/src/kube-api/cache.ts';
import type { Client } from '../../agent/src/kube-api/client.ts';
import type { Key, Kind, KubeObject } from '../../agent/src/kube-api/object.ts';
import type { Recorder } from './events/recorder.ts';

/** What `reconcile` may say; undefined when there is nothing to do before the next change. */
export interface Result {
  /** Again after this time, whatever happens. */
  readonly againAfterMs?: number;
}

export interface Context {
  /** Aborted when the process ends or no longer leads: what takes long has to look. */
  readonly signal: AbortSignal;
}

export interface Controller {
  /** For metrics and the log: `node`, `network`. */
  readonly name: string;
  /** Made by `watch`. */
  readonly watches: readonly Watching[];
  /** What it throws is logged and counted, and the key comes again with exponential back-off. Never two of one key at once. */
  reconcile(key: string, context: Context): Promise<Result | undefined>;
  /** Keys at once; default 1. */
  readonly concurrency?: number;
  /** Every key known comes again after this; default 10 minutes, with jitter. */
  readonly resyncMs?: number;
}

export type Enqueue = (key: string) => void;

/** A cache, and which keys a change in it concerns. */
export interface Watching {
  readonly source: Source;
  /** The keys of what the cache holds now. */
  known(): Iterable<string>;
  /** Calls `enqueue` for each change from now on. */
  start(enqueue: Enqueue): void;
}

/** What `watch` needs of a cache. */
export interface Source<T extends KubeObject = KubeObject> {
  readonly synced: boolean;
  list(): readonly T[];
  /** Calls `changed` for each change: without `before` it was added, without `after` deleted. */
  subscribe(changed: (after: T | undefined, before: T | undefined) => void): void;
}

/**
 * Wakes a controller. `keys` is asked of the object before and after a change, so that whoever lost something is told too; by default
 * the object's own key. `when` leaves out changes that do not matter (a heartbeat in a Node's status).
 */
export function watch<T extends KubeObject>(
  source: Source<T>,
  keys: (object: T) => Iterable<Key>,
  when: (after: T, before: T) => boolean = () => true,
): Watching {
  return {
    source: source as unknown as Source,
    known: () => source.list().flatMap((object) => [...keys(object)]),
    start(enqueue) {
      source.subscribe((after, before) => {
        if (after !== undefined && before !== undefined && !when(after, before)) return;
        const concerned = new Set([before, after].flatMap((object) => (object === undefined ? [] : [...keys(object)])));
        for (const key of concerned) enqueue(key);
      });
    },
  };
}

/** What controllers are built with. `createRuntime` in `runtime.ts` makes it. */
export interface Runtime {
  /** Refuses to write (`NotLeading`) while this process does not lead. */
  readonly client: Client;
  readonly events: Recorder;
  readonly log: Log;
  /** One watch for each kind and options, shared by who asks. Before `run`. */
  cache<T extends KubeObject>(kind: Kind<T>, options?: CacheOptions<T>): Cache<T> & Source<T>;
  /** Before `run`. */
  add(controller: Controller): void;
  /** Until `signal`: then what runs is finished and the lease given back. False when another process leads now: end, and be started anew. */
  run(signal: AbortSignal): Promise<boolean>;
}
