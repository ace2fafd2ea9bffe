/** Everything of the table that an overlay shows once it stands: links, routes, flows, and what dead tunnels do to them. */

import type { Topology } from '../../../agent/src/overlay/index.ts';
import { Crowd, type CrowdOptions } from './crowd.ts';
import { ask } from './datapath.ts';
import {
  dying,
  figure,
  flowCounts,
  type Graph,
  graphOf,
  hopsTo,
  routeLengths,
  samplePlaces,
  tunnelsPerNode,
} from './measure.ts';
import type { Column } from './rows.ts';

/** As shipped, but that small overlays are no mesh and nobody talks much. */
export const TOPOLOGY: Topology = { successors: 2, longDistance: 'auto', onDemand: 8, fullMesh: 'off' };

const SPREAD_MS = 1_000;
const CLOSED_MS = 120_000;
/** Refused links are drawn again, what drains is gone, connections are parked. */
const STAND_MS = 150_000;
const DYING = 0.1;
const ROUTED_MS = 1_500;
/**
 * What an idle node sends besides its tunnels, in IP bytes a second, each as the agent's own clocks say and the sizes of `make test-scale`:
 * members by chance to one neighbour every two minutes (20 certificates), the hello to the LAN every 30 s, STUN every 25 s to two
 * servers, and the XMPP server's ping.
 */
const BESIDES_BYTES_PER_S = { members: 75, lan: 25, stun: 4, xmpp: 15 };
/** Addresses of a neighbour that never answer: a private one of somebody else's LAN. */
const SILENT = 1;
/** Nodes that forward nothing, one after the other, and when routes round each are looked at. */
const HOLES = 10;
const ROUND_MS = 5_000;
/** Destinations that routes to are looked at from everybody, and nodes whose flows are counted. */
const TARGETS = 1_000;
const TARGETS_LARGE = 200;
const LARGE = 2_000;

export interface StandingOptions {
  readonly size: number;
  readonly seed: number;
  readonly floods: number;
}

export interface Standing {
  readonly column: Column;
  readonly graph: Graph;
  readonly dead: readonly number[];
  readonly details: Readonly<Record<string, unknown>>;
}

/** A crowd in which everybody has the tunnels it wants. */
export const stand = (size: number, seed: number, topology: Topology = TOPOLOGY): Crowd =>
  standOf({ size, seed, topology });

export function standOf(options: CrowdOptions): Crowd {
  const crowd = new Crowd(options);
  const { size, seed } = options;
  crowd.start(SPREAD_MS);
  if (crowd.untilClosed(CLOSED_MS) === undefined)
    throw new Error(`seed ${seed}: ${size} nodes have no closed ring after ${CLOSED_MS / 1_000} s`);
  crowd.clock.run(STAND_MS);
  return crowd;
}

const percent = (part: number, of: number): number => (of === 0 ? 100 : (100 * part) / of);

export function standing({ size, seed, floods }: StandingOptions): Standing {
  const crowd = stand(size, seed);
  const graph = graphOf(crowd);
  const perNode = figure(tunnelsPerNode(graph));
  const targets = samplePlaces(crowd, size > LARGE ? TARGETS_LARGE : TARGETS);
  const hops = hopsTo(crowd, targets);
  const { lengths, lost } = routeLengths(hops, targets);
  const routes = figure(lengths);
  const flows = flowCounts(crowd, samplePlaces(crowd, TARGETS_LARGE));
  const besides = Object.values(BESIDES_BYTES_PER_S).reduce((sum, bytes) => sum + bytes, 0);
  const round = { holes: HOLES, targets, hops, atMs: ROUND_MS };
  const { floods: intact, holes, idle } = ask({ seed, graph, floods, holes: round, idle: { silent: SILENT, besides } });
  const dead = dying(crowd, graph, DYING);
  const broken = ask({ seed, graph, dead, floods, routes: { targets, hops, atMs: [ROUTED_MS, 2 * ROUTED_MS] } });
  const detours = broken.routes?.at[0];
  if (intact === null || holes === null || idle === null || broken.floods === null || detours === undefined)
    throw new Error('the datapath left questions open');
  const column: Column = {
    tunnels: perNode.mean,
    hops: routes.mean,
    'hops-max': routes.max,
    routed: percent(lengths.length, lengths.length + lost),
    'routed-dead': percent(detours.arrived, detours.pairs),
    holes: percent(holes.arrived, holes.pairs),
    flooded: percent(intact.reached, intact.expected),
    'flooded-dead': percent(broken.floods.reached, broken.floods.expected),
    copies: intact.records / Math.max(1, intact.tunnels),
    'copies-dead': broken.floods.records / Math.max(1, broken.floods.tunnels),
    flows: flows.perTunnel.max,
    idle: idle.mean,
  };
  const details = {
    seed,
    tunnels: { ...perNode, all: graph.tunnels.length },
    flows,
    idle,
    holes,
    counters: crowd.counters,
    floods: { intact, dead: broken.floods },
    detours: broken.routes,
  };
  return { column, graph, dead, details };
}
