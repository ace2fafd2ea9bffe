/** Who is in the overlay of a cluster, for who asks its authority: EvioNodes are the register, the ledger knows who was. Pure. */
import type { Registered } from '../../../agent/src/join/judge.ts';
import { EVIO_PEER, type EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../agent/src/kube-api/kinds.ts';
import { type NodeId, nodeIdOf } from '../../../agent/src/wire/ids.ts';
import { fromBase64 } from '../../../agent/src/wire/reader.ts';
import { HOST_PACKAGE_LABEL } from '../names.ts';
import type { Authority } from './authority.ts';
import { issuedTo, ownerOf } from './ledger.ts';
import { memberNameOf } from './member-name.ts';

export interface RegisterView {
  /** By name. */
  readonly members: ReadonlyMap<string, EvioNode>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly authority: Pick<Authority, 'ledger' | 'tokens'>;
}

/** An EvioNode whose agent is not a machine's own: nobody who asks over XMPP is it. */
const NOBODY = '';

export const isHostPackage = (node: Node | undefined): boolean =>
  node?.metadata.labels?.[HOST_PACKAGE_LABEL] === 'true';

export const memberCalled = ({ members }: Pick<RegisterView, 'members'>, name: string): EvioNode | undefined =>
  [...members.values()].find(
    (member) => member.spec.memberName === name && member.metadata.deletionTimestamp === undefined,
  );

export const machineIdOf = ({ spec }: EvioNode): NodeId | undefined =>
  spec.machine === undefined ? undefined : nodeIdOf(fromBase64(spec.machine.identityKey));

/**
 * Who else has the keys with which a machine would become the member `name`; undefined: nobody. A certificate for them would void that
 * one's own, and the node controller signs none.
 */
export function otherWith({ members, authority }: RegisterView, id: NodeId, name: string): string | undefined {
  const own = memberCalled({ members }, name)?.metadata.name ?? name;
  // The ring position is the first half of the id.
  const label = id.slice(0, 16);
  const member = [...members.values()].find(
    (one) => one.metadata.name !== own && machineIdOf(one)?.slice(0, 16) === label,
  );
  const claim = authority.tokens.tokens
    .flatMap(({ claims }) => claims)
    .find((one) => one.serial === 0 && one.name !== name && one.node.slice(0, 16) === label);
  return ownerOf(authority.ledger, id, own) ?? member?.spec.memberName ?? claim?.name;
}

/** Waits for a machine that joins: of an EvioPeer, or made for a Node that says it runs the host package, whose kubelet came first. */
function isAwaited({ metadata, spec }: EvioNode, { nodes }: RegisterView, peer: string | undefined): boolean {
  if (spec.machine !== undefined) return false;
  const ofPeer = metadata.ownerReferences?.some(({ kind }) => kind === EVIO_PEER.kind) === true;
  if (ofPeer || peer !== undefined) return ofPeer && peer === metadata.name;
  return spec.enrolment === undefined && isHostPackage(nodes.get(metadata.name));
}

/** `asker`: node id of the keys that the request was signed with; `peer`: the EvioPeer that its token is for. */
export function registered(view: RegisterView, name: string, asker: NodeId, peer?: string): Registered | undefined {
  const { members, nodes, authority } = view;
  const { ledger, tokens } = authority;
  const member = memberCalled(view, name);
  if (member !== undefined && !isAwaited(member, view, peer)) {
    const issued = issuedTo(ledger, member.metadata.name);
    const serial = Math.max(issued?.serial ?? 0, Number(member.spec.enrolment?.serial ?? 0));
    return { id: machineIdOf(member) ?? issued?.id ?? NOBODY, serial, state: 'enrolled' };
  }
  // Its EvioNode is about to be made, or was not selected: the name is the Node's.
  const node = [...nodes.values()].find(({ metadata }) => memberNameOf(metadata.name) === name);
  if (node !== undefined && member === undefined && !isHostPackage(node) && !members.has(node.metadata.name))
    return { id: NOBODY, serial: 0, state: 'enrolled' };
  const gone = ledger.revoked.find(({ id }) => id === asker);
  if (gone !== undefined) return { id: asker, serial: gone.serial, state: 'revoked' };
  const open = tokens.tokens
    .flatMap(({ claims }) => claims)
    .some((c) => c.node === asker && c.name === name && c.serial === 0);
  return open ? { id: asker, serial: 0, state: 'pending' } : undefined;
}
