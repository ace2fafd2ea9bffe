/** Evio's own kinds, as the client takes them. */
import type { EvioNetwork as Network } from '../../crds/src/evio-network.ts';
import type { EvioNode as Member } from '../../crds/src/evio-node.ts';
import { EVIO_NETWORK as NETWORK, EVIO_NODE as NODE } from '../../crds/src/kinds.ts';
import { GROUP, VERSION } from '../../crds/src/object-meta.ts';
import type { Kind, KubeObject } from './kube/object.ts';

export type EvioNetwork = Omit<Network, 'metadata'> & KubeObject;
export type EvioNode = Omit<Member, 'metadata'> & KubeObject;

const ours = <T extends KubeObject>({ kind, plural }: { readonly kind: string; readonly plural: string }): Kind<T> => ({
  group: GROUP,
  version: VERSION,
  kind,
  plural,
  namespaced: false,
});

export const EVIO_NETWORK = ours<EvioNetwork>(NETWORK);
export const EVIO_NODE = ours<EvioNode>(NODE);
