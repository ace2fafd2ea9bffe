/** What `evio status` and `evio peers` show, made from what the machines know. */
import type { Agent } from './agent.ts';
import type { EdgeKind, NatClass, NetworkProblem, PathName, Peer } from './api.ts';
import { hostPortOf } from './config/service.ts';
import type { Finding } from './diagnosis/finding.ts';
import type { CandidatePair } from './io/rtc.ts';
import type { Measured, Measures } from './measured.ts';
import { natClass, type Sighting } from './nat.ts';
import type { TincanHello, TincanTunnel } from './tincan.ts';
import type { Certificate } from './wire/certificate.ts';
import { labelHex, type NodeId, ringDistance } from './wire/ids.ts';

export interface PeerSources {
  readonly agent: Agent;
  /** What ICE chose for the peer's connection. */
  selected(peer: NodeId): CandidatePair | null;
  /** Tunnels as tincan has them now: it tells of one only when its path changes, but counts and measures all the time. */
  readonly counted?: ReadonlyMap<NodeId, TincanTunnel>;
}

/** Every member but this node, by name. */
export function peers(sources: PeerSources): readonly Peer[] {
  return sources.agent.members
    .map((member) => peer(member, sources))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1));
}

function peer(member: Certificate, { agent, selected, counted }: PeerSources): Peer {
  const { nodeId } = member;
  const status = counted?.get(nodeId) ?? agent.status(nodeId);
  const path: PathName =
    status === undefined || status.path === 'none' ? (agent.routed(member) ? 'via' : 'none') : status.path;
  return {
    id: nodeId,
    name: member.name,
    addresses: member.addresses.map((prefix) => prefix.address),
    kinds: agent.kinds(nodeId),
    path,
    ...ends(path, status, path === 'webrtc' ? selected(nodeId) : null),
    rttMs: status?.rttUs == null ? null : status.rttUs / 1000,
    loss: status?.lossPpm == null ? null : status.lossPpm / 1e6,
    txBytes: status?.txBytes ?? 0,
    rxBytes: status?.rxBytes ?? 0,
    sinceMs: status?.sinceMs ?? null,
  };
}

function ends(
  path: PathName,
  status: TincanTunnel | undefined,
  pair: CandidatePair | null,
): Pick<Peer, 'local' | 'remote'> {
  if (path === 'webrtc') return { local: pair?.local ?? null, remote: pair?.remote ?? null };
  if (path !== 'direct' || status === undefined) return { local: null, remote: null };
  return {
    local: status.local === null ? null : { address: status.local, type: status.localType ?? 'host' },
    remote: status.remote === null ? null : { address: status.remote, type: status.remoteType ?? 'host' },
  };
}

/** An edge of this node, as a cluster is told of it. */
export interface EdgeFacts {
  readonly name: string;
  readonly kinds: readonly EdgeKind[];
  readonly path: PathName;
  /** With path `webrtc`: over a TURN server, as far as is known. */
  readonly relayed: boolean;
  readonly rttMs: number | undefined;
  /** Share of probes lost, 0 to 1. */
  readonly loss: number | undefined;
  /** Bits a second, both directions together. */
  readonly bps: number | undefined;
  /** Milliseconds since the path was last changed. */
  readonly sinceMs: number | undefined;
}

/** All of a node that decides something in a cluster, or is told there. */
export interface NodeFacts {
  /** The version of the tincan that carries this node's frames; undefined: none does. */
  readonly tincan: string | undefined;
  /** Another one for each tincan that is started. */
  readonly tincanBoot: string | undefined;
  readonly signalling: { readonly online: boolean; readonly error: string | undefined };
  /** The picture of who is a member is as good as it gets. */
  readonly settled: boolean;
  /** Other members, whether they are there or not. */
  readonly members: readonly NodeId[];
  /** In CIDR notation, with the overlay's prefix lengths. */
  readonly addresses: readonly string[];
  readonly bridge: string;
  readonly mtu: number;
  /** 16 hex characters. */
  readonly label: string;
  readonly nat: NatClass;
  /** IP addresses that STUN servers see. */
  readonly publicAddresses: readonly string[];
  readonly ringComplete: boolean;
  /** What tincan says keeps prefixes behind nodes from being reached. */
  readonly problems: readonly NetworkProblem[];
  /** What is wrong with the node, by its cause. */
  readonly findings: readonly Finding[];
  /** Clockwise from this node. */
  readonly edges: readonly EdgeFacts[];
}

const UNMEASURED: Measures = { rttMs: undefined, loss: undefined, bps: undefined };

export function facts(
  { agent, selected, measured }: PeerSources & { readonly measured: Measured },
  rest: Pick<NodeFacts, 'signalling' | 'bridge' | 'findings'> & { readonly hello: TincanHello | undefined },
): NodeFacts {
  const { certificate, parameters } = agent;
  const seen = agent.localCandidates.filter((candidate) => candidate.type === 'srflx');
  return {
    tincan: rest.hello?.version,
    tincanBoot: rest.hello?.bootId,
    signalling: rest.signalling,
    settled: agent.settled,
    members: agent.members.map((member) => member.nodeId),
    addresses: certificate.addresses.map(({ address, length }) => `${address}/${length}`),
    bridge: rest.bridge,
    findings: rest.findings,
    mtu: parameters.mtu,
    label: labelHex(certificate.label),
    nat: natOf(agent),
    publicAddresses: [...new Set(seen.map(({ address }) => hostPortOf(address).host))].sort(),
    ringComplete: agent.overlay.ringComplete,
    problems: agent.problems,
    edges: agent.overlay.neighbours
      .flatMap(({ peer: id }) => agent.member(id) ?? [])
      .sort((a, b) => (clockwise(certificate, a) < clockwise(certificate, b) ? -1 : 1))
      .map((member) => {
        const { name, kinds, path, sinceMs, local, remote } = peer(member, { agent, selected });
        const servers = local === null || local.type === 'relay' || remote?.type === 'relay';
        const relayed = path === 'webrtc' && servers;
        const status = agent.status(member.nodeId);
        const measures = status === undefined ? UNMEASURED : measured.of(status);
        return { name, kinds, path, relayed, ...measures, sinceMs: sinceMs ?? undefined };
      }),
  };
}

/** By what STUN servers and peers see. */
export function natOf(agent: Agent): NatClass {
  const sightings = agent.members.flatMap(({ nodeId }): readonly Sighting[] => {
    const { observed, remote } = agent.status(nodeId) ?? { observed: null, remote: null };
    return observed === null || remote === null ? [] : [{ address: observed, by: remote }];
  });
  return natClass(agent.localCandidates, sightings);
}

const clockwise = (from: Certificate, to: Certificate): bigint => ringDistance(from.label, to.label);

/** The member that is meant by a name or a node id. */
export function findMember(agent: Agent, named: string): Certificate | undefined {
  return agent.member(named) ?? agent.members.find((member) => member.name === named);
}
