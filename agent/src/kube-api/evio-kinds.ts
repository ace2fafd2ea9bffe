/** Evio's own kinds, as the client takes them. In words of their own: their schemas are no small part of a node's memory. */
import type { EvioNetwork as Network } from '../../../crds/src/evio-network.ts';
import type { EvioNode as Member } from '../../../crds/src/evio-node.ts';
import type { EvioPeer as Peer } from '../../../crds/src/evio-peer.ts';
import { API_VERSION } from '../../../crds/src/object-meta.ts';
import { kind } from './kinds.ts';
import type { KubeObject } from './object.ts';

export type EvioNetwork = Omit<Network, 'metadata'> & KubeObject;
export type EvioNode = Omit<Member, 'metadata'> & KubeObject;
export type EvioPeer = Omit<Peer, 'metadata'> & KubeObject;

export const EVIO_NETWORK = kind<EvioNetwork>(API_VERSION, 'EvioNetwork', 'evionetworks', false);
export const EVIO_NODE = kind<EvioNode>(API_VERSION, 'EvioNode', 'evionodes', false);
export const EVIO_PEER = kind<EvioPeer>(API_VERSION, 'EvioPeer', 'eviopeers', false);
