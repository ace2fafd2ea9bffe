/** The peer controller: keys are names of EvioPeers. It writes their status; their EvioNodes are the node controller's. */
import { isDeepStrictEqual } from 'node:util';
import { isNotFound } from '../../../../agent/src/kube-api/client.ts';
import { EVIO_PEER } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../../agent/src/kube-api/kinds.ts';
import { NETWORK_NAME } from '../../../../crds/src/evio-network.ts';
import { type Controller, watch } from '../../controller.ts';
import { peerStatus } from '../../desired/peer.ts';
import { peerShortage } from '../node/allot.ts';
import type { World } from '../world.ts';

export function peerController(world: World): Controller {
  const all = (): readonly string[] => world.peers.list().map(({ metadata }) => metadata.name);
  return {
    name: 'peer',
    watches: [
      watch(world.peers, ({ metadata }) => [metadata.name]),
      watch(world.memberCache, (member) => [member.metadata.name, member.spec.memberName]),
      // One that goes makes room, one that comes may take the name.
      watch(world.memberCache, all, () => false),
      watch(world.nodes, all, () => false),
      watch(world.networks, all, (after, before) => after.metadata.generation !== before.metadata.generation),
    ],
    async reconcile(name) {
      const peer = world.peers.get(name);
      if (peer === undefined || peer.metadata.deletionTimestamp !== undefined) return undefined;
      const found = world.networks.get(NETWORK_NAME);
      const network = found?.metadata.deletionTimestamp === undefined ? found : undefined;
      const view = {
        peers: new Map(world.peers.list().map((one) => [one.metadata.name, one])),
        nodes: new Map(world.nodes.list().map((node): [string, Node] => [node.metadata.name, node])),
        members: world.members.all(),
      };
      const shortage = network && peerShortage({ ...view, network }, name);
      const now = new Date(world.now() * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
      const status = peerStatus({ ...view, peer, network: network !== undefined, shortage }, now);
      if (isDeepStrictEqual(JSON.parse(JSON.stringify(peer.status ?? {})), JSON.parse(JSON.stringify(status))))
        return undefined;
      try {
        await world.client.applyStatus(EVIO_PEER, { metadata: { name }, status });
      } catch (error) {
        // It went meanwhile.
        if (!isNotFound(error)) throw error;
      }
      return undefined;
    },
  };
}
