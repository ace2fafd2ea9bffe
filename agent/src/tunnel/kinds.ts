import type { EdgeKind } from '../api.ts';

export const EDGE_KINDS: readonly EdgeKind[] = ['successor', 'predecessor', 'long-distance', 'on-demand', 'static'];

export function sameKinds(a: readonly EdgeKind[], b: readonly EdgeKind[]): boolean {
  return a.length === b.length && a.every((kind) => b.includes(kind));
}
