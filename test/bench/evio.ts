/** Evio as a user has it: an XMPP server and coturn, an overlay, two enrolled nodes, an agent and its tincan at each end. */
import { join } from 'node:path';
import type { Peer as Neighbour, PathName } from '../../agent/src/api.ts';
import { createOverlay, EVIO, enrolNode, type Joined, peers, status } from '../demo/overlay.ts';
import { attempt, PREFIX, run, until } from '../demo/shell.ts';
import { Ovs } from '../servers/ovs.ts';
import { daemonIn, groupOf, type Peer, type PeerKind } from './peers.ts';
import { addEnds, linkToServer, other, type Place, SIDES, type Side } from './place.ts';
import { enter, groupMb, residentMb } from './usage.ts';

export interface Variant {
  /** Of the figures, and of the overlay. */
  readonly name: string;
  readonly ovs?: boolean;
  /** Pods behind each end. */
  readonly routes?: Readonly<Record<Side, string>>;
  /** Of `evio overlay create`. */
  readonly overlay?: readonly string[];
  /** `NAME=VALUE` for agent and tincan. */
  readonly environment?: readonly string[];
}

export interface EvioPeer extends Peer {
  readonly nodes: Readonly<Record<Side, Joined>>;
}

/** How the tunnel of an end goes now. */
async function neighbour(node: Joined): Promise<Neighbour | undefined> {
  return (await peers(node).catch(() => [])).find(({ kinds }) => kinds.length > 0);
}

/** Waits until both ends send by a path of that name. */
export async function untilPath(nodes: readonly Joined[], path: PathName, withinMs: number): Promise<void> {
  for (const node of nodes)
    await until(
      `${node.name} sends by a path that is ${path}`,
      withinMs,
      async () => (await neighbour(node))?.path === path,
      20,
    );
}

const switches = new Set<Ovs>();
export async function stopSwitches(): Promise<void> {
  for (const one of switches) await one.stop();
  switches.clear();
}

export async function openEvio(
  place: Place,
  { name, ovs, routes, overlay = [], environment = [] }: Variant,
): Promise<EvioPeer> {
  const ends = await addEnds(place, name);
  const home = await createOverlay(place.server, name, place.dir, overlay);
  const enrolled = new Map<Side, Joined>();
  for (const side of SIDES) {
    const { ns } = ends[side];
    await linkToServer(ns);
    const keys: Record<string, unknown> = {};
    if (ovs === true) {
      const one = await Ovs.start({ netns: PREFIX + ns, within: place.dir });
      switches.add(one);
      // What it switches in user space, an end pays for.
      for (const pid of one.pids) enter(groupOf(name, side), pid);
      Object.assign(keys, { switch: 'ovs', ovs: { runDir: one.runDir } });
    }
    if (routes !== undefined) keys.pods = { overlayCIDRs: Object.values(routes) };
    const options = routes === undefined ? [] : ['--route', routes[side]];
    enrolled.set(side, await enrolNode(home, ns, join(place.dir, ns), { options, keys }));
  }
  const nodes = { a: enrolled.get('a') as Joined, b: enrolled.get('b') as Joined };
  const version = (await run(undefined, EVIO, '--version')).trim();
  return {
    fact: { name, version, encrypted: true, mtu: 1400 },
    ends,
    addresses: { a: nodes.a.ipv4, b: nodes.b.ipv4 },
    nodes,
    async start(side) {
      const { name: ns, config } = nodes[side];
      const command = ['env', ...environment, EVIO, 'agent', 'run', '--config', config];
      daemonIn(place.dir, ns, groupOf(name, side), ...command);
    },
    async stop(side) {
      const done = await attempt(nodes[side].name, [EVIO, 'agent', 'stop', '--run-dir', nodes[side].runDir], 15_000);
      if (done.code !== 0) throw new Error(`evio agent stop: ${done.stderr.trim()}`);
    },
    async ready() {
      await untilPath(Object.values(nodes), 'direct', 30_000);
      for (const side of SIDES) {
        const wanted = ends[other(side)].address;
        const remote = (await neighbour(nodes[side]))?.remote?.address ?? 'unknown';
        if (!remote.startsWith(`${wanted}:`)) throw new Error(`${name} goes by ${remote}, not by ${wanted}`);
      }
    },
    async memory(side) {
      const found = await status(nodes[side]);
      return {
        rss: groupMb(groupOf(name, side)),
        'rss-agent': residentMb(found?.agent.pid ?? 0),
        'rss-tincan': residentMb(found?.tincan?.pid ?? 0),
      };
    },
  };
}

/** Pods behind each end. */
export const POD_ROUTES: Readonly<Record<Side, string>> = { a: '10.244.1.0/24', b: '10.244.2.0/24' };

export const EVIO_KINDS: Readonly<Record<string, PeerKind>> = {
  evio: (place) => openEvio(place, { name: 'evio' }),
  'evio-ovs': (place) => openEvio(place, { name: 'evio-ovs', ovs: true }),
  'evio-pods': (place) => openEvio(place, { name: 'evio-pods', routes: POD_ROUTES }),
};
