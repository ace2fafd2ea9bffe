/** What the network controller decides from, and what its status is said of, as the caches have it. */

import type { EvioNetwork } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../../agent/src/kube-api/kinds.ts';
import { allot, doubles } from '../../desired/allotment.ts';
import { gatewayOf, isSilent } from '../../desired/gateway.ts';
import type { Problem, StatusView } from '../../desired/network-status.ts';
import { poolsOf } from '../../desired/parameters.ts';
import { signallingIs } from '../../desired/signalling.ts';
import { AGENT, CLEANUP, DATAPLANE, SERVER } from '../../names.ts';
import { claimOf, selects, shortageOf, waitingFor } from '../node/allot.ts';
import type { World } from '../world.ts';
import type { NetworkView } from './decide.ts';

export function observe(network: EvioNetwork, world: World): NetworkView {
  const { authority, broken } = world.book.read();
  return {
    network,
    nodes: nodesByName(world),
    members: [...world.members.all().values()],
    authority,
    authorityBroken: broken,
    authorityRemembered: world.book.remembers,
    signalling: world.signallingView(network),
    deployment: world.deployments.get(world.key(SERVER)),
    agent: world.daemonSets.get(world.key(AGENT)),
    dataplane: world.daemonSets.get(world.key(DATAPLANE)),
    cleanup: world.daemonSets.get(world.key(CLEANUP)),
  };
}

const nodesByName = (world: World): ReadonlyMap<string, Node> =>
  new Map(world.nodes.list().map((node): [string, Node] => [node.metadata.name, node]));

/** After what could be done was done. */
export function observeStatus(
  network: EvioNetwork,
  world: World,
  wrong: { readonly authority: Problem | undefined; readonly failure: string | undefined },
): StatusView {
  const nodes = nodesByName(world);
  const members = world.members.all();
  const selected = [...nodes.values()].filter((node) => selects(network, node));
  const book = [...members.values()].map(claimOf);
  const pools = poolsOf(network.spec);
  const { refused } = allot(pools, book, waitingFor({ network, nodes, members }));
  const signalling = world.signalling(network);
  const embedded = network.spec.signalling.external === undefined;
  return {
    network,
    selected: selected.map((node) => node.metadata.name).sort(),
    silent: new Set(selected.filter(isSilent).map((node) => node.metadata.name)),
    members: [...members.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)),
    gateway: gatewayOf({ network, nodes, members }),
    pools,
    book,
    refused,
    shortages: [...new Set(refused.values())].map((shortage) => shortageOf(shortage, pools)),
    doubles: doubles(book),
    authority: world.book.read().authority,
    authorityProblem: wrong.authority,
    signallingMissing: signallingIs(signalling) ? undefined : signalling,
    signalling: world.link.reach,
    relay: world.relay.reach,
    agent: world.daemonSets.get(world.key(AGENT)),
    dataplane: world.daemonSets.get(world.key(DATAPLANE)),
    server: embedded ? world.deployments.get(world.key(SERVER)) : undefined,
    failure: wrong.failure,
  };
}
