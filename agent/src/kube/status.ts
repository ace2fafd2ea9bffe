/** EvioNode.status from how the node is, so made that noise changes nothing. Pure. */
import type { Condition } from '../../../crds/src/condition.ts';
import type { EvioNodeStatus, TunnelStatus } from '../../../crds/src/evio-node.ts';
import type { NatClass } from '../api.ts';
import type { EdgeFacts, NodeFacts } from '../view.ts';
import { rfc3339 } from './conditions.ts';
import type { PublicKeys } from './enrolment.ts';

/** As in crds/src/evio-node.ts, which loads all of zod. */
const TUNNELS_MAX = 64;
const PUBLIC_MAX = 16;
const SUCCESSORS_MAX = 8;
const LONG_DISTANCE_MAX = 64;
const COUNT_MAX = 2_147_483_647;
/** Two readings of one moment differ by less. */
const SINCE_SLACK_MS = 3_000;
/** A round-trip time within this share of the one that was told, or so many milliseconds, is the same. */
const RTT_SLACK = { share: 0.3, ms: 3 };
/** Percentage points. */
const LOSS_SLACK = 2;
/** A rate between this share of the one that was told and its inverse is the same; below `idleBps` there is none to speak of. */
const RATE_SLACK = { share: 0.5, idleBps: 10_000 };

const NAT = {
  none: 'None',
  'endpoint-independent': 'EndpointIndependent',
  'address-dependent': 'AddressDependent',
  unknown: 'Unknown',
} as const satisfies Record<NatClass, string>;

export interface Ipam {
  readonly used: number;
  readonly free: number;
}

export interface StatusParts {
  readonly keys: PublicKeys;
  /** Of the enrolment that the node runs with. */
  readonly serial: string | undefined;
  readonly conditions: readonly Condition[];
  readonly facts: NodeFacts | undefined;
  readonly ipam: Ipam | undefined;
  readonly agentVersion: string;
}

/** `before` is the status made last; `wallMs` milliseconds since 1970. */
export function statusOf(parts: StatusParts, before: EvioNodeStatus | undefined, wallMs: number): EvioNodeStatus {
  const { keys, serial, conditions, facts, ipam, agentVersion } = parts;
  const status: EvioNodeStatus = {
    keys,
    ...(serial === undefined ? {} : { observedSerial: serial }),
    conditions: [...conditions],
    ...(ipam === undefined ? {} : { ipam: { used: ipam.used, free: Math.min(ipam.free, COUNT_MAX) } }),
    versions: { agent: agentVersion, ...(facts?.tincan === undefined ? {} : { tincan: facts.tincan }) },
  };
  if (facts === undefined) return status;
  const all = oneEach(facts.edges).map((edge) =>
    tunnelOf(
      edge,
      before?.tunnels?.find(({ peer }) => peer === edge.name),
      wallMs,
    ),
  );
  const up = all.filter(({ state }) => state === 'Up');
  return {
    ...status,
    publicAddresses: facts.publicAddresses.slice(0, PUBLIC_MAX),
    nat: { mapping: NAT[facts.nat] },
    ring: ringOf(facts),
    tunnels: [...all].sort(worstFirst).slice(0, TUNNELS_MAX),
    summary: {
      tunnels: up.length,
      direct: up.filter(({ path }) => path === 'Direct').length,
      relayed: up.filter(({ path }) => path === 'Relayed').length,
      failed: all.filter(({ state }) => state === 'Down').length,
    },
  };
}

/** A node that got new keys may be known twice for a while: tunnels are listed by name, and the one that carries counts. */
function oneEach(edges: readonly EdgeFacts[]): readonly EdgeFacts[] {
  const carries = ({ path }: EdgeFacts): boolean => path === 'direct' || path === 'webrtc';
  const byName = new Map<string, EdgeFacts>();
  for (const edge of edges) {
    const other = byName.get(edge.name);
    if (other === undefined || !carries(other)) byName.set(edge.name, edge);
  }
  return [...byName.values()];
}

function tunnelOf(edge: EdgeFacts, before: TunnelStatus | undefined, wallMs: number): TunnelStatus {
  const state =
    edge.path === 'direct' || edge.path === 'webrtc' ? 'Up' : edge.sinceMs === undefined ? 'Connecting' : 'Down';
  const path = edge.path === 'none' ? undefined : edge.path === 'via' ? 'Via' : edge.relayed ? 'Relayed' : 'Direct';
  const rttMs = state === 'Up' && edge.rttMs !== undefined ? steadyRtt(edge.rttMs, before?.rttMs) : undefined;
  const lossPercent =
    state === 'Up' && edge.loss !== undefined ? steadyLoss(edge.loss, before?.lossPercent) : undefined;
  const kbps = state === 'Up' && edge.bps !== undefined ? steadyRate(edge.bps, before?.kbps) : undefined;
  const since = edge.sinceMs === undefined ? undefined : steadyTime(wallMs - edge.sinceMs, before?.since);
  return {
    peer: edge.name,
    state,
    ...(path === undefined ? {} : { path }),
    ...(rttMs === undefined ? {} : { rttMs }),
    ...(lossPercent === undefined ? {} : { lossPercent }),
    ...(kbps === undefined ? {} : { kbps }),
    ...(since === undefined ? {} : { since }),
  };
}

/** Whole milliseconds, at least one; the one that was told as long as it is near. */
function steadyRtt(rttMs: number, told: number | undefined): number {
  const slack = Math.max(RTT_SLACK.ms, (told ?? 0) * RTT_SLACK.share);
  return told !== undefined && Math.abs(rttMs - told) <= slack ? told : Math.max(1, Math.round(rttMs));
}

function steadyLoss(loss: number, told: number | undefined): number {
  const percent = Math.round(Math.min(1, loss) * 100);
  return told !== undefined && Math.abs(percent - told) <= LOSS_SLACK ? told : percent;
}

/** Kilobits, two digits of them. */
function steadyRate(bps: number, told: number | undefined): number {
  if (bps < RATE_SLACK.idleBps) return 0;
  if (told !== undefined && bps >= told * 1_000 * RATE_SLACK.share && bps * RATE_SLACK.share <= told * 1_000)
    return told;
  return Math.min(Number((bps / 1_000).toPrecision(2)), COUNT_MAX);
}

function steadyTime(wallMs: number, told: string | undefined): string {
  return told !== undefined && Math.abs(wallMs - Date.parse(told)) <= SINCE_SLACK_MS ? told : rfc3339(wallMs);
}

const STATE_ORDER = { Down: 0, Connecting: 1, Up: 2 } as const;
const PATH_ORDER = { Via: 0, Relayed: 1, Direct: 2 } as const;

/** What is wrong first. Not by round-trip time, which would reorder the list with every reading. */
function worstFirst(a: TunnelStatus, b: TunnelStatus): number {
  const path = (one: TunnelStatus): number => (one.path === undefined ? -1 : PATH_ORDER[one.path]);
  const byName = a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0;
  return STATE_ORDER[a.state] - STATE_ORDER[b.state] || path(a) - path(b) || byName;
}

function ringOf({ label, edges }: NodeFacts): NonNullable<EvioNodeStatus['ring']> {
  const of = (kind: EdgeFacts['kinds'][number]) =>
    edges.filter(({ kinds }) => kinds.includes(kind)).map(({ name }) => name);
  // Edges stand clockwise: the nearest one before this node is the last.
  const predecessor = of('predecessor').at(-1);
  return {
    label,
    ...(predecessor === undefined ? {} : { predecessor }),
    successors: of('successor').slice(0, SUCCESSORS_MAX),
    longDistance: of('long-distance').slice(0, LONG_DISTANCE_MAX),
  };
}
