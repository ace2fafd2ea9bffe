/**
 * What an EvioNetwork's status says, from what was seen. Each condition is one small question; Ready shows the first thing that is
 * wrong, in the order of usefulness to who reads it.
 */

import type { EvioNetwork, EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { DaemonSet, Deployment } from '../../../agent/src/kube-api/kinds.ts';
import { NETWORK_CONDITION, NODE_CONDITION, REASON } from '../../../crds/src/condition.ts';
import { effectiveMTU, effectiveTurn } from '../../../crds/src/effective.ts';
import type { EvioNetworkStatus } from '../../../crds/src/evio-network.ts';
import type { Claim } from './allotment.ts';
import { free, type Pools, type Shortage } from './allotment.ts';
import type { Authority } from './authority.ts';
import { conditionOf, holds, mergeConditions, named, type Verdict } from './conditions.ts';
import { peerOwnerOf } from './peer.ts';

/** Something that is not as it should be. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
}

/** `pending`: not known yet. */
export type Reach = { readonly kind: 'pending' } | { readonly kind: 'up' } | ({ readonly kind: 'down' } & Problem);

export interface StatusView {
  readonly network: EvioNetwork;
  /** Names of Nodes that belong to the network. */
  readonly selected: readonly string[];
  /** Of those, whose kubelet is not heard of. */
  readonly silent: ReadonlySet<string>;
  readonly members: readonly EvioNode[];
  /** The node that carries Services for EvioPeers. */
  readonly gateway: string | undefined;
  readonly pools: Pools;
  readonly book: readonly Claim[];
  /** Nodes that wait for addresses, and why. */
  readonly refused: ReadonlyMap<string, Shortage>;
  readonly shortages: readonly string[];
  readonly doubles: readonly string[];
  readonly authority: Authority | undefined;
  /** What keeps the authority from being used. */
  readonly authorityProblem: Problem | undefined;
  /** What keeps the signalling server from being used at all: a Secret that is missing. */
  readonly signallingMissing: Problem | undefined;
  readonly signalling: Reach;
  readonly relay: Reach;
  readonly agent: DaemonSet | undefined;
  readonly dataplane: DaemonSet | undefined;
  /** Undefined with an external server too. */
  readonly server: Deployment | undefined;
  /** Why the last attempt to make the parts failed. */
  readonly failure: string | undefined;
}

const yes = (type: string, reason: string, message = ''): Verdict => ({ type, status: 'True', reason, message });
const no = (type: string, { reason, message }: Problem): Verdict => ({ type, status: 'False', reason, message });
const unknown = (type: string, message: string): Verdict => ({
  type,
  status: 'Unknown',
  reason: REASON.Pending,
  message,
});

/** `now` in RFC 3339. `observed`: the generation that is acted on in full. */
export function networkStatus(view: StatusView, observed: number | undefined, now: string): EvioNetworkStatus {
  const { network, members, selected, silent, authority } = view;
  const ready = members
    .filter(({ metadata }) => selected.includes(metadata.name) && !silent.has(metadata.name))
    .filter(isReady);
  const left = free(view.pools, view.book);
  const gateway = view.gateway;
  const verdicts = verdictsOf(view, ready);
  const generation = network.metadata.generation;
  return {
    ...(observed === undefined ? {} : { observedGeneration: observed }),
    conditions: mergeConditions(network.status?.conditions ?? [], verdicts, generation, now),
    ...(authority === undefined
      ? {}
      : { overlayID: authority.overlayId, authorityKey: authority.publicKey.toString('base64') }),
    nodes: {
      desired: selected.length,
      ready: ready.length,
      offline: selected.filter((name) => silent.has(name)).length,
      summary: `${ready.length}/${selected.length}`,
    },
    tunnels: tunnelsOf(members),
    addresses: {
      nodesFree: left.nodes,
      ...(view.pools.pods.length === 0 ? {} : { podPrefixesFree: left.pieces }),
    },
    ...(gateway === undefined ? {} : { gateway }),
    effectiveMTU: effectiveMTU(network.spec),
    versions: versionsOf(members),
    unreachablePairs: unreachableOf(members),
  };
}

/** A machine that joined by a token has no agent that tells: its kubelet does, and a silent one was left out already. */
const isReady = (member: EvioNode): boolean => {
  if (peerOwnerOf(member) !== undefined) return false;
  if (!isMachine(member)) return holds(member.status, NODE_CONDITION.Ready);
  // Its Node is its own where that has taken it over.
  return member.spec.enrolment !== undefined && (member.metadata.ownerReferences ?? []).length > 0;
};
const isMachine = ({ spec }: EvioNode): boolean => spec.machine !== undefined;

function verdictsOf(view: StatusView, ready: readonly EvioNode[]): readonly Verdict[] {
  const parts = [signallingReady(view), relayReady(view), poolReady(view), ringConsistent(view), verified(view, ready)];
  const wrong = problems(view);
  const first = notReady(view, ready, parts);
  const deleting = view.network.metadata.deletionTimestamp !== undefined;
  const progress = progressing(view);
  return [
    first === undefined
      ? yes(NETWORK_CONDITION.Ready, REASON.Ready, nodesOf(view, ready))
      : no(NETWORK_CONDITION.Ready, first),
    ready.length > 0
      ? yes(NETWORK_CONDITION.Available, REASON.Ready, nodesOf(view, ready))
      : no(NETWORK_CONDITION.Available, first ?? { reason: REASON.NoNodes, message: 'no node is ready' }),
    deleting || progress === undefined
      ? {
          ...no(NETWORK_CONDITION.Progressing, { reason: deleting ? REASON.Deleting : REASON.Complete, message: '' }),
          ...(deleting ? { status: 'True' as const } : {}),
        }
      : yes(NETWORK_CONDITION.Progressing, progress.reason, progress.message),
    wrong.length === 0
      ? no(NETWORK_CONDITION.Degraded, { reason: REASON.AsExpected, message: '' })
      : yes(NETWORK_CONDITION.Degraded, wrong[0]?.reason ?? '', wrong.map((p) => p.message).join('; ')),
    ...parts,
  ];
}

const nodesOf = ({ selected }: StatusView, ready: readonly EvioNode[]): string =>
  `${ready.length} of ${selected.length} ${selected.length === 1 ? 'node' : 'nodes'}`;

// ---- the parts -------------------------------------------------------------------------------------------------------

function signallingReady({ signallingMissing, signalling }: StatusView): Verdict {
  const type = NETWORK_CONDITION.SignallingReady;
  if (signallingMissing !== undefined) return no(type, signallingMissing);
  if (signalling.kind === 'down') return no(type, signalling);
  return signalling.kind === 'up' ? yes(type, REASON.Connected) : unknown(type, 'the XMPP server is being asked');
}

function relayReady({ network, relay }: StatusView): Verdict {
  const type = NETWORK_CONDITION.RelayReady;
  switch (effectiveTurn(network.spec)) {
    case 'None':
      return no(type, {
        reason: REASON.RelayDisabled,
        message: 'ice.turn is None: nodes that cannot reach each other have no relay',
      });
    case 'Signalling':
      return unknown(type, 'the XMPP server hands out the relays (XEP-0215): the agents ask it');
    case 'Embedded':
      if (relay.kind === 'down') return no(type, relay);
      return relay.kind === 'up' ? yes(type, REASON.RelaysAnswer) : unknown(type, 'the relay is being asked');
  }
}

function poolReady({ refused, shortages, doubles, pools, book }: StatusView): Verdict {
  const type = NETWORK_CONDITION.AddressPoolReady;
  if (refused.size > 0)
    return no(type, {
      reason: REASON.PoolExhausted,
      message: `${shortages.join('; ')} (waiting: ${named([...refused.keys()])})`,
    });
  if (doubles.length > 0)
    return no(type, {
      reason: REASON.AddressesOverlap,
      message: `these EvioNodes claim what others have and are made anew: ${named(doubles)}`,
    });
  const left = free(pools, book);
  return yes(
    type,
    REASON.AddressesFree,
    `room for ${pools.pods.length === 0 ? left.nodes : Math.min(left.nodes, left.pieces)} more nodes`,
  );
}

/** Whether each node's next one is the one that follows it on the ring, of those that are ready. */
function ringConsistent({ members }: StatusView): Verdict {
  const type = NETWORK_CONDITION.RingConsistent;
  const placed = members
    .filter((m) => !isMachine(m) && isReady(m) && m.status?.ring?.label !== undefined)
    .sort((a, b) => ((a.status?.ring?.label ?? '') < (b.status?.ring?.label ?? '') ? -1 : 1));
  if (placed.length < 2) return yes(type, REASON.RingComplete);
  // Of machines that joined by a token nobody tells whether they are there: one that is comes before the next that tells.
  const machines = new Set(members.filter(isMachine).map(({ spec }) => spec.memberName));
  const wrong = placed.filter((member, at) => {
    const next = placed[(at + 1) % placed.length]?.spec.memberName ?? '';
    const successors = member.status?.ring?.successors ?? [];
    return !successors.includes(next) && !successors.some((name) => machines.has(name));
  });
  if (wrong.length === 0) return yes(type, REASON.RingComplete);
  const names = wrong.map((m) => m.metadata.name);
  return no(type, {
    reason: REASON.RingIncomplete,
    message: `these nodes do not have the next one on the ring as neighbour: ${named(names)}`,
  });
}

function verified({ selected }: StatusView, ready: readonly EvioNode[]): Verdict {
  const type = NETWORK_CONDITION.DataPlaneVerified;
  const proven = new Set(
    ready.filter((m) => isMachine(m) || holds(m.status, NODE_CONDITION.DataPlaneReady)).map((m) => m.metadata.name),
  );
  const open = selected.filter((name) => !proven.has(name));
  if (selected.length === 0) return unknown(type, 'there is no node yet');
  return open.length === 0
    ? yes(type, REASON.Verified)
    : no(type, { reason: REASON.Unverified, message: `not proven on ${named(open)}` });
}

// ---- the whole -------------------------------------------------------------------------------------------------------

/** The first thing that keeps the network from being as it is wanted. */
function notReady(view: StatusView, ready: readonly EvioNode[], parts: readonly Verdict[]): Problem | undefined {
  const { network, selected } = view;
  if (network.metadata.deletionTimestamp !== undefined)
    return { reason: REASON.Deleting, message: 'it is being deleted' };
  const [wrong] = problems(view);
  if (wrong !== undefined) return wrong;
  const part = (type: string): Problem | undefined => parts.find((p) => p.type === type && p.status === 'False');
  const [signalling, relay] = [part(NETWORK_CONDITION.SignallingReady), part(NETWORK_CONDITION.RelayReady)];
  if (signalling !== undefined) return signalling;
  if (selected.length === 0) return { reason: REASON.NoNodes, message: 'no Node matches nodeSelector' };
  const readyNames = new Set(ready.map((m) => m.metadata.name));
  const open = selected.filter((name) => !readyNames.has(name));
  const joining = open.filter(
    (name) => view.members.find((m) => m.metadata.name === name)?.spec.enrolment === undefined,
  );
  if (joining.length > 0) return { reason: REASON.NodesJoining, message: `not enrolled yet: ${named(joining)}` };
  if (open.length > 0)
    return { reason: REASON.NodesNotReady, message: `not ready: ${named(open.map((name) => why(view, name)))}` };
  return relay?.reason === REASON.RelayDisabled ? undefined : relay;
}

function why({ members, silent }: StatusView, name: string): string {
  if (silent.has(name)) return `${name} (its kubelet is silent)`;
  const member = members.find((m) => m.metadata.name === name);
  const reason = conditionOf(member?.status, NODE_CONDITION.Ready)?.reason ?? REASON.AgentSilent;
  return `${name} (${reason})`;
}

/** What does not heal without help. */
function problems(view: StatusView): readonly Problem[] {
  const pool = poolReady(view);
  const conflicts = view.members.filter((m) => holds(m.status, NODE_CONDITION.AddressConflict));
  const relay = relayReady(view);
  return [
    ...[
      view.authorityProblem,
      view.signallingMissing?.reason === REASON.Deploying ? undefined : view.signallingMissing,
    ],
    view.failure === undefined ? undefined : { reason: 'ApplyFailed', message: view.failure },
    pool.status === 'False' ? pool : undefined,
    view.signalling.kind === 'down' && !starting(view) ? view.signalling : undefined,
    relay.status === 'False' && relay.reason === REASON.RelayUnreachable && !starting(view) ? relay : undefined,
    ...conflicts.map((m) => ({
      reason: REASON.RouteOverlaps,
      message: `${m.metadata.name}: ${conditionOf(m.status, NODE_CONDITION.AddressConflict)?.message ?? ''}`,
    })),
  ].filter((p): p is Problem => p !== undefined);
}

/** The embedded server is being started: that it does not answer yet is no fault. */
function starting({ server }: StatusView): boolean {
  return server !== undefined && (server.status?.availableReplicas ?? 0) === 0;
}

function progressing(view: StatusView): Problem | undefined {
  const { agent, dataplane, selected, members } = view;
  if (starting(view)) return { reason: REASON.Deploying, message: 'the embedded server is being started' };
  const behind = (set: DaemonSet | undefined): boolean => {
    if (set?.status === undefined) return set !== undefined;
    const {
      desiredNumberScheduled = 0,
      updatedNumberScheduled = 0,
      numberAvailable = 0,
      observedGeneration,
    } = set.status;
    const rolled = set.spec?.updateStrategy?.type === 'OnDelete' || updatedNumberScheduled >= desiredNumberScheduled;
    return observedGeneration !== set.metadata.generation || !rolled || numberAvailable < desiredNumberScheduled;
  };
  if (behind(agent) || behind(dataplane))
    return { reason: REASON.Deploying, message: 'the parts on the nodes are being started' };
  const enrolled = new Set(members.filter((m) => m.spec.enrolment !== undefined).map((m) => m.metadata.name));
  const joining = selected.filter((name) => !enrolled.has(name) && !view.refused.has(name));
  return joining.length === 0
    ? undefined
    : { reason: REASON.NodesJoining, message: `not enrolled yet: ${named(joining)}` };
}

// ---- numbers ---------------------------------------------------------------------------------------------------------

function tunnelsOf(members: readonly EvioNode[]): NonNullable<EvioNetworkStatus['tunnels']> {
  const sum = (
    of: (summary: {
      tunnels?: number | undefined;
      direct?: number | undefined;
      relayed?: number | undefined;
      failed?: number | undefined;
    }) => number | undefined,
  ): number => members.reduce((total, m) => total + (of(m.status?.summary ?? {}) ?? 0), 0);
  const failed = sum((s) => s.failed);
  return {
    total: sum((s) => s.tunnels) + failed,
    direct: sum((s) => s.direct),
    relayed: sum((s) => s.relayed),
    failed,
  };
}

const LIST_MAX = 16;

function versionsOf(members: readonly EvioNode[]): NonNullable<EvioNetworkStatus['versions']> {
  const counts = new Map<string, number>();
  for (const { status } of members) {
    const version = status?.versions?.agent;
    if (version !== undefined) counts.set(version, (counts.get(version) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, LIST_MAX)
    .map(([version, nodes]) => ({ version, nodes }));
}

function unreachableOf(members: readonly EvioNode[]): NonNullable<EvioNetworkStatus['unreachablePairs']> {
  const nodes = new Map(members.map((m) => [m.spec.memberName, m.metadata.name]));
  const pairs = new Map<string, { from: string; to: string }>();
  for (const member of members) {
    for (const { peer, state, path } of member.status?.tunnels ?? []) {
      if (state !== 'Down' || path !== undefined) continue;
      const [from = '', to = ''] = [member.metadata.name, nodes.get(peer) ?? peer].sort();
      pairs.set(`${from} ${to}`, { from, to });
    }
  }
  return [...pairs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, LIST_MAX)
    .map(([, pair]) => pair);
}
