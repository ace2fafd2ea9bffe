/** The members in ring order, who stands beside whom, and how many there are. */

import type { NodeId } from './label.ts';

/**
 * Members in ring order. A value: with another member it is another ring, so many may share one.
 *
 * A label is the beginning of a node id (docs/wire.md §1) and ids are hex of one length, so they lie on the ring as they sort as
 * text. Two nodes with one label cannot be told apart by routing; the one whose id sorts first comes first, for every node alike.
 */
export class Ring implements Iterable<NodeId> {
  static readonly empty: Ring = new Ring([]);
  readonly #ids: readonly NodeId[];
  readonly #estimate: number | undefined;

  private constructor(ids: readonly NodeId[], estimate?: number) {
    this.#ids = ids;
    this.#estimate = estimate;
  }

  /** `estimate`: how many there are, where these are a part of them (`View`). */
  static of(ids: Iterable<NodeId>, estimate?: number): Ring {
    return ids instanceof Ring ? ids : new Ring([...new Set(ids)].sort(), estimate);
  }

  /** Members that are known. */
  get size(): number {
    return this.#ids.length;
  }

  /** n: all members there are. */
  get total(): number {
    return Math.max(this.size, this.#estimate ?? 0);
  }

  /** There are others, who they are is not known. */
  get partial(): boolean {
    return this.#estimate !== undefined;
  }

  [Symbol.iterator](): Iterator<NodeId> {
    return this.#ids[Symbol.iterator]();
  }

  has(id: NodeId): boolean {
    return this.#ids[this.#place(id)] === id;
  }

  with(id: NodeId): Ring {
    const place = this.#place(id);
    return this.#ids[place] === id ? this : new Ring(this.#ids.toSpliced(place, 0, id), this.#estimate);
  }

  /** With all of the other's; what that one knows of their number is newer. */
  and(others: Iterable<NodeId>): Ring {
    const ring = Ring.of(others);
    return new Ring(both(this.#ids, ring.#ids), others instanceof Ring ? others.#estimate : this.#estimate);
  }

  /** The first member at or after a place that is written as an id, across the zero of the ring. */
  atOrAfter(place: string): NodeId | undefined {
    return this.#ids[this.#place(place)] ?? this.#ids[0];
  }

  /** The other members from here on; the first is the successor, the last the predecessor. */
  *clockwise(self: NodeId): Generator<NodeId> {
    const start = this.#place(self);
    for (let i = 0; i < this.#ids.length; i++) {
      const id = this.#ids[(start + i) % this.#ids.length];
      if (id !== undefined && id !== self) yield id;
    }
  }

  /** The same the other way round. */
  *counterclockwise(self: NodeId): Generator<NodeId> {
    const start = this.#place(self);
    const { length } = this.#ids;
    for (let i = 1; i <= length; i++) {
      const id = this.#ids[(start - i + length) % length];
      if (id !== undefined && id !== self) yield id;
    }
  }

  /** Where the id stands, or would. */
  #place(id: string): number {
    let [low, high] = [0, this.#ids.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ids[middle] ?? '') < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The members to stand beside: the `count` nearest in `order`, and as many further ones as are needed to have `count` that are not
 * suspected of being dead. The nearest stay wanted although suspected, because a suspicion is not a proof (a path may come back).
 */
export function nearest(order: Iterable<NodeId>, count: number, suspected: (id: NodeId) => boolean): readonly NodeId[] {
  const chosen: NodeId[] = [];
  let alive = 0;
  let index = 0;
  for (const id of order) {
    if (alive >= count && index >= count) break;
    const suspect = suspected(id);
    if (index++ >= count && suspect) continue;
    chosen.push(id);
    if (!suspect) alive++;
  }
  return chosen;
}

/** Two sorted lists in one, each once. */
function both(a: readonly NodeId[], b: readonly NodeId[]): readonly NodeId[] {
  const all: NodeId[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [x, y] = [a[i], b[j]];
    const next = y === undefined || (x !== undefined && x <= y) ? x : y;
    if (x === next) i++;
    if (y === next) j++;
    if (next !== undefined) all.push(next);
  }
  return all;
}
