/** What the node controller decides from, as the caches have it. */

import type { EvioPeer } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../../agent/src/kube-api/kinds.ts';
import { NETWORK_NAME } from '../../../../crds/src/evio-network.ts';
import { roomOf } from '../../desired/enrolment.ts';
import { signallingIs } from '../../desired/signalling.ts';
import type { World } from '../world.ts';
import type { NodeView } from './decide.ts';

export function observe(name: string, world: World): NodeView {
  const network = world.networks.get(NETWORK_NAME);
  const signalling = network === undefined ? undefined : world.signalling(network);
  return {
    name,
    network,
    nodes: new Map(world.nodes.list().map((node): [string, Node] => [node.metadata.name, node])),
    members: world.members.all(),
    peers: new Map(world.peers.list().map((peer): [string, EvioPeer] => [peer.metadata.name, peer])),
    authority: world.book.read().authority,
    place: signalling !== undefined && signallingIs(signalling) ? signalling.place : undefined,
  };
}

/** The room of the overlay at its server. */
export function room(world: World, conference: string): string | undefined {
  const { authority } = world.book.read();
  return authority && roomOf(authority.overlayId, NETWORK_NAME, conference);
}
