/**
 * Long-distance links as in Symphony (Manku, Bawa, Raghavan: "Symphony: Distributed Hashing in a Small World", USITS 2003, §3.1).
 *
 * A link's length, as a share of the ring, has the harmonic density p(x) = 1 / (x ln n) on [1/n, 1]: as many links per octave of
 * distance. That makes greedy routing take O(log² n / k) hops with k links a node.
 */

import type { Random } from '../machine.ts';
import { clockwise, type Label, labelOf, type NodeId, RING_SIZE } from './label.ts';

/** Draws tried before a link is given up for now: most failures are draws that hit a neighbour on a small ring. */
const TRIES = 32;

/** A length in [1/n, 1): the inverse of the distribution function F(x) = ln(n x) / ln n at `u`. The logarithm is natural. */
export function harmonicLength(n: number, u: number): number {
  return Math.exp(Math.log(n) * (u - 1));
}

/** Links that `auto` stands for. */
export function automaticLinks(n: number): number {
  return n < 2 ? 0 : Math.ceil(Math.log2(n));
}

/**
 * A member to link to, or undefined if every draw met one in `taken`.
 * The drawn place belongs to the first member at or after it.
 * @param order the other members, clockwise from `self`
 */
export function drawLink(
  self: NodeId,
  order: readonly NodeId[],
  taken: ReadonlySet<NodeId>,
  random: Random,
): NodeId | undefined {
  const n = order.length + 1;
  if (order.every((id) => taken.has(id))) return undefined;
  const origin = labelOf(self);
  for (let i = 0; i < TRIES; i++) {
    const id = ownerOf(harmonicLength(n, random()), origin, order);
    if (id !== undefined && !taken.has(id)) return id;
  }
  return undefined;
}

function ownerOf(length: number, origin: Label, order: readonly NodeId[]): NodeId | undefined {
  // 53 bits of a float are far finer than the distances between members.
  const distance = BigInt(Math.floor(length * 2 ** 53)) * (RING_SIZE >> 53n);
  return order.find((id) => clockwise(origin, labelOf(id)) >= distance);
}
