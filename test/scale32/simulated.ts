/** The same nodes in the simulator (`test/sim/scale`): by ids that the authority really gave. */
import type { NodeId } from '../../agent/src/overlay/index.ts';
import { figure, hopsTo, routeLengths } from '../sim/scale/measure.ts';
import { standOf, TOPOLOGY } from '../sim/scale/standing.ts';
import { withKind } from './ring.ts';

export interface Simulated {
  readonly successors: ReadonlyMap<NodeId, readonly NodeId[]>;
  readonly hopsMean: number;
  readonly hopsMax: number;
  readonly tunnelsMean: number;
}

/** Simulations that the real mean is compared with: links are drawn by chance in each. */
const SEEDS = [1, 2, 3, 4, 5];

export const simulateAll = (nodes: readonly { readonly id: NodeId }[]): readonly Simulated[] =>
  SEEDS.map((seed) =>
    simulate(
      nodes.map(({ id }) => id),
      seed,
    ),
  );

export function simulate(ids: readonly NodeId[], seed: number): Simulated {
  const crowd = standOf({ size: ids.length, ids, seed, topology: TOPOLOGY });
  const places = crowd.nodes.map((_, place) => place);
  const hops = figure(routeLengths(hopsTo(crowd, places), places).lengths);
  return {
    successors: new Map(crowd.nodes.map((node) => [node.self, withKind(node.kinds, 'successor')])),
    hopsMean: hops.mean,
    hopsMax: hops.max,
    tunnelsMean: figure(crowd.nodes.map((node) => node.overlay.neighbours.filter(({ up }) => up).length)).mean,
  };
}
