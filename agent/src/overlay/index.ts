/**
 * Which nodes are adjacent, and how records cross them.
 *
 *     const overlay = new Overlay(nodeId, { successors: 2, longDistance: 'auto', onDemand: 8, fullMesh: 'auto' }, Math.random);
 *     for (const action of overlay.handle({ kind: 'members', members, settled: true }, now)) ...
 *
 * On a `neighbours` action the composer gives each neighbour its OpenFlow port and hands `coreFlows(...)` to the switch controller.
 */

export { EDGE_KINDS, mirrored, sortedKinds } from './edges.ts';
export { type Label, labelOf, type NodeId, shorterWay } from './label.ts';
export { Overlay, type OverlayAction, type OverlayEvent, type OverlayNeighbour, type Topology } from './overlay.ts';
export { Ring } from './ring.ts';
export { type CoreFlow, coreFlows, firstHops, lookup, type Neighbour, nextHops } from './routing.ts';
export { LOOK_MS } from './trial.ts';
export { View, WHOLE_MAX } from './view.ts';
