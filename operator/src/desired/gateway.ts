/**
 * Which node carries the addresses of Services for EvioPeers: its certificate has the Service CIDRs as routes, so that peers send them to
 * it, and kube-proxy there does the rest. One at a time; of two certificates with one route the higher serial has it, so that the next
 * one takes over as soon as it has its own.
 */
import type { EvioNetwork, EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../agent/src/kube-api/kinds.ts';
import { formatPrefix } from '../../../agent/src/wire/address.ts';
import { parseCertificate } from '../../../agent/src/wire/certificate.ts';
import { DecodeError, fromBase64 } from '../../../agent/src/wire/reader.ts';
import { byAge } from './allotment.ts';
import { peerOwnerOf } from './peer.ts';

/** The node controller of Kubernetes has not heard of its kubelet. */
export const isSilent = (node: Node): boolean =>
  node.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'Unknown';

export const serviceCIDRsOf = ({ spec }: EvioNetwork): readonly string[] => spec.gateways?.serviceCIDRs ?? [];

export interface GatewayView {
  readonly network: EvioNetwork;
  /** By name. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly members: ReadonlyMap<string, EvioNode>;
}

/** Its name; undefined: no gateways are wanted, or no node may be one. */
export function gatewayOf({ network, nodes, members }: GatewayView): string | undefined {
  const { gateways } = network.spec;
  if (gateways === undefined) return undefined;
  const fits = (node: Node | undefined): boolean =>
    node !== undefined &&
    node.metadata.deletionTimestamp === undefined &&
    Object.entries(gateways.nodeSelector).every(([key, value]) => node.metadata.labels?.[key] === value);
  // Only nodes that the DaemonSets run: their node files leave Services to kube-proxy. That of a machine that joined by a token before
  // `gateways` was written does not, and a Node of its name may be another machine's.
  const candidates = [...members.values()]
    .filter(({ spec }) => spec.enrolment !== undefined && spec.machine === undefined)
    .filter((member) => peerOwnerOf(member) === undefined)
    .filter((member) => member.metadata.deletionTimestamp === undefined && fits(nodes.get(member.metadata.name)))
    .map((member) => ({ name: member.metadata.name, created: member.metadata.creationTimestamp, member }))
    .sort(byAge);
  const heard = candidates.filter(({ name }) => !isSilent(nodes.get(name) as Node));
  // Who is it stays it while it is heard of; where nobody is, nothing is moved.
  const present = candidates.filter(({ member }) => carries(member, gateways.serviceCIDRs));
  const [chosen] = [...heard.filter((one) => present.includes(one)), ...heard, ...present, ...candidates];
  return chosen?.name;
}

function carries({ spec }: EvioNode, services: readonly string[]): boolean {
  try {
    const routes = parseCertificate(fromBase64(spec.enrolment?.certificate ?? '')).routes.map(formatPrefix);
    return services.some((service) => routes.includes(service));
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
