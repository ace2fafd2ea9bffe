/**
 * What a Node needs: an EvioNode with addresses, an enrolment in it, and its own addresses where its kubelet leaves them to us. From the
 * whole picture, the time goes in, actions come out.
 */
import { isDeepStrictEqual } from 'node:util';
import type { PatchStep } from '../../../../agent/src/kube-api/client.ts';
import {
  EVIO_PEER,
  type EvioNetwork,
  type EvioNode,
  type EvioPeer,
} from '../../../../agent/src/kube-api/evio-kinds.ts';
import { NODE, type Node } from '../../../../agent/src/kube-api/kinds.ts';
import { type Applied, ownerReference } from '../../../../agent/src/kube-api/object.ts';
import { formatPrefix, parsePrefix } from '../../../../agent/src/wire/address.ts';
import { nodeIdOf } from '../../../../agent/src/wire/ids.ts';
import { DecodeError } from '../../../../agent/src/wire/reader.ts';
import { type Allotment, allot, byAge, type Claim, doubles, type Pools } from '../../desired/allotment.ts';
import { type Authority, overlayOf } from '../../desired/authority.ts';
import {
  decideEnrolment,
  type EnrolmentState,
  type IssueReason,
  type NodeKeys,
  readKeys,
  type SignallingPlace,
} from '../../desired/enrolment.ts';
import { gatewayOf, serviceCIDRsOf } from '../../desired/gateway.ts';
import { issuedTo, ownerOf } from '../../desired/ledger.ts';
import { memberNameOf } from '../../desired/member-name.ts';
import { decideAddresses } from '../../desired/node-addresses.ts';
import { poolsOf } from '../../desired/parameters.ts';
import { peerOwnerOf } from '../../desired/peer.ts';
import { isHostPackage } from '../../desired/register.ts';
import type { Note } from '../../events/recorder.ts';
import { HOST_PACKAGE_LABEL } from '../../names.ts';
import { allotPeers, claimOf, type MemberParts, memberObject, selects, shortageOf, waitingFor } from './allot.ts';

export interface NodeView {
  /** Of the Node, and of its EvioNode. */
  readonly name: string;
  readonly network: EvioNetwork | undefined;
  /** All there are; by name, each is there once. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly members: ReadonlyMap<string, EvioNode>;
  readonly peers: ReadonlyMap<string, EvioPeer>;
  /** Undefined until the network's controller has made it. */
  readonly authority: Authority | undefined;
  /** Undefined while it is not known how to reach the signalling server. */
  readonly place: SignallingPlace | undefined;
}

export type NodeAction =
  | { readonly kind: 'create'; readonly member: Applied<EvioNode> }
  | { readonly kind: 'delete'; readonly uid: string; readonly reason: Removal }
  | { readonly kind: 'apply'; readonly member: Applied<EvioNode> }
  /** Bump the serial, admit the account where that is said, then apply the member with the enrolment made of `state`. */
  | {
      readonly kind: 'issue';
      readonly member: Applied<EvioNode>;
      readonly state: EnrolmentState;
      readonly reason: IssueReason;
      readonly admit: boolean;
    }
  | {
      readonly kind: 'patch-node';
      readonly status: readonly PatchStep[] | undefined;
      readonly node: readonly PatchStep[] | undefined;
    }
  | { readonly kind: 'note'; readonly about: 'node' | 'member'; readonly note: Note };

export type Removal = 'NetworkGone' | 'PeerGone' | 'NodeGone' | 'NodeReplaced' | 'NotSelected' | 'AddressesOverlap';

export interface NodePlan {
  readonly actions: readonly NodeAction[];
  /** Seconds since 1970; undefined: not before something changes. */
  readonly again?: number | undefined;
}

const NOTHING: NodePlan = { actions: [] };
const HOUR_SECONDS = 3_600;

/** `now` in seconds since 1970. */
export function decide(view: NodeView, now: number): NodePlan {
  const { name, network } = view;
  const [node, member] = [view.nodes.get(name), view.members.get(name)];
  // While the network goes, its own controller says in which order.
  if (network?.metadata.deletionTimestamp !== undefined) return NOTHING;
  if (member !== undefined) {
    if (member.metadata.deletionTimestamp !== undefined) return NOTHING;
    const removal = whyRemoved(view, node, member);
    if (removal !== undefined) return { actions: [{ kind: 'delete', uid: member.metadata.uid, reason: removal }] };
  }
  if (network === undefined) return NOTHING;
  if (member !== undefined) return keep(view, network, node, member, now);
  if (node !== undefined) return selects(network, node) ? admit(view, network, node) : NOTHING;
  const peer = view.peers.get(name);
  return peer === undefined ? NOTHING : admitPeer(view, network, peer);
}

function whyRemoved(
  { network, members, peers }: NodeView,
  node: Node | undefined,
  member: EvioNode,
): Removal | undefined {
  if (network === undefined) return 'NetworkGone';
  const others = [...members.values()].map(claimOf);
  const overlaps = doubles(others).includes(member.metadata.name) ? 'AddressesOverlap' : undefined;
  const peerOwner = peerOwnerOf(member);
  if (peerOwner !== undefined) {
    const peer = peers.get(member.metadata.name);
    const stays = peer?.metadata.uid === peerOwner.uid && peer.metadata.deletionTimestamp === undefined;
    return stays ? overlaps : 'PeerGone';
  }
  const owner = member.metadata.ownerReferences?.find((o) => o.kind === NODE.kind);
  // A machine that joined by a token may have no kubelet yet; once it had one, it goes with its Node.
  const awaited = member.spec.machine !== undefined && owner === undefined;
  if (node === undefined && !awaited) return 'NodeGone';
  if (node !== undefined && owner !== undefined && owner.uid !== node.metadata.uid) return 'NodeReplaced';
  // Who made the token has chosen it.
  if (node !== undefined && member.spec.machine === undefined && !selects(network, node)) return 'NotSelected';
  return overlaps;
}

// ---- a node without an EvioNode --------------------------------------------------------------------------------------

function admit(view: NodeView, network: EvioNetwork, node: Node): NodePlan {
  const { name } = view;
  const pools = poolsOf(network.spec);
  const book = [...view.members.values()].map(claimOf);
  // All that wait, not this one alone: what it gets is the same in whichever order the others' turns come.
  const { granted, refused } = allot(pools, book, waitingFor(view));
  const allotment = granted.get(name);
  if (allotment !== undefined)
    return { actions: [{ kind: 'create', member: memberObject(partsOf(node), allotment, undefined) }] };
  const shortage = refused.get(name);
  if (shortage === undefined) return NOTHING;
  const note = {
    type: 'Warning',
    reason: 'PoolExhausted',
    action: 'Allot',
    note: shortageOf(shortage, pools),
  } as const;
  return { actions: [{ kind: 'note', about: 'node', note }] };
}

function admitPeer(view: NodeView, network: EvioNetwork, peer: EvioPeer): NodePlan {
  const { name } = peer.metadata;
  const allotment = allotPeers(view, network).granted.get(name);
  if (allotment === undefined) return NOTHING;
  const parts = { name, memberName: name, owner: ownerReference(EVIO_PEER, peer), machine: undefined };
  return { actions: [{ kind: 'create', member: memberObject(parts, allotment, undefined) }] };
}

const partsOf = (node: Node): MemberParts => ({
  name: node.metadata.name,
  memberName: memberNameOf(node.metadata.name),
  owner: ownerReference(NODE, node),
  machine: undefined,
});

// ---- a node with one -------------------------------------------------------------------------------------------------

function keep(view: NodeView, network: EvioNetwork, called: Node | undefined, member: EvioNode, now: number): NodePlan {
  const node = isHomeOf(called, member) ? called : undefined;
  const allotment = amended(view, network, member);
  const { memberName, machine } = member.spec;
  const parts = {
    ...{ name: member.metadata.name, memberName, machine },
    owner: peerOwnerOf(member) ?? (node === undefined ? undefined : ownerReference(NODE, node)),
  };
  const wanted = memberObject(parts, allotment, member.spec.enrolment);
  const actions: NodeAction[] = node === undefined ? [] : addressActions(network, node, member);
  if (called !== undefined && node === undefined) actions.push(nameTaken(called));
  const { actions: enrolment, again } = enrolmentPlan(view, network, member, wanted, now);
  // What applies the enrolment applies the rest too.
  const applies = enrolment.some((a) => a.kind === 'apply' || a.kind === 'issue');
  if (!applies && !holds(member, wanted)) actions.push({ kind: 'apply', member: wanted });
  return { actions: [...actions, ...enrolment], again };
}

/**
 * Whether this Node is the member's own. One whose kubelet does not say that it runs the host package is another machine than the one
 * that joined by a token under its name: were it given that one's address, the API server would look for its kubelet there.
 */
const isHomeOf = (node: Node | undefined, member: EvioNode): boolean =>
  node !== undefined && peerOwnerOf(member) === undefined && (member.spec.machine === undefined || isHostPackage(node));

const nameTaken = ({ metadata }: Node): NodeAction => ({
  kind: 'note',
  about: 'node',
  note: {
    type: 'Warning',
    reason: 'NameTaken',
    action: 'Allot',
    note: `an EvioPeer, or a machine that joined by a token, is ${metadata.name} already: delete that (kubectl get eviopeers,evionodes), or where this is its Node: kubectl label node ${metadata.name} ${HOST_PACKAGE_LABEL}=true`,
  },
});

function holds(member: EvioNode, wanted: Applied<EvioNode>): boolean {
  const owner = wanted.metadata.ownerReferences?.[0];
  const owners = member.metadata.ownerReferences ?? [];
  const owned = owner === undefined || owners.some((o) => o.uid === owner.uid && o.kind === owner.kind);
  return owned && isDeepStrictEqual(structuredClone(member.spec), structuredClone(wanted.spec));
}

/**
 * A node keeps its addresses; their prefix length follows the subnet that grew, and a family that came later is allotted then. Until the
 * pool has something for it, it stays without.
 */
function amended(view: NodeView, network: EvioNetwork, member: EvioNode): Allotment {
  const { metadata, spec } = member;
  const all = poolsOf(network.spec);
  const pools = peerOwnerOf(member) === undefined ? all : { ...all, pods: [] };
  const families = (texts: readonly string[]): readonly number[] => texts.map((text) => parsePrefix(text).family);
  const lengths = new Map(pools.nodes.map((subnet) => [subnet.family, subnet.length]));
  const addresses = spec.addresses.map((text) => {
    const prefix = parsePrefix(text);
    const length = lengths.get(prefix.family) ?? prefix.length;
    return length < prefix.length ? formatPrefix({ ...prefix, length }) : text;
  });
  const missing: Pools = {
    nodes: pools.nodes.filter(({ family }) => !families(spec.addresses).includes(family)),
    pods: pools.pods.filter(({ prefix }) => !families(spec.podCIDRs).includes(prefix.family)),
  };
  const more = {
    addresses: extra(view, metadata.name, { ...missing, pods: [] }),
    pods: extra(view, metadata.name, { ...missing, nodes: [] }),
  };
  return {
    addresses: [...addresses, ...(more.addresses?.addresses ?? [])],
    podCIDRs: [...spec.podCIDRs, ...(more.pods?.podCIDRs ?? [])],
  };
}

/** What a node gets of pools that were not there when it came; all that are in its place count, as with nodes that wait. */
function extra(view: NodeView, name: string, pools: Pools): Allotment | undefined {
  const wanted = [...pools.nodes, ...pools.pods.map(({ prefix }) => prefix)].map(({ family }) => family);
  if (wanted.length === 0) return undefined;
  const book = [...view.members.values()].map(claimOf);
  const has = (claim: Claim): readonly string[] => (pools.nodes.length > 0 ? claim.addresses : claim.podCIDRs);
  const mayHave = ({ name: one }: Claim): boolean => {
    const member = view.members.get(one);
    return pools.pods.length === 0 || member === undefined || peerOwnerOf(member) === undefined;
  };
  const lacking = book.filter(
    (claim) => mayHave(claim) && !has(claim).some((text) => wanted.includes(parsePrefix(text).family)),
  );
  const names = lacking.sort(byAge).map((claim) => claim.name);
  return allot(pools, book, names).granted.get(name);
}

function addressActions(network: EvioNetwork, node: Node, member: EvioNode): NodeAction[] {
  const verdict = decideAddresses(node, member, network.spec.nodeAddresses);
  switch (verdict.kind) {
    case 'none':
      return [];
    case 'patch':
      return [{ kind: 'patch-node', status: verdict.status, node: verdict.node }];
    case 'foreign': {
      const own = member.spec.addresses.map((a) => parsePrefix(a).address).join(',');
      const note = `InternalIP is ${verdict.internal.join(', ')}, not the overlay address: where the API server cannot reach that, start the kubelet with --node-ip=${own}`;
      return [
        { kind: 'note', about: 'node', note: { type: 'Normal', reason: 'ForeignInternalIP', action: 'Inspect', note } },
      ];
    }
  }
}

function enrolmentPlan(
  { name, authority, place, nodes, members }: NodeView,
  network: EvioNetwork,
  member: EvioNode,
  wanted: Applied<EvioNode>,
  now: number,
): NodePlan {
  const overlay = authority && overlayOf(authority);
  // The agent that tells keys for an EvioPeer runs on a Node of its name, which is another machine.
  const told = member.spec.machine ?? (peerOwnerOf(member) === undefined ? member.status?.keys : undefined);
  if (authority === undefined || overlay === undefined || place === undefined || told === undefined) return NOTHING;
  const keys = usableKeys(told);
  if (keys === undefined)
    return refused(
      'KeysInvalid',
      'its public keys are none: delete /var/lib/evio/kubernetes on the node, and its agent makes new ones',
    );
  const owner = ownerOf(authority.ledger, nodeIdOf(keys.identityKey), name);
  if (owner !== undefined)
    return refused(
      'KeysOfAnotherNode',
      `its keys are those of node ${owner}: a copied disk? delete /var/lib/evio/kubernetes on one of them, and its agent makes new ones`,
    );
  const isGateway = gatewayOf({ network, nodes, members }) === name;
  const state: EnrolmentState = {
    member: {
      name: member.spec.memberName,
      addresses: wanted.spec?.addresses ?? [],
      podCIDRs: wanted.spec?.podCIDRs ?? [],
      services: isGateway ? serviceCIDRsOf(network) : [],
    },
    keys,
    present: member.spec.enrolment,
    issued: issuedTo(authority.ledger, name),
    uid: member.metadata.uid,
    overlay,
    place,
    lifetimeSeconds: network.spec.security.certificateLifetimeHours * HOUR_SECONDS,
  };
  const verdict = decideEnrolment(state, now);
  switch (verdict.kind) {
    case 'keep':
      return { actions: [], again: verdict.until };
    case 'spread':
      return {
        actions: [{ kind: 'apply', member: { ...wanted, spec: { ...wanted.spec, enrolment: verdict.enrolment } } }],
        again: verdict.until,
      };
    case 'issue':
      return { actions: [{ kind: 'issue', member: wanted, state, reason: verdict.reason, admit: verdict.admit }] };
  }
}

function usableKeys(told: { readonly identityKey: string; readonly sessionKey: string }): NodeKeys | undefined {
  try {
    return readKeys(told);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

const refused = (reason: string, why: string): NodePlan => ({
  actions: [
    {
      kind: 'note',
      about: 'member',
      note: { type: 'Warning', reason, action: 'Enrol', note: `cannot enrol the node: ${why}` },
    },
  ],
});
