/** Our own long-distance links: drawn once, kept while they are right. */

import type { Random } from '../machine.ts';
import type { NodeId } from './label.ts';
import { drawLink } from './symphony.ts';

/** Once the overlay grew or shrank by this since a link was drawn, its length is no longer right (Symphony §3.4). */
const REDRAW_FACTOR = 2;

export class Links {
  readonly #self: NodeId;
  readonly #random: Random;
  /** The peers, and how many nodes there were when each was drawn; undefined for adopted ones until that is known. */
  readonly #drawnAmong = new Map<NodeId, number | undefined>();

  constructor(self: NodeId, random: Random) {
    this.#self = self;
    this.#random = random;
  }

  get peers(): readonly NodeId[] {
    return [...this.#drawnAmong.keys()];
  }

  /** A link of an earlier run is as good as one drawn now. */
  adopt(peer: NodeId): void {
    this.#drawnAmong.set(peer, undefined);
  }

  remove(peer: NodeId): void {
    this.#drawnAmong.delete(peer);
  }

  /**
   * Gives up links that are wrong, then draws what is missing.
   * @param order the other members, clockwise from here
   * @param never peers that are no use as a link: ring neighbours, suspects, those that refused
   */
  update(order: readonly NodeId[], count: number, never: ReadonlySet<NodeId>): void {
    const n = order.length + 1;
    const members = new Set(order);
    for (const [peer, among] of this.#drawnAmong) {
      const grown = among !== undefined && (n >= among * REDRAW_FACTOR || n * REDRAW_FACTOR <= among);
      if (grown || never.has(peer) || !members.has(peer)) this.#drawnAmong.delete(peer);
      else if (among === undefined) this.#drawnAmong.set(peer, n);
    }
    for (const surplus of this.peers.slice(count)) this.#drawnAmong.delete(surplus);
    while (this.#drawnAmong.size < count) {
      const peer = drawLink(this.#self, order, new Set([...never, ...this.peers]), this.#random);
      if (peer === undefined) return;
      this.#drawnAmong.set(peer, n);
    }
  }
}
