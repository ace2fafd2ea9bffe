/**
 * Whom a node keeps of an overlay. Up to `WHOLE_MAX` members it is all of them. Symphony needs no more than neighbours, places to draw links
 * from, and n, so of a larger one a node keeps a few hundred whatever n is:
 *
 * - the `NEAR` nearest on each side of the ring: by them the ring closes over the dead, and by how close together they stand n is
 *   estimated (Symphony §4.3 has the sum of some segments' lengths);
 * - `OF_EACH_OCTAVE` of those in each octave of clockwise distance, as links are drawn and as greedy routing wants them. Which ones is
 *   chosen by both ids, so it makes no difference when they were heard of, and each node has others.
 *
 * A view that is partial stays so although the overlay shrinks: all of this holds for small ones too.
 *
 * Who asks the nearest known to a place, and asks that one the same, is there after a few questions: each octave is left in one.
 */
import { clockwise, labelOf, type NodeId, shareOf, shorterWay } from './label.ts';
import { Ring } from './ring.ts';

export const WHOLE_MAX = 1_000;
export const NEAR = 16;
export const OF_EACH_OCTAVE = 8;

export interface ViewOptions {
  /** Members that are all kept; without bound: Infinity. */
  readonly wholeMax?: number | undefined;
}

interface Kept {
  /** Share of the ring from this node to it, clockwise. */
  readonly distance: number;
  readonly octave: number;
  /** By chance, and the same each time: the lowest of an octave are kept. */
  readonly rank: number;
}

export class View {
  readonly #self: NodeId;
  readonly #wholeMax: number;
  readonly #chance: number;
  /** Nearest first, clockwise. */
  #order: readonly (readonly [NodeId, Kept])[] = [];
  readonly #kept = new Map<NodeId, Kept>();
  #partial = false;
  #ring: Ring | undefined;

  constructor(self: NodeId, { wholeMax = WHOLE_MAX }: ViewOptions = {}) {
    this.#self = self;
    this.#wholeMax = wholeMax;
    this.#chance = chanceOf(self);
  }

  /** Not all members are kept. */
  get partial(): boolean {
    return this.#partial;
  }

  /** Others that are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** Members of the overlay, this node among them: as known, or estimated. */
  get total(): number {
    return this.#partial ? Math.max(this.#kept.size + 1, this.#estimate()) : this.#kept.size + 1;
  }

  /** Those that are kept, without this node. */
  get ring(): Ring {
    this.#ring ??= Ring.of(this.#kept.keys(), this.#partial ? this.total : undefined);
    return this.#ring;
  }

  has(id: NodeId): boolean {
    return this.#kept.has(id);
  }

  /** From here on of an overlay of so many, by a member's word: more than all are kept of. */
  tellTotal(total: number): void {
    if (this.#partial || total <= this.#wholeMax) return;
    this.#partial = true;
    this.#prune();
  }

  /** Who are the news among them: those that are kept from now on. */
  hears(ids: Iterable<NodeId>): readonly NodeId[] {
    const fresh: NodeId[] = [];
    for (const id of ids) {
      if (id === this.#self || this.#kept.has(id)) continue;
      const kept = this.#placeOf(id);
      if (this.#partial && !this.#isOfUse(kept)) continue;
      this.#kept.set(id, kept);
      fresh.push(id);
    }
    if (fresh.length === 0) return fresh;
    // Of few the list with them is sooner made than a new one.
    this.#ring = fresh.length > 4 ? undefined : fresh.reduce((ring, id) => ring?.with(id), this.#ring);
    if (this.#kept.size >= this.#wholeMax) this.#partial = true;
    if (!this.#partial) return fresh;
    this.#prune();
    return fresh.filter((id) => this.#kept.has(id));
  }

  /** It is no member any more. */
  forget(id: NodeId): void {
    if (!this.#kept.delete(id)) return;
    this.#ring = undefined;
    if (this.#partial) this.#prune();
  }

  /** The one of these and this node itself that stands nearest before the place, clockwise: never past it. */
  nearestTo(id: NodeId): NodeId {
    const place = labelOf(id);
    let [best, left] = [this.#self, clockwise(labelOf(this.#self), place)];
    for (const one of this.#kept.keys()) {
      const distance = clockwise(labelOf(one), place);
      if (one !== id && distance < left) [best, left] = [one, distance];
    }
    return best;
  }

  /** Whether it may be one of the nearest of `other`: members are taken to stand as close together there as here. */
  isNear(id: NodeId, other: NodeId): boolean {
    return shareOf(shorterWay(labelOf(id), labelOf(other))) <= this.#reach;
  }

  #placeOf(id: NodeId): Kept {
    const distance = shareOf(clockwise(labelOf(this.#self), labelOf(id)));
    const octave = Math.floor(-Math.log2(Math.max(distance, 2 ** -64)));
    return { distance, octave, rank: mixed(this.#chance ^ chanceOf(id)) };
  }

  /** Of a partial view, before it is sorted anew. */
  #isOfUse({ distance, octave, rank }: Kept): boolean {
    const { [NEAR - 1]: ahead, [this.#order.length - NEAR]: behind } = this.#order;
    if (ahead === undefined || behind === undefined) return true;
    if (distance < ahead[1].distance || distance > behind[1].distance) return true;
    let better = 0;
    for (const [, kept] of this.#order) if (kept.octave === octave && kept.rank < rank) better++;
    return better < OF_EACH_OCTAVE;
  }

  #prune(): void {
    const all = [...this.#kept].sort(([, a], [, b]) => a.distance - b.distance);
    const octaves = new Map<number, Kept[]>();
    for (const [, kept] of all) {
      const octave = octaves.get(kept.octave);
      if (octave === undefined) octaves.set(kept.octave, [kept]);
      else octave.push(kept);
    }
    const chosen = new Set<Kept>();
    for (const octave of octaves.values())
      for (const kept of octave.sort((a, b) => a.rank - b.rank).slice(0, OF_EACH_OCTAVE)) chosen.add(kept);
    this.#order = all.filter(([, kept], i) => i < NEAR || i >= all.length - NEAR || chosen.has(kept));
    if (this.#order.length < all.length) {
      this.#kept.clear();
      for (const [id, kept] of this.#order) this.#kept.set(id, kept);
    }
    this.#ring = undefined;
  }

  /** Of the ring, from the farthest of the near ones to this node; the mean of both sides. */
  get #reach(): number {
    const { [NEAR - 1]: ahead, [this.#order.length - NEAR]: behind } = this.#order;
    if (!this.#partial || ahead === undefined || behind === undefined) return 1;
    return (ahead[1].distance + 1 - behind[1].distance) / 2;
  }

  #estimate(): number {
    return Math.round(NEAR / this.#reach);
  }
}

/** 32 bits of an id behind its label. */
const chanceOf = (id: NodeId): number => Number.parseInt(id.slice(16, 24), 16) | 0;

/** Each bit of the input changes half of those of the output (the end of MurmurHash3). */
function mixed(bits: number): number {
  let h = bits;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
