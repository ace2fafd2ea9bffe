/** What one node's agent tells (`status`, `peers`) to what the map shows: its own tunnels, and the members it knows. Pure. */
import type { Peer, EdgeKind as PeerKind, Status } from '../../agent/src/api.ts';
import { labelHex, labelOf } from '../../agent/src/wire/ids.ts';
import {
  type EdgeKind,
  edgeOrder,
  type MapEdge,
  type MapModel,
  type MapNode,
  ringOrder,
  sortedKinds,
} from './model.ts';

/** Bytes of each peer at one time, to make throughput of two of them. */
export interface Counted {
  readonly atMs: number;
  readonly bytes: ReadonlyMap<string, number>;
}

export const countedOf = (peers: readonly Peer[], atMs: number): Counted => ({
  atMs,
  bytes: new Map(peers.map(({ id, txBytes, rxBytes }) => [id, txBytes + rxBytes])),
});

const KIND: Readonly<Record<PeerKind, EdgeKind>> = {
  successor: 'successor',
  predecessor: 'successor',
  'long-distance': 'long-distance',
  'on-demand': 'on-demand',
  static: 'static',
};

/** `before`: what was counted when it was asked last; `nowMs`: milliseconds since 1970, as `before.atMs`. */
export function modelOfNode(
  status: Status,
  peers: readonly Peer[],
  before: Counted | undefined,
  nowMs: number,
): MapModel {
  const { node, overlay } = status;
  const edges = peers.flatMap((peer) => edgeOf(node.name, peer, before, nowMs));
  const count = (is: (edge: MapEdge) => boolean): number => edges.filter(is).length;
  const up = (edge: MapEdge): boolean => edge.state === 'up';
  const problem = status.problems[0]?.text ?? status.signalling.error ?? '';
  const own: MapNode = {
    name: node.name,
    label: node.label,
    state: status.ringComplete && status.tincan !== null ? 'ready' : 'not-ready',
    reason: status.tincan === null ? 'DataPlaneAbsent' : status.ringComplete ? 'RingComplete' : 'RingIncomplete',
    message: problem,
    nat: status.nat.class,
    version: status.version,
    counts: {
      up: count(up),
      direct: count((edge) => up(edge) && edge.path === 'direct'),
      relayed: count((edge) => up(edge) && edge.path === 'relayed'),
      failed: count((edge) => edge.state === 'down'),
    },
  };
  const nodes = [own, ...peers.filter(({ name }) => name !== node.name).map(nodeOf)].sort(ringOrder);
  return { title: overlay.name, self: node.name, nodes, edges: edges.sort(edgeOrder) };
}

/** Of others a node knows whether it reaches them. */
function nodeOf({ id, name, path }: Peer): MapNode {
  const reached = path !== 'none';
  return {
    name,
    label: labelHex(labelOf(id)),
    state: reached ? 'ready' : 'not-ready',
    reason: reached ? 'Reached' : 'NotReached',
    message: '',
    nat: 'unknown',
    version: '',
    counts: null,
  };
}

/** None for a member that there is no edge to. */
function edgeOf(own: string, peer: Peer, before: Counted | undefined, nowMs: number): readonly MapEdge[] {
  const { id, name, kinds, path, local, remote, rttMs, loss, txBytes, rxBytes, sinceMs } = peer;
  if (name === own || (kinds.length === 0 && path !== 'direct' && path !== 'webrtc')) return [];
  const up = path === 'direct' || path === 'webrtc';
  // As agent/src/view.ts says of a cluster's node: without a chosen pair it is taken for relayed.
  const relayed = path === 'webrtc' && (local === null || local.type === 'relay' || remote?.type === 'relay');
  const bytes = before?.bytes.get(id);
  const passedMs = nowMs - (before?.atMs ?? nowMs);
  const moved = txBytes + rxBytes - (bytes ?? 0);
  return [
    {
      a: own < name ? own : name,
      b: own < name ? name : own,
      kinds: sortedKinds(kinds.map((kind) => KIND[kind])),
      state: up ? 'up' : sinceMs === null ? 'connecting' : 'down',
      path: up ? (relayed ? 'relayed' : 'direct') : path === 'via' ? 'via' : 'none',
      rttMs: rttMs === null ? null : Math.round(rttMs * 100) / 100,
      loss,
      // A tincan that was started anew counts from nothing.
      bps: bytes === undefined || passedMs <= 0 || moved < 0 ? null : Math.round((moved * 8000) / passedMs),
      since: sinceMs === null ? null : new Date(Math.round((nowMs - sinceMs) / 1000) * 1000).toISOString(),
    },
  ];
}
