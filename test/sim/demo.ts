/** The seven nodes of `make demo`, in the simulated internet. */

import type { Topology } from '../../agent/src/overlay/index.ts';
import { PORT_PRESERVING, RANDOM_PORTS } from './internet.ts';
import type { SimNode } from './node.ts';
import { DEFAULT_TOPOLOGY, World } from './world.ts';

export const RING_ONLY: Topology = { successors: 1, longDistance: 0, onDemand: 0, fullMesh: 'off' };

export const NAMES = ['cloud1', 'cloud2', 'home1', 'home2', 'desk1', 'lte1', 'office1'] as const;
export type Name = (typeof NAMES)[number];

/** Pairs that cannot have a direct path: random ports on one side, and a filter that insists on the port on the other. */
export const RELAYED = [
  ['lte1', 'home1'],
  ['lte1', 'home2'],
  ['lte1', 'desk1'],
  ['lte1', 'office1'],
  ['office1', 'home1'],
  ['office1', 'home2'],
  ['office1', 'desk1'],
] as const satisfies readonly (readonly [Name, Name])[];

export function demo(seed: number, topology: Topology = DEFAULT_TOPOLOGY) {
  const world = new World({ seed, topology });
  const home1 = world.lan({ ...PORT_PRESERVING, address: '198.18.0.1' });
  const home2 = world.lan({ ...PORT_PRESERVING, address: '198.18.0.2' });
  const carrier = world.lan({ ...RANDOM_PORTS, address: '198.18.0.3' });
  const lte = world.lan({ ...RANDOM_PORTS, address: '100.64.0.2', behind: carrier });
  const office = world.lan({ ...RANDOM_PORTS, address: '198.18.0.4' });
  const nodes: Record<Name, SimNode> = {
    cloud1: world.node('cloud1'),
    cloud2: world.node('cloud2'),
    // Both homes use the same addresses inside, as homes do.
    home1: world.node('home1', { behind: home1, address: '192.168.1.10' }),
    home2: world.node('home2', { behind: home2, address: '192.168.1.10' }),
    desk1: world.node('desk1', { behind: home1, address: '192.168.1.11' }),
    lte1: world.node('lte1', { behind: lte, address: '10.0.0.2' }),
    office1: world.node('office1', { behind: office, address: '172.16.0.2' }),
  };
  return { world, nodes };
}
