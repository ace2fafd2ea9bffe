/** Places on the ring of all 2^64 labels (docs/wire.md §1), and how far they are from each other. */

import type { Label } from '../wire/ids.ts';

export { type Label, labelHex, labelOf, type NodeId } from '../wire/ids.ts';

export const RING_BITS = 64n;
export const RING_SIZE = 1n << RING_BITS;

/** How far `to` is from `from`, walking clockwise only. */
export function clockwise(from: Label, to: Label): bigint {
  return (to - from) & (RING_SIZE - 1n);
}

/** A distance as a share of the ring. */
export const shareOf = (distance: bigint): number => Number(distance) / Number(RING_SIZE);

/** How far two places are from each other by the shorter way round. */
export function shorterWay(a: Label, b: Label): bigint {
  const cw = clockwise(a, b);
  return cw <= RING_SIZE / 2n ? cw : RING_SIZE - cw;
}

export function compareLabels(a: Label, b: Label): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
