/** Our own long-distance links: drawn once, kept while they are right. */

import type { Instant, Random } from '../machine.ts';
import type { NodeId } from './label.ts';
import type { Ring } from './ring.ts';
import { drawLink } from './symphony.ts';
import { Trial } from './trial.ts';

/** Once the overlay grew or shrank by this since a link was drawn, its length is no longer right (Symphony §3.4). */
const REDRAW_FACTOR = 2;

export class Links {
  readonly #self: NodeId;
  readonly #random: Random;
  /** The peers, and how many nodes there were when each was drawn; undefined for adopted ones until that is known. */
  readonly #drawnAmong = new Map<NodeId, number | undefined>();
  readonly #trial: Trial;

  constructor(self: NodeId, random: Random) {
    this.#self = self;
    this.#random = random;
    this.#trial = new Trial(self, random);
  }

  /** With the one that is on trial. */
  get peers(): readonly NodeId[] {
    const { challenger } = this.#trial;
    return challenger === undefined ? this.#drawn : [...this.#drawn, challenger];
  }

  get #drawn(): readonly NodeId[] {
    return [...this.#drawnAmong.keys()];
  }

  /** A link of an earlier run is as good as one drawn now. */
  adopt(peer: NodeId): void {
    this.#drawnAmong.set(peer, undefined);
  }

  remove(peer: NodeId): void {
    this.#giveUp(peer);
  }

  /**
   * Gives up links that are no use, and draws what is missing. Links whose length is no longer right are exchanged one after the
   * other, each only when its replacement is up: they still lead somewhere, and when an overlay doubles all its nodes find so at once.
   * @param ring with this node
   * @param never peers that are no use as a link: ring neighbours, suspects, those that refused
   * @param isUp whether records can cross the link now
   */
  update(ring: Ring, count: number, never: ReadonlySet<NodeId>, isUp: (peer: NodeId) => boolean): void {
    const n = ring.total;
    const { challenger } = this.#trial;
    if (challenger !== undefined && (never.has(challenger) || !ring.has(challenger))) this.#trial.end();
    for (const [peer, among] of this.#drawnAmong) {
      if (never.has(peer) || !ring.has(peer)) this.#giveUp(peer);
      else if (among === undefined) this.#drawnAmong.set(peer, n);
    }
    const room = count + this.#exchange(n, count, isUp);
    const wrong = this.#wrong(n);
    const leastUse = [...wrong, ...this.#drawn.filter((peer) => !wrong.includes(peer)).toReversed()];
    for (const surplus of leastUse.slice(0, Math.max(0, this.#drawnAmong.size - room)))
      this.#drawnAmong.delete(surplus);
    while (this.#drawnAmong.size < room) {
      const peer = drawLink(this.#self, ring, new Set([...never, ...this.peers]), this.#random);
      if (peer === undefined) return;
      this.#drawnAmong.set(peer, n);
      this.#trial.reset();
    }
    // A replacement may be up already: there was a tunnel for another reason.
    if (room > count && this.#replacementsUp(n, isUp)) this.update(ring, count, never, isUp);
  }

  #giveUp(peer: NodeId): void {
    this.#drawnAmong.delete(peer);
    this.#trial.end();
  }

  /**
   * One more link is tried for its round trip, or the one on trial takes the place of another, or goes.
   * @param ring with this node, as `never` is for `update`
   * @param roundTrips of the peers with a tunnel, in milliseconds
   */
  compare(
    ring: Ring,
    count: number,
    never: ReadonlySet<NodeId>,
    roundTrips: ReadonlyMap<NodeId, number>,
    now: Instant,
  ): void {
    const steady = this.#drawnAmong.size === count && this.#wrong(ring.total).length === 0;
    const exchange = this.#trial.look(ring, steady ? this.#drawn : [], never, roundTrips, now);
    if (exchange === undefined || !this.#drawnAmong.delete(exchange.out)) return;
    this.#drawnAmong.set(exchange.into, ring.total);
  }

  /** Gives up a wrong link whose replacement is up; 1 while there is one more to be replaced. */
  #exchange(n: number, count: number, isUp: (peer: NodeId) => boolean): number {
    const wrong = this.#wrong(n);
    const [first] = wrong;
    if (first === undefined) return 0;
    const replaced = this.#drawnAmong.size > count;
    if (!this.#replacementsUp(n, isUp)) return Number(replaced);
    if (!replaced) return 1;
    this.#drawnAmong.delete(first);
    return Number(wrong.length > 1);
  }

  #replacementsUp(n: number, isUp: (peer: NodeId) => boolean): boolean {
    const wrong = this.#wrong(n);
    return this.#drawn.every((peer) => wrong.includes(peer) || isUp(peer));
  }

  #wrong(n: number): readonly NodeId[] {
    return [...this.#drawnAmong].flatMap(([peer, among = n]) =>
      n >= among * REDRAW_FACTOR || n * REDRAW_FACTOR <= among ? [peer] : [],
    );
  }
}
