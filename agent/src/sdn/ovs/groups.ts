/**
 * The groups the flows of Open vSwitch lead to. A group's number follows from what is in it: the same group has the same number after
 * a restart of the agent, and one that changes is another group, so that flows move over to it one by one and no frame ever meets
 * buckets that are meant for others.
 */

import { bucketsText } from '../group.ts';
import { BUCKET_DEFAULTS, type Group } from '../openflow/index.ts';

/** The highest byte of our groups' numbers, "E", tells them from those of others; below it are 24 bits of their own. */
const OURS = 0x45;
const OWN_BITS = 24;
const OWN_MASK = 2 ** OWN_BITS - 1;

export function ownGroup(group: number): boolean {
  return group >>> OWN_BITS === OURS;
}

type Content = Pick<Group, 'type' | 'buckets'>;

/** The first of the ports whose link is up, with no controller asked (OpenFlow 1.3.5 §5.6.1). */
export function failover(ports: readonly number[]): Content {
  const buckets = ports.map((port) => ({
    ...BUCKET_DEFAULTS,
    watchPort: port,
    actions: [{ type: 'output', port }] as const,
  }));
  return { type: 'fast-failover', buckets };
}

/** Every one of the ports but the one the frame came in. */
export function all(ports: readonly number[]): Content {
  return { type: 'all', buckets: ports.map((port) => ({ ...BUCKET_DEFAULTS, actions: [{ type: 'output', port }] })) };
}

/** Numbers for groups as they come to be wanted; what numbers they get does not depend on the order of that. */
export class Groups {
  readonly #contents = new Map<string, Content>();

  want(content: Content): string {
    const key = `${content.type} ${bucketsText(content)}`;
    this.#contents.set(key, content);
    return key;
  }

  /** All that were wanted, by what `want` answered. */
  numbered(): ReadonlyMap<string, Group> {
    const taken = new Set<number>();
    const groups = new Map<string, Group>();
    for (const [key, content] of [...this.#contents].sort(([a], [b]) => (a < b ? -1 : 1))) {
      // Odd numbers are those of leaf ports: even where two groups have one hash, no frame from a tap ever meets a group of taps.
      let own = (hash(key) & OWN_MASK & ~1) | Number(content.type === 'all');
      while (taken.has(own)) own = (own + 2) & OWN_MASK;
      taken.add(own);
      groups.set(key, { group: OURS * 2 ** OWN_BITS + own, ...content });
    }
    return groups;
  }
}

/** FNV-1a, 32 bits, folded so that the low bits are as good as any. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return (h >>> 0) ^ (h >>> 8);
}
