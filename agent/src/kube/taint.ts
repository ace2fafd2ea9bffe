/** The taint that keeps pods away from a node until its data path is proven. Pure. */
import type { PatchStep } from '../kube-api/client.ts';

export const NOT_READY_TAINT = 'node.evio.io/agent-not-ready';

/**
 * Takes the taint off a Node, whatever its effect; undefined when it has none. Each removal is preceded by a test that the taint is still
 * where it was, so that a taint of somebody else is never taken.
 */
export function untaint(node: unknown): readonly PatchStep[] | undefined {
  const taints = taintsOf(node);
  const ours = taints.flatMap((taint, at) =>
    taint.key === NOT_READY_TAINT ? [{ taint, path: `/spec/taints/${at}` }] : [],
  );
  if (ours.length === 0) return undefined;
  // From the end, so that the places of those before stay.
  return ours.reverse().flatMap(({ taint, path }): readonly PatchStep[] => [
    { op: 'test', path, value: taint },
    { op: 'remove', path },
  ]);
}

function taintsOf(node: unknown): readonly Readonly<Record<string, unknown>>[] {
  const { taints } = fields(fields(node).spec);
  return Array.isArray(taints) ? taints.map(fields) : [];
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
