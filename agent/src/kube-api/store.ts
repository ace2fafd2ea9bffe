/** The objects of one kind as last heard of, and what changes when more is heard. */
import { isDeepStrictEqual } from 'node:util';
import { type Key, type KubeObject, keyOf } from './object.ts';

/** Without `before` it was added, without `after` deleted. One of both is always there. */
export interface Change<T> {
  readonly key: Key;
  readonly before?: T;
  readonly after?: T;
}

export class Store<T extends KubeObject> {
  #objects = new Map<Key, T>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: Key): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  put(after: T): readonly Change<T>[] {
    const key = keyOf(after);
    const before = this.#objects.get(key);
    const found = changes(key, before, after);
    // What is the same stays the very same object.
    if (found.length > 0) this.#objects.set(key, after);
    return found;
  }

  remove(key: Key): readonly Change<T>[] {
    const before = this.#objects.get(key);
    this.#objects.delete(key);
    return changes(key, before, undefined);
  }

  /** All there is now: what is not among them was deleted while nobody told. */
  replace(all: ReadonlyMap<Key, T>): readonly Change<T>[] {
    const gone = [...this.#objects.keys()].filter((key) => !all.has(key));
    return [...gone.flatMap((key) => this.remove(key)), ...[...all.values()].flatMap((object) => this.put(object))];
  }
}

/**
 * An object of another uid is another object: its predecessor was deleted. That resource versions are equal does not say that nothing
 * changed: a server whose data was taken back to a backup gives out the same versions again.
 */
function changes<T extends KubeObject>(key: Key, before: T | undefined, after: T | undefined): readonly Change<T>[] {
  if (before === undefined) return after === undefined ? [] : [{ key, after }];
  if (after === undefined) return [{ key, before }];
  if (before.metadata.uid !== after.metadata.uid)
    return [
      { key, before },
      { key, after },
    ];
  return isDeepStrictEqual(before, after) ? [] : [{ key, before, after }];
}
