/**
 * Which remote nodes deserve an edge of their own because much traffic goes to them.
 *
 * A rate is an exponentially weighted average of the bytes per second a label exchanges with us. An edge comes at the high mark, and
 * goes once the rate has been under the low mark for a minute: two marks and a delay, so that a bursty talker does not make its
 * edge come and go.
 */

import { earliest, type Instant } from '../machine.ts';
import type { NodeId } from './label.ts';

/** Bytes since tincan started, as its `demand` answers. */
export interface DemandSample {
  readonly peer: NodeId;
  readonly bytes: number;
}

/** Time after which an old rate counts 1/e. */
export const RATE_TIME_CONSTANT_MS = 5_000;
/** An edge is wanted from here (1 Mbit/s)... */
export const HIGH_BYTES_PER_S = 125_000;
/** ...and is idle under this. */
export const LOW_BYTES_PER_S = 12_500;
export const IDLE_MS = 60_000;
/** A newcomer takes the place of the slowest holder only at twice its rate. */
const REPLACE_FACTOR = 2;
/** Peers whose rates are kept; the slowest are forgotten first. */
const RATES_KEPT = 1_024;

interface Rate {
  bytes: number;
  perSecond: number;
}

export class Demand {
  readonly #rates = new Map<NodeId, Rate>();
  /** Peers with an on-demand edge, and the last instant their rate was not idle. */
  readonly #holders = new Map<NodeId, Instant>();
  #sampledAt: Instant | undefined;

  get holders(): ReadonlySet<NodeId> {
    return new Set(this.#holders.keys());
  }

  /** When the next holder may have become idle. */
  deadline(): Instant | undefined {
    return earliest(...[...this.#holders.values()].map((busyAt) => busyAt + IDLE_MS));
  }

  sample(samples: readonly DemandSample[], now: Instant): void {
    const elapsedMs = this.#sampledAt === undefined ? 0 : now - this.#sampledAt;
    this.#sampledAt = now;
    const keep = Math.exp(-elapsedMs / RATE_TIME_CONSTANT_MS);
    const seen = new Set<NodeId>();
    for (const { peer, bytes } of samples) {
      seen.add(peer);
      const last = this.#rates.get(peer);
      // A counter that went back is that of a tincan which started anew: all of it is new.
      const since = last === undefined ? 0 : bytes >= last.bytes ? bytes - last.bytes : bytes;
      const current = elapsedMs > 0 ? (since * 1_000) / elapsedMs : 0;
      const perSecond = (last?.perSecond ?? 0) * keep + current * (1 - keep);
      this.#rates.set(peer, { bytes, perSecond });
      if (perSecond >= LOW_BYTES_PER_S && this.#holders.has(peer)) this.#holders.set(peer, now);
    }
    for (const [peer, rate] of this.#rates) if (!seen.has(peer)) rate.perSecond *= keep;
    this.#forgetSlowest();
  }

  /** An on-demand edge that exists already, for example one an earlier run of the agent made. */
  adopt(peer: NodeId, now: Instant): void {
    if (!this.#holders.has(peer)) this.#holders.set(peer, now);
  }

  /** Drops what must not have an on-demand edge (any more): no member, refused, or idle; then gives free places to the busiest. */
  decide(bound: number, eligible: (peer: NodeId) => boolean, now: Instant): void {
    for (const [peer, busyAt] of this.#holders) {
      if (now >= busyAt + IDLE_MS || !eligible(peer)) this.#holders.delete(peer);
    }
    const bySpeed = (a: NodeId, b: NodeId) => this.#perSecond(b) - this.#perSecond(a) || (a < b ? -1 : 1);
    const surplus = [...this.#holders.keys()].sort(bySpeed).slice(bound);
    for (const peer of surplus) this.#holders.delete(peer);
    // Rates are as of the last sample; without samples they fade all the same.
    const age = Math.exp(((this.#sampledAt ?? now) - now) / RATE_TIME_CONSTANT_MS);
    const wanting = [...this.#rates]
      .filter(([peer, rate]) => rate.perSecond * age >= HIGH_BYTES_PER_S && !this.#holders.has(peer) && eligible(peer))
      .map(([peer]) => peer)
      .sort(bySpeed);
    for (const peer of wanting) {
      if (this.#holders.size >= bound && !this.#makeRoomFor(peer, bySpeed)) break;
      this.#holders.set(peer, now);
    }
  }

  #makeRoomFor(peer: NodeId, bySpeed: (a: NodeId, b: NodeId) => number): boolean {
    const slowest = [...this.#holders.keys()].sort(bySpeed).at(-1);
    if (slowest === undefined || this.#perSecond(peer) < REPLACE_FACTOR * this.#perSecond(slowest)) return false;
    this.#holders.delete(slowest);
    return true;
  }

  #perSecond(peer: NodeId): number {
    return this.#rates.get(peer)?.perSecond ?? 0;
  }

  #forgetSlowest(): void {
    if (this.#rates.size <= RATES_KEPT) return;
    const slowest = [...this.#rates].sort(([, a], [, b]) => a.perSecond - b.perSecond);
    for (const [peer] of slowest.slice(0, this.#rates.size - RATES_KEPT)) this.#rates.delete(peer);
  }
}
