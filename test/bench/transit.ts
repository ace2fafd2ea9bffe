/** What crosses another node: four nodes in a ring, of which the second passes on what the first and the third say. */
import { join } from 'node:path';
import { createOverlay, EVIO, enrolNode, type Joined, peers } from '../demo/overlay.ts';
import { attempt, until } from '../demo/shell.ts';
import type { Bench, Stage } from './bench.ts';
import { daemonIn } from './peers.ts';
import { lanNode, type Place } from './place.ts';
import { tcp } from './traffic.ts';

const RING = ['--full-mesh', 'off', '--successors', '1', '--long-distance', '0', '--on-demand', '0'];

/** Enrols and starts nodes 1 to `count` of a lan; `keys` are added to the node file of each. */
export async function startNodes(
  place: Place,
  overlay: string,
  count: number,
  options: readonly string[],
  keys: (name: string) => object = () => ({}),
): Promise<readonly Joined[]> {
  const home = await createOverlay(place.server, overlay, place.dir, options);
  const nodes: Joined[] = [];
  for (let number = 1; number <= count; number++) {
    const name = lanNode(number);
    nodes.push(await enrolNode(home, name, join(place.dir, name), { keys: keys(name) }));
  }
  for (const { name, config } of nodes)
    daemonIn(place.dir, name, `evio-${name}`, EVIO, 'agent', 'run', '--config', config);
  return nodes;
}

/** The node answers pings of the other one. */
export const untilReached = (from: Joined, to: Joined, withinMs = 60_000): Promise<unknown> =>
  until(`${to.name} answers ${from.name}`, withinMs, async () => {
    const done = await attempt(from.name, ['ping', '-n', '-q', '-c', '1', '-W', '1', to.ipv4]);
    return done.code === 0;
  });

/** Names of the nodes that one has a direct tunnel of its own to. */
async function adjacent(node: Joined): Promise<ReadonlySet<string>> {
  const known = await peers(node).catch(() => []);
  return new Set(known.filter(({ kinds, path }) => kinds.length > 0 && path === 'direct').map(({ name }) => name));
}

/** Three nodes of a bare ring of four. */
export interface Ring {
  readonly a: Joined;
  /** Neighbour of both others, and so it passes on what they say to each other. */
  readonly via: Joined;
  readonly c: Joined;
  /** Throws if the ends have made a tunnel of their own meanwhile. */
  check(): Promise<void>;
}

export const RING_NODES = 4;

/** On a lan of at least four nodes. */
export async function openRing(place: Place): Promise<Ring> {
  const nodes = await startNodes(place, 'ring', RING_NODES, RING);
  // Places on the ring follow from keys: which node is across is seen only now.
  const a = nodes[0] as Joined;
  const near = await until('the first node has its two neighbours in the ring', 60_000, async () => {
    const all = await Promise.all(nodes.map(adjacent));
    return all.every((one) => one.size === 2) && all[0];
  });
  const via = nodes.find((one) => near.has(one.name)) as Joined;
  const c = nodes.find((one) => one !== a && !near.has(one.name)) as Joined;
  for (const to of [via, c]) await untilReached(a, to);
  const check = async (): Promise<void> => {
    if ((await adjacent(a)).has(c.name))
      throw new Error('the two ends made a tunnel of their own: nothing crossed a node');
  };
  return { a, via, c, check };
}

async function run(stage: Stage): Promise<void> {
  const { a, via, c, check } = await openRing(await stage.place('lan', RING_NODES));
  const host = ({ name }: Joined) => ({ ns: name, group: `traffic-${name}` });
  const flow = async (to: Joined): Promise<number> =>
    (await tcp(host(a), host(to), to.ipv4, { seconds: stage.seconds, flows: 1 })).mbps;
  const measure = async () => {
    const found = { 'tcp1-adjacent': await flow(via), 'tcp1-transit': await flow(c) };
    await check();
    return found;
  };
  await stage.record.rounds(stage.rounds, [{ name: 'evio', measure }]);
  await stage.close();
}

export const TRANSIT: Bench = {
  name: 'transit',
  title: 'A transit hop',
  text: 'Four nodes on one switch whose overlay is a bare ring: a flow to a neighbour on the ring, then one to the node across, which the neighbour passes on.',
  run,
};
