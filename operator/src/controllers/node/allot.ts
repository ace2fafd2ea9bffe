/** What is allotted to which Node and EvioPeer, and the EvioNode that comes of it. Pure. */
import type { EvioNetwork, EvioNode } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../../agent/src/kube-api/kinds.ts';
import type { Applied, OwnerReference } from '../../../../agent/src/kube-api/object.ts';
import { formatPrefix } from '../../../../agent/src/wire/address.ts';
import { NETWORK_NAME } from '../../../../crds/src/evio-network.ts';
import type { Enrolment, EvioNodeSpec, JoinedMachine } from '../../../../crds/src/evio-node.ts';
import { type Allotment, allot, byAge, type Claim, type Pools, type Shortage } from '../../desired/allotment.ts';
import { poolsOf } from '../../desired/parameters.ts';
import { type PeersView, waitingPeers } from '../../desired/peer.ts';

export interface Waiting {
  readonly network: EvioNetwork | undefined;
  /** By name. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly members: ReadonlyMap<string, EvioNode>;
}

export const selects = (network: EvioNetwork, node: Node): boolean =>
  node.metadata.deletionTimestamp === undefined &&
  Object.entries(network.spec.nodeSelector).every(([key, value]) => node.metadata.labels?.[key] === value);

export const claimOf = ({ metadata, spec }: EvioNode): Claim => ({
  name: metadata.name,
  created: metadata.creationTimestamp,
  addresses: spec.addresses,
  podCIDRs: spec.podCIDRs,
});

/** Nodes that are to get an EvioNode and have none, oldest first. */
export function waitingFor({ network, nodes, members }: Waiting): readonly string[] {
  if (network === undefined) return [];
  return [...nodes.values()]
    .filter((node) => selects(network, node) && !members.has(node.metadata.name))
    .map((node) => ({ name: node.metadata.name, created: node.metadata.creationTimestamp }))
    .sort(byAge)
    .map(({ name }) => name);
}

const SHORTAGES: Readonly<Record<Shortage, (pools: Pools) => string>> = {
  addresses: ({ nodes }) =>
    `no overlay address is left in ${nodes.map(formatPrefix).join(' and ')}: let nodeCIDRs grow, or delete Nodes that are gone`,
  pods: ({ pods }) =>
    `no piece is left in ${pods.map(({ prefix, length }) => `${formatPrefix(prefix)} (cut at /${length})`).join(' and ')}: let podCIDRs grow, or delete Nodes that are gone`,
};

export const shortageOf = (shortage: Shortage, pools: Pools): string => SHORTAGES[shortage](pools);

/** After the Nodes that wait, and without a piece for pods. */
export function allotPeers(view: PeersView, network: EvioNetwork): ReturnType<typeof allot> {
  const pools = poolsOf(network.spec);
  const book = [...view.members.values()].map(claimOf);
  const nodes = allot(pools, book, waitingFor({ ...view, network })).granted;
  const promised = [...nodes].map(([name, given]) => ({ name, created: '', ...given }));
  return allot({ ...pools, pods: [] }, [...book, ...promised], waitingPeers(view));
}

/** Why an EvioPeer gets no address; undefined: it has one, or is about to. */
export function peerShortage(view: PeersView & { readonly network: EvioNetwork }, name: string): string | undefined {
  const shortage = allotPeers(view, view.network).refused.get(name);
  return shortage === undefined ? undefined : shortageOf(shortage, poolsOf(view.network.spec));
}

/** What of an EvioNode does not follow from the pools. */
export interface MemberParts {
  readonly name: string;
  readonly memberName: string;
  /** Undefined: a machine that joined by a token, and has no Node yet. */
  readonly owner: OwnerReference | undefined;
  readonly machine: JoinedMachine | undefined;
}

export function memberObject(
  { name, memberName, owner, machine }: MemberParts,
  { addresses, podCIDRs }: Allotment,
  enrolment: Enrolment | undefined,
): Applied<EvioNode> {
  const spec: EvioNodeSpec = {
    network: NETWORK_NAME,
    memberName,
    addresses: [...addresses],
    podCIDRs: [...podCIDRs],
    ...(machine === undefined ? {} : { machine }),
    ...(enrolment === undefined ? {} : { enrolment }),
  };
  return { metadata: { name, ...(owner === undefined ? {} : { ownerReferences: [owner] }) }, spec };
}
