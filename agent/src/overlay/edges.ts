/** The whole picture of wanted edges, and the edits that turn the present ones into it. */

import type { EdgeKind } from '../api.ts';
import type { NodeId } from './label.ts';

/** In this order kinds are listed, so that two lists of the same kinds are equal. */
export const EDGE_KINDS = [
  'successor',
  'predecessor',
  'long-distance',
  'on-demand',
  'static',
] as const satisfies readonly EdgeKind[];

/** What an edge is to us when it is `kind` to the peer. */
export function mirrored(kind: EdgeKind): EdgeKind {
  return kind === 'successor' ? 'predecessor' : kind === 'predecessor' ? 'successor' : kind;
}

export function sortedKinds(kinds: Iterable<EdgeKind>): readonly EdgeKind[] {
  const set = new Set(kinds);
  return EDGE_KINDS.filter((kind) => set.has(kind));
}

export function sameKinds(a: readonly EdgeKind[], b: readonly EdgeKind[]): boolean {
  return a.length === b.length && a.every((kind, i) => kind === b[i]);
}

export interface Wanted {
  readonly peer: NodeId;
  /** What the edge is for us; empty if only the peer wants it. */
  readonly kinds: readonly EdgeKind[];
  /** `kinds`, and what the edge is to us because of what it is to the peer. */
  readonly seen: readonly EdgeKind[];
}

export interface PresentEdge extends Wanted {
  /** Whether records can cross it now. */
  readonly up: boolean;
}

export type EdgeEdit =
  | ({ readonly op: 'add' } & Wanted)
  | ({ readonly op: 'change' } & Wanted)
  | { readonly op: 'remove'; readonly peer: NodeId };

/**
 * Edits that turn the present edges into the wanted ones, additions first.
 * A present ring edge of ours stays until every wanted ring edge is up: a ring with a hole drops broadcasts. (One that only the peer
 * wanted is not ours to keep: the peer removes it.)
 */
export function planEdges(wanted: readonly Wanted[], present: readonly PresentEdge[]): readonly EdgeEdit[] {
  const want = new Map(wanted.map((w) => [w.peer, w]));
  const have = new Map(present.map((e) => [e.peer, e]));
  const ringClosed = wanted.every((w) => !isRing(w.kinds) || have.get(w.peer)?.up === true);
  const edits: EdgeEdit[] = wanted.filter((w) => !have.has(w.peer)).map((w) => ({ op: 'add', ...w }));
  for (const edge of present) {
    const w = want.get(edge.peer);
    if (w !== undefined) {
      if (!sameKinds(w.kinds, edge.kinds) || !sameKinds(w.seen, edge.seen)) edits.push({ op: 'change', ...w });
    } else if (ringClosed || !edge.up || !isRing(edge.kinds)) {
      edits.push({ op: 'remove', peer: edge.peer });
    }
  }
  return edits;
}

function isRing(kinds: readonly EdgeKind[]): boolean {
  return kinds.includes('successor') || kinds.includes('predecessor');
}
