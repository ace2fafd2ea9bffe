/** Which certificates go to a neighbour in `members` bodies, so that membership spreads without the server. */
import type { Random } from '../machine.ts';
import { type BodyOf, GOSSIP_MAX } from '../wire/bodies.ts';
import type { Certificate } from '../wire/certificate.ts';
import { labelOf, type NodeId, ringDistance } from '../wire/ids.ts';

/** A body has at most 16 KiB, and its base64 must leave room for the frame around it. */
const BATCH_MAX_CHARACTERS = 15_000;

/** As few bodies as hold all of these certificates. */
export function gossipBodies(certificates: readonly Certificate[]): readonly BodyOf<'members'>[] {
  const bodies: BodyOf<'members'>[] = [];
  let batch: string[] = [];
  let characters = 0;
  for (const { bytes } of certificates) {
    const text = bytes.toString('base64');
    if (batch.length === GOSSIP_MAX || characters + text.length > BATCH_MAX_CHARACTERS) {
      bodies.push({ type: 'members', certificates: batch });
      batch = [];
      characters = 0;
    }
    batch.push(text);
    characters += text.length + 3;
  }
  return batch.length === 0 ? bodies : [...bodies, { type: 'members', certificates: batch }];
}

/** The members around a neighbour on the ring: those it needs first, to find its place. */
export function nearestTo(nodeId: NodeId, members: Iterable<Certificate>, count: number): readonly Certificate[] {
  const at = labelOf(nodeId);
  const distance = ({ label }: Certificate) => {
    // Either way round.
    const sorted = [ringDistance(at, label), ringDistance(label, at)].sort((a, b) => (a < b ? -1 : 1));
    return sorted[0] ?? 0n;
  };
  return [...members]
    .filter((c) => c.nodeId !== nodeId)
    .sort((a, b) => (distance(a) < distance(b) ? -1 : 1))
    .slice(0, count);
}

/** The members on either side of a node, `each` of them; the nearest come first. */
export function beside(nodeId: NodeId, members: Iterable<Certificate>, each: number): readonly Certificate[] {
  const at = labelOf(nodeId);
  const others = [...members].filter((c) => c.nodeId !== nodeId);
  others.sort((a, b) => (ringDistance(at, a.label) < ringDistance(at, b.label) ? -1 : 1));
  return [...new Set([...others.slice(0, each), ...others.slice(-each).reverse()])];
}

/** Who comes after a member, by node id; as many as a body holds. */
export function following(after: NodeId, members: Iterable<Certificate>): BodyOf<'members'> {
  const next = [...members].filter((c) => c.nodeId > after).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const [body] = gossipBodies(next.slice(0, GOSSIP_MAX));
  return { type: 'members', certificates: [], ...body, after };
}

/** Some members by chance: over time everybody hears of everybody. */
export function someOf(
  members: Iterable<Certificate>,
  but: NodeId,
  count: number,
  random: Random,
): readonly Certificate[] {
  const pool = [...members].filter((c) => c.nodeId !== but);
  const picked: Certificate[] = [];
  while (picked.length < count && pool.length > 0) picked.push(...pool.splice(Math.floor(random() * pool.length), 1));
  return picked;
}
