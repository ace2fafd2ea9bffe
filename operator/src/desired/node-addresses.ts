/**
 * A Node's addresses where its kubelet leaves them to a cloud controller (KEP-2395; `--cloud-provider=external`): since Kubernetes 1.29 such
 * a kubelet has none before somebody writes them, and never changes them after. The API server dials InternalIP, so `kubectl logs` and
 * `exec` reach the node over the overlay.
 */

import type { PatchStep } from '../../../agent/src/kube-api/client.ts';
import type { EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../agent/src/kube-api/kinds.ts';
import { parsePrefix } from '../../../agent/src/wire/address.ts';

export const UNINITIALIZED_TAINT = 'node.cloudprovider.kubernetes.io/uninitialized';
/** On Nodes whose addresses we write. */
export const MANAGED_ANNOTATION = 'evio.io/node-addresses';
const MANAGED = 'managed';

export interface NodeAddress {
  readonly type: string;
  readonly address: string;
}

export type AddressVerdict =
  | { readonly kind: 'none' }
  /** Patches in this order: status first, so that nothing is scheduled to a node without an address. */
  | {
      readonly kind: 'patch';
      readonly status: readonly PatchStep[] | undefined;
      readonly node: readonly PatchStep[] | undefined;
    }
  /** The kubelet writes its own addresses, and they are not those of the overlay. */
  | { readonly kind: 'foreign'; readonly internal: readonly string[] };

const alone = (address: string): string => parsePrefix(address).address;

/** As the EvioNode has them, with prefix lengths. */
export function wantedAddresses(node: Node, addresses: readonly string[]): readonly NodeAddress[] {
  const hostname = node.metadata.labels?.['kubernetes.io/hostname'] ?? node.metadata.name;
  return [
    ...addresses.map((address) => ({ type: 'InternalIP', address: alone(address) })),
    { type: 'Hostname', address: hostname },
  ];
}

/**
 * Whether the node's interface has its addresses, as its agent says. Who is told of them earlier may find nothing there: kube-proxy with
 * nftables looks which of the Node's addresses the machine has, for NodePorts, and then not again for an hour.
 */
export function hasAddresses({ spec, status }: EvioNode): boolean {
  // `evio join --node-ip` has waited for them before it told the kubelet.
  if (spec.machine !== undefined) return spec.enrolment !== undefined;
  const is = status?.conditions?.find(({ type }) => type === 'DataPlaneReady');
  return is !== undefined && is.reason !== 'DataPlaneAbsent';
}

export function decideAddresses(node: Node, member: EvioNode, policy: 'Auto' | 'Never'): AddressVerdict {
  const { addresses } = member.spec;
  if (policy === 'Never' || addresses.length === 0) return { kind: 'none' };
  const present = node.status?.addresses ?? [];
  const internal = present.filter((a) => a.type === 'InternalIP').map((a) => a.address);
  const taints = node.spec?.taints ?? [];
  const tainted = taints.some((t) => t.key === UNINITIALIZED_TAINT);
  const marked = node.metadata.annotations?.[MANAGED_ANNOTATION] === MANAGED;
  // A kubelet that has addresses of its own writes them when it registers.
  if (!tainted && !marked && internal.length > 0) {
    const wanted = addresses.map(alone);
    return internal.some((a) => wanted.includes(a)) ? { kind: 'none' } : { kind: 'foreign', internal };
  }
  // Once written they stay, also while the interface is gone: a Node without an address is worse.
  if (!marked && !hasAddresses(member)) return { kind: 'none' };
  const wanted = wantedAddresses(node, addresses);
  const text = (list: readonly NodeAddress[]): string => list.map((a) => `${a.type} ${a.address}`).join();
  const status: PatchStep[] | undefined =
    text(present) === text(wanted) ? undefined : [{ op: 'add', path: '/status/addresses', value: wanted }];
  const steps: readonly PatchStep[] = [...mark(node, marked), ...untaint(taints)];
  if (status === undefined && steps.length === 0) return { kind: 'none' };
  return { kind: 'patch', status, node: steps.length === 0 ? undefined : steps };
}

function mark(node: Node, marked: boolean): readonly PatchStep[] {
  if (marked) return [];
  const key = MANAGED_ANNOTATION.replaceAll('~', '~0').replaceAll('/', '~1');
  return node.metadata.annotations === undefined
    ? [{ op: 'add', path: '/metadata/annotations', value: { [MANAGED_ANNOTATION]: MANAGED } }]
    : [{ op: 'add', path: `/metadata/annotations/${key}`, value: MANAGED }];
}

/** Last one first, so that the places of the others stay; each only while it still is that taint. */
function untaint(taints: readonly { readonly key: string }[]): readonly PatchStep[] {
  return taints
    .map((taint, at) => ({ taint, path: `/spec/taints/${at}` }))
    .filter(({ taint }) => taint.key === UNINITIALIZED_TAINT)
    .reverse()
    .flatMap(({ path }): readonly PatchStep[] => [
      { op: 'test', path: `${path}/key`, value: UNINITIALIZED_TAINT },
      { op: 'remove', path },
    ]);
}

/** Gives a Node's addresses back to a cloud controller: as its kubelet had it before us. */
export function releaseSteps(node: Node): {
  readonly status: readonly PatchStep[];
  readonly node: readonly PatchStep[];
} {
  const kept = (node.status?.addresses ?? []).filter((a) => a.type !== 'InternalIP');
  const taints = node.spec?.taints ?? [];
  const taint = { key: UNINITIALIZED_TAINT, value: 'true', effect: 'NoSchedule' };
  const tainted = taints.some((t) => t.key === UNINITIALIZED_TAINT);
  return {
    status: [{ op: 'add', path: '/status/addresses', value: kept }],
    node: [
      { op: 'remove', path: `/metadata/annotations/${MANAGED_ANNOTATION.replaceAll('/', '~1')}` },
      ...(tainted ? [] : [{ op: 'add' as const, path: '/spec/taints', value: [...taints, taint] }]),
    ],
  };
}
