/** The members in ring order, and who stands beside whom. */

import { clockwise, labelOf, type NodeId } from './label.ts';

/**
 * The other members, clockwise from `self`: the first is its successor, the last its predecessor.
 * Two nodes with one label cannot be told apart by routing; the one whose id sorts first comes first, on every node alike.
 */
export function clockwiseFrom(self: NodeId, members: Iterable<NodeId>): readonly NodeId[] {
  const origin = labelOf(self);
  return [...new Set(members)]
    .filter((id) => id !== self)
    .map((id) => ({ id, distance: clockwise(origin, labelOf(id)) }))
    .sort((a, b) => (a.distance < b.distance ? -1 : a.distance > b.distance ? 1 : a.id < b.id ? -1 : 1))
    .map(({ id }) => id);
}

/**
 * The members to stand beside: the `count` nearest in `order`, and as many further ones as are needed to have `count` that are not
 * suspected of being dead. The nearest stay wanted although suspected, because a suspicion is not a proof (a path may come back).
 */
export function nearest(
  order: readonly NodeId[],
  count: number,
  suspected: (id: NodeId) => boolean,
): readonly NodeId[] {
  const chosen: NodeId[] = [];
  let alive = 0;
  for (const [index, id] of order.entries()) {
    if (alive >= count && index >= count) break;
    const suspect = suspected(id);
    if (index >= count && suspect) continue;
    chosen.push(id);
    if (!suspect) alive++;
  }
  return chosen;
}
