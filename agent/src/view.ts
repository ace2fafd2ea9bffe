/** What `evio status` and `evio peers` show, made from what the machines know. */
import type { Agent } from './agent.ts';
import type { PathName, Peer } from './api.ts';
import type { CandidatePair } from './io/rtc.ts';
import type { TincanTunnel } from './tincan.ts';
import type { Certificate } from './wire/certificate.ts';
import type { NodeId } from './wire/ids.ts';

export interface PeerSources {
  readonly agent: Agent;
  /** What ICE chose for the peer's connection. */
  selected(peer: NodeId): CandidatePair | null;
}

/** Every member but this node, by name. */
export function peers({ agent, selected }: PeerSources): readonly Peer[] {
  return agent.members
    .map((member) => peer(member, agent, selected))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1));
}

function peer(member: Certificate, agent: Agent, selected: PeerSources['selected']): Peer {
  const { nodeId } = member;
  const status = agent.status(nodeId);
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

/** The member that is meant by a name or a node id. */
export function findMember(agent: Agent, named: string): Certificate | undefined {
  return agent.member(named) ?? agent.members.find((member) => member.name === named);
}
