/**
 * Of long-distance links that are as good as each other the nearest by round trip stays.
 *
 * Links are as good as each other when their lengths lie in one octave, since a link is drawn with equal chance for every octave.
 * How near a member is only a tunnel to it tells: what goes over others measures those. So now and then one more link is made beside
 * the one with the longest round trip, to a member of its octave that is drawn as a link would be, and the nearer of the two stays.
 * Which members are near has nothing to do with where they stand on the ring, so lengths keep their distribution.
 */

import type { Instant, Random } from '../machine.ts';
import { clockwise, labelOf, type NodeId, shareOf } from './label.ts';
import type { Ring } from './ring.ts';

/** Between two looks there is time for the tunnel to be made and to find its direct path. */
export const LOOK_MS = 30_000;
/** After links were drawn, and after one was exchanged. */
export const PAUSE_MS = 300_000;
/** Twice as long after each trial that was for nothing, up to a day: an overlay at rest tries nothing any more. */
export const PAUSE_MAX_MS = 86_400_000;
/** A link this near is near enough. */
export const NEAR_MS = 10;
/** What another one has to have of the round trip to be nearer: less is chance. */
const NEARER = 0.8;

export interface Exchange {
  readonly out: NodeId;
  readonly into: NodeId;
}

export class Trial {
  readonly #self: NodeId;
  readonly #random: Random;
  #pair: { readonly incumbent: NodeId; readonly challenger: NodeId } | undefined;
  #beganAt: Instant = 0;
  #nextAt: Instant | undefined;
  #pauseMs = PAUSE_MS;
  /** Compared with the links there are. */
  readonly #tried = new Set<NodeId>();

  constructor(self: NodeId, random: Random) {
    this.#self = self;
    this.#random = random;
  }

  /** The peer of the link that is on trial. */
  get challenger(): NodeId | undefined {
    return this.#pair?.challenger;
  }

  /** Links were drawn: what was found out before says nothing about them. */
  reset(): void {
    this.#nextAt = undefined;
    this.#pauseMs = PAUSE_MS;
    this.#tried.clear();
  }

  /** One of the two is no link any more, or cannot be one. */
  end(): void {
    if (this.#pair === undefined) return;
    this.#pair = undefined;
    this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_MAX_MS);
    this.#nextAt = undefined;
  }

  /**
   * Ends a trial, or begins one.
   * @param ring with this node
   * @param links that are right in length and number; none: nothing is begun
   * @param taken peers that are no use as a link
   * @param roundTrips of the peers with a tunnel, in milliseconds
   * @returns the link that gives way to another
   */
  look(
    ring: Ring,
    links: readonly NodeId[],
    taken: ReadonlySet<NodeId>,
    roundTrips: ReadonlyMap<NodeId, number>,
    now: Instant,
  ): Exchange | undefined {
    if (this.#pair !== undefined) return now < this.#beganAt + LOOK_MS ? undefined : this.#judge(roundTrips, now);
    this.#nextAt ??= now + this.#pauseMs;
    if (now >= this.#nextAt) this.#begin(ring, links, taken, roundTrips, now);
    return undefined;
  }

  #judge(roundTrips: ReadonlyMap<NodeId, number>, now: Instant): Exchange | undefined {
    const { incumbent, challenger } = this.#pair ?? { incumbent: '', challenger: '' };
    this.#pair = undefined;
    const [old, other] = [roundTrips.get(incumbent), roundTrips.get(challenger)];
    const nearer = other !== undefined && (old === undefined || other < NEARER * old);
    this.#pauseMs = nearer ? PAUSE_MS : Math.min(2 * this.#pauseMs, PAUSE_MAX_MS);
    this.#nextAt = now + this.#pauseMs;
    return nearer ? { out: incumbent, into: challenger } : undefined;
  }

  #begin(
    ring: Ring,
    links: readonly NodeId[],
    taken: ReadonlySet<NodeId>,
    roundTrips: ReadonlyMap<NodeId, number>,
    now: Instant,
  ): void {
    const far = (peer: NodeId) => roundTrips.get(peer) ?? 0;
    const [incumbent] = links.filter((peer) => far(peer) > NEAR_MS).toSorted((a, b) => far(b) - far(a));
    if (incumbent === undefined) return;
    const free = (peer: NodeId) => !taken.has(peer) && !links.includes(peer) && !this.#tried.has(peer);
    const challenger = this.#draw(ring, incumbent, free);
    if (challenger === undefined) {
      this.#nextAt = now + PAUSE_MAX_MS;
      return;
    }
    this.#tried.add(challenger);
    this.#pair = { incumbent, challenger };
    this.#beganAt = now;
  }

  /** A member as many places away as the incumbent, within an octave, by the chance that it has to be drawn as a link. */
  #draw(ring: Ring, incumbent: NodeId, free: (peer: NodeId) => boolean): NodeId | undefined {
    const own = labelOf(this.#self);
    const placesTo = (peer: NodeId) => Math.max(1, shareOf(clockwise(own, labelOf(peer))) * ring.total);
    const octaveOf = (peer: NodeId) => Math.floor(Math.log2(placesTo(peer)));
    const octave = octaveOf(incumbent);
    const others = [...ring.clockwise(this.#self)]
      .filter((peer) => octaveOf(peer) === octave && free(peer))
      .map((peer) => ({ peer, weight: 1 / placesTo(peer) }));
    let at = this.#random() * others.reduce((sum, { weight }) => sum + weight, 0);
    for (const { peer, weight } of others) {
      at -= weight;
      if (at < 0) return peer;
    }
    return others.at(-1)?.peer;
  }
}
