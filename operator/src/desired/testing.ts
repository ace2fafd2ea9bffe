/** Objects as the API server gives them out, for tests of what is decided from them. */

import type { EvioNetwork, EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { Node, Secret } from '../../../agent/src/kube-api/kinds.ts';
import type { ObjectMeta } from '../../../agent/src/kube-api/object.ts';
import { parsePrefix } from '../../../agent/src/wire/address.ts';
import { privateKey, rawPublicKey, sha256 } from '../../../agent/src/wire/keys.ts';
import { type EvioNetworkSpecInput, evioNetworkSpec, NETWORK_NAME } from '../../../crds/src/evio-network.ts';
import type { EvioNodeSpec, EvioNodeStatus } from '../../../crds/src/evio-node.ts';
import { API_VERSION } from '../../../crds/src/object-meta.ts';

const CREATED = '2026-01-01T00:00:00Z';

const meta = (name: string, more: Partial<ObjectMeta> = {}): ObjectMeta => ({
  name,
  uid: `${name}-uid`,
  resourceVersion: '1',
  creationTimestamp: CREATED,
  ...more,
});

export function aNetwork(spec: EvioNetworkSpecInput = {}, more: Partial<ObjectMeta> = {}): EvioNetwork {
  return {
    apiVersion: API_VERSION,
    kind: 'EvioNetwork',
    metadata: meta(NETWORK_NAME, { generation: 1, ...more }),
    spec: evioNetworkSpec.parse(spec),
  };
}

export interface NodeParts {
  readonly meta?: Partial<ObjectMeta>;
  readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  readonly taints?: readonly { readonly key: string; readonly effect: string }[];
}

/** Of a kubelet that has written its own address. */
export function aNode(name: string, { meta: more = {}, addresses, taints = [] }: NodeParts = {}): Node {
  return {
    metadata: meta(name, { labels: { 'kubernetes.io/hostname': name }, annotations: {}, ...more }),
    spec: { taints },
    status: { addresses: addresses ?? [{ type: 'InternalIP', address: '192.168.1.10' }] },
  };
}

/** Public keys of a node, from a number. */
export function someKeys(seed: string): { readonly identityKey: string; readonly sessionKey: string } {
  const bytes = sha256(Buffer.from(seed));
  return {
    identityKey: rawPublicKey(privateKey('ed25519', bytes)).toString('base64'),
    sessionKey: rawPublicKey(privateKey('x25519', bytes)).toString('base64'),
  };
}

export interface MemberParts {
  readonly spec?: Partial<EvioNodeSpec>;
  readonly status?: EvioNodeStatus;
  readonly meta?: Partial<ObjectMeta>;
}

/** Number `n` of a network with one pool of each kind, owned by the Node of the same name. */
export function aMember(name: string, n: number, { spec = {}, status, meta: more = {} }: MemberParts = {}): EvioNode {
  const prefix = parsePrefix(`10.45.0.${n}/16`);
  return {
    apiVersion: API_VERSION,
    kind: 'EvioNode',
    metadata: meta(name, {
      uid: `member-${name}`,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid: `${name}-uid`, controller: true }],
      ...more,
    }),
    spec: {
      network: NETWORK_NAME,
      memberName: name,
      addresses: [`${prefix.address}/${prefix.length}`],
      podCIDRs: [`10.244.${n - 1}.0/24`],
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  };
}

export const aSecret = (name: string, data: Readonly<Record<string, string | undefined>>): Secret => ({
  metadata: meta(name, { namespace: 'evio-system' }),
  data: data as Readonly<Record<string, string>>,
});
