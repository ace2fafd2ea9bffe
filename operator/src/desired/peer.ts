/** EvioPeers: whose EvioNode is whose, which of them wait for one, and what their status says. Pure. */
import type { EvioNode, EvioPeer } from '../../../agent/src/kube-api/evio-kinds.ts';
import { EVIO_PEER } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../agent/src/kube-api/kinds.ts';
import type { OwnerReference } from '../../../agent/src/kube-api/object.ts';
import { PEER_CONDITION, REASON } from '../../../crds/src/condition.ts';
import type { EvioPeerStatus } from '../../../crds/src/evio-peer.ts';
import { byAge } from './allotment.ts';
import { mergeConditions, type Verdict } from './conditions.ts';
import { memberNameOf } from './member-name.ts';
import { machineIdOf } from './register.ts';

export const peerOwnerOf = ({ metadata }: EvioNode): OwnerReference | undefined =>
  metadata.ownerReferences?.find(({ kind }) => kind === EVIO_PEER.kind);

export interface PeersView {
  /** By name, as all here. */
  readonly peers: ReadonlyMap<string, EvioPeer>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly members: ReadonlyMap<string, EvioNode>;
}

/** Another one has the name: a Node that is there, or the EvioNode of one, or of a machine. */
export function isTaken({ nodes, members }: PeersView, { metadata }: EvioPeer): boolean {
  const { name, uid } = metadata;
  const holder = [...members.values()].find(
    (member) => member.metadata.name === name || member.spec.memberName === name,
  );
  if (holder !== undefined) return peerOwnerOf(holder)?.uid !== uid;
  return [...nodes.values()].some((node) => node.metadata.name === name || memberNameOf(node.metadata.name) === name);
}

/** Those that are to get an EvioNode and have none, oldest first. */
export const waitingPeers = (view: PeersView): readonly string[] =>
  [...view.peers.values()]
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined && !view.members.has(metadata.name))
    .filter((peer) => !isTaken(view, peer))
    .map(({ metadata }) => ({ name: metadata.name, created: metadata.creationTimestamp }))
    .sort(byAge)
    .map(({ name }) => name);

export interface PeerView extends PeersView {
  readonly peer: EvioPeer;
  /** Whether there is an EvioNetwork that stays. */
  readonly network: boolean;
  /** Why there is no address for it. */
  readonly shortage: string | undefined;
}

/** `now` in RFC 3339. */
export function peerStatus(view: PeerView, now: string): EvioPeerStatus {
  const { peer, members } = view;
  const found = members.get(peer.metadata.name);
  const member = found !== undefined && peerOwnerOf(found)?.uid === peer.metadata.uid ? found : undefined;
  const { machine, enrolment, addresses } = member?.spec ?? {};
  const { generation } = peer.metadata;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    conditions: mergeConditions(
      peer.status?.conditions ?? [],
      [accepted(view, member), joined(peer, machine !== undefined && enrolment !== undefined)],
      generation,
      now,
    ),
    ...(member === undefined ? {} : { addresses: [...(addresses ?? [])] }),
    ...(member === undefined || machine === undefined
      ? {}
      : { nodeID: machineIdOf(member) ?? '', joined: machine.joined }),
    ...(machine === undefined || enrolment === undefined ? {} : { certificateNotAfter: enrolment.notAfter }),
  };
}

function accepted(view: PeerView, member: EvioNode | undefined): Verdict {
  const type = PEER_CONDITION.Accepted;
  const { name } = view.peer.metadata;
  const no = (reason: string, message: string): Verdict => ({ type, status: 'False', reason, message });
  if (!view.network) return no(REASON.NoNetwork, 'there is no EvioNetwork: make one (docs/install.md)');
  if (member !== undefined) return { type, status: 'True', reason: REASON.Accepted, message: '' };
  if (isTaken(view, view.peer))
    return no(REASON.NameTaken, `a Node or EvioNode is called ${name}: make the EvioPeer by another name`);
  if (view.shortage !== undefined) return no(REASON.PoolExhausted, view.shortage);
  return { type, status: 'Unknown', reason: REASON.Pending, message: 'its EvioNode is being made' };
}

const joined = ({ metadata }: EvioPeer, is: boolean): Verdict =>
  is
    ? { type: PEER_CONDITION.Joined, status: 'True', reason: REASON.Joined, message: '' }
    : {
        ...{ type: PEER_CONDITION.Joined, status: 'False', reason: REASON.NotJoined },
        message: `make a token with: evio token create --network default --peer ${metadata.name}`,
      };
