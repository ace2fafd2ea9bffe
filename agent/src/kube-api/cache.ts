/** What a controller sees of the caches the watches keep. */
import type { Key, KubeObject } from './object.ts';

/** The objects of one kind as they were last heard of. They are frozen: whoever wants to change one makes a new one. */
export interface Cache<T extends KubeObject> {
  /** Heard of all of them at least once. Controllers run only when that is so of every cache they watch. */
  readonly synced: boolean;
  readonly size: number;
  get(key: Key): T | undefined;
  list(): readonly T[];
}

export interface CacheOptions<T extends KubeObject> {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** What is kept of an object, to save memory; it has to keep `metadata`. By default all but `managedFields`. */
  readonly keep?: (object: T) => T;
}
