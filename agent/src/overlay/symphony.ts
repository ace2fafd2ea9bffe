/**
 * Long-distance links as in Symphony (Manku, Bawa, Raghavan: "Symphony: Distributed Hashing in a Small World", USITS 2003, §3.1).
 *
 * A link's length, as a share of the ring, has the harmonic density p(x) = 1 / (x ln n) on [1/n, 1]: as many links per octave of
 * distance. That makes greedy routing take O(log² n / k) hops with k links a node.
 */

import type { Random } from '../machine.ts';
import { clockwise, labelHex, labelOf, type NodeId, RING_SIZE } from './label.ts';
import type { Ring } from './ring.ts';

/** Draws tried before a link is given up for now: most failures are draws that hit a neighbour on a small ring. */
const TRIES = 32;

/** A length in [1/n, 1): the inverse of the distribution function F(x) = ln(n x) / ln n at `u`. The logarithm is natural. */
export function harmonicLength(n: number, u: number): number {
  return Math.exp(Math.log(n) * (u - 1));
}

/**
 * A member to link to, or undefined if every draw met one in `taken`.
 * The drawn place belongs to the first member at or after it; of a part of the members, which has some of each octave, to the first of those.
 * @param ring with `self`
 */
export function drawLink(self: NodeId, ring: Ring, taken: ReadonlySet<NodeId>, random: Random): NodeId | undefined {
  let free = ring.size - 1;
  for (const id of taken) if (id !== self && ring.has(id)) free--;
  if (free <= 0) return undefined;
  for (let i = 0; i < TRIES; i++) {
    const id = ownerOf(harmonicLength(ring.total, random()), self, ring);
    if (id !== undefined && !taken.has(id)) return id;
  }
  return undefined;
}

/** Undefined where the first one from that place on is `self`, or lies behind it. */
function ownerOf(length: number, self: NodeId, ring: Ring): NodeId | undefined {
  const origin = labelOf(self);
  // 53 bits of a float are far finer than the distances between members.
  const distance = BigInt(Math.floor(length * 2 ** 53)) * (RING_SIZE >> 53n);
  const id = ring.atOrAfter(labelHex((origin + distance) % RING_SIZE));
  return id !== undefined && id !== self && clockwise(origin, labelOf(id)) >= distance ? id : undefined;
}
