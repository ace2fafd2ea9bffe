/** EvioNodes to what the map shows. Each tunnel is told by both its ends, which need not have seen the same yet. Pure. */
import type { EvioNode } from '../../agent/src/kube-api/evio-kinds.ts';
import { labelHex, labelOf, nodeIdOf } from '../../agent/src/wire/ids.ts';
import type { TunnelStatus } from '../../crds/src/evio-node.ts';
import {
  type EdgeKind,
  type EdgePath,
  type EdgeState,
  edgeKey,
  edgeOrder,
  type MapEdge,
  type MapModel,
  type MapNode,
  type Nat,
  ringOrder,
  sortedKinds,
} from './model.ts';

const NAT: Readonly<Record<string, Nat>> = {
  None: 'none',
  EndpointIndependent: 'endpoint-independent',
  AddressDependent: 'address-dependent',
};
const STATE = { Up: 'up', Connecting: 'connecting', Down: 'down' } as const satisfies Record<string, EdgeState>;
const PATH = { Direct: 'direct', Relayed: 'relayed', Via: 'via' } as const satisfies Record<string, EdgePath>;

/** A tunnel whose other end has no EvioNode is left out. */
export function modelOf(title: string, members: readonly EvioNode[]): MapModel {
  const nodes = members.map(nodeOf).sort(ringOrder);
  const names = new Set(nodes.map(({ name }) => name));
  const edges = new Map<string, MapEdge>();
  for (const { spec, status } of members) {
    const own = spec.memberName;
    const kinds = kindsOf(status?.ring);
    for (const tunnel of status?.tunnels ?? []) {
      if (tunnel.peer === own || !names.has(tunnel.peer)) continue;
      const key = edgeKey(own, tunnel.peer);
      const told = edgeOf(own, tunnel, kinds.get(tunnel.peer) ?? ['other']);
      const known = edges.get(key);
      edges.set(key, known === undefined ? told : merged(known, told));
    }
  }
  return { title, self: null, nodes, edges: [...edges.values()].sort(edgeOrder) };
}

function nodeOf({ spec, status }: EvioNode): MapNode {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const { summary } = status ?? {};
  return {
    name: spec.memberName,
    label: status?.ring?.label ?? labelOfKey(spec.machine?.identityKey ?? status?.keys?.identityKey),
    state:
      ready === undefined || ready.status === 'Unknown' ? 'unknown' : ready.status === 'True' ? 'ready' : 'not-ready',
    reason: ready?.reason ?? (spec.machine === undefined ? 'NothingTold' : 'JoinedByToken'),
    message: ready?.message ?? '',
    nat: NAT[status?.nat?.mapping ?? ''] ?? 'unknown',
    version: status?.versions?.agent ?? '',
    counts:
      summary === undefined
        ? null
        : {
            up: summary.tunnels ?? 0,
            direct: summary.direct ?? 0,
            relayed: summary.relayed ?? 0,
            failed: summary.failed ?? 0,
          },
  };
}

/** A machine that joined tells no place of its own, but its place follows from its key (docs/wire.md §1). */
function labelOfKey(identityKey: string | undefined): string | null {
  if (identityKey === undefined) return null;
  const key = Buffer.from(identityKey, 'base64');
  return key.length === 32 ? labelHex(labelOf(nodeIdOf(key))) : null;
}

type Ring = NonNullable<EvioNode['status']>['ring'];

function kindsOf(ring: Ring): ReadonlyMap<string, readonly EdgeKind[]> {
  const kinds = new Map<string, EdgeKind[]>();
  const add = (peer: string | undefined, kind: EdgeKind): void => {
    if (peer !== undefined) kinds.set(peer, [...(kinds.get(peer) ?? []), kind]);
  };
  add(ring?.predecessor, 'successor');
  for (const peer of ring?.successors ?? []) add(peer, 'successor');
  for (const peer of ring?.longDistance ?? []) add(peer, 'long-distance');
  return kinds;
}

function edgeOf(own: string, tunnel: TunnelStatus, kinds: readonly EdgeKind[]): MapEdge {
  const { peer, state, path, rttMs, lossPercent, kbps, since } = tunnel;
  const [a, b] = own < peer ? [own, peer] : [peer, own];
  return {
    a,
    b,
    kinds: sortedKinds(kinds),
    state: STATE[state],
    path: path === undefined ? 'none' : PATH[path],
    rttMs: rttMs ?? null,
    loss: lossPercent === undefined ? null : lossPercent / 100,
    bps: kbps === undefined ? null : kbps * 1_000,
    since: since ?? null,
  };
}

const STATES: readonly EdgeState[] = ['up', 'connecting', 'down'];
const PATHS: readonly EdgePath[] = ['direct', 'relayed', 'via', 'none'];

/** The worse of what the two ends say: a tunnel that one end has lost carries nothing. */
function merged(x: MapEdge, y: MapEdge): MapEdge {
  const worse = <T>(order: readonly T[], p: T, q: T): T => (order.indexOf(p) > order.indexOf(q) ? p : q);
  const most = (p: number | null, q: number | null): number | null =>
    p === null ? q : q === null ? p : Math.max(p, q);
  const later = x.since === null || (y.since !== null && y.since > x.since) ? y.since : x.since;
  return {
    ...x,
    kinds: sortedKinds([...x.kinds, ...y.kinds]),
    state: worse(STATES, x.state, y.state),
    path: worse(PATHS, x.path, y.path),
    rttMs: most(x.rttMs, y.rttMs),
    loss: most(x.loss, y.loss),
    bps: most(x.bps, y.bps),
    since: later,
  };
}
