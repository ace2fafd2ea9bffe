/** What a crowd that stands still has become: the graph of its tunnels, the routes of the shipped `overlay/routing`, and figures of both. */

import { coreFlows, type Neighbour, nextHops } from '../../../agent/src/overlay/index.ts';
import { pick } from '../random.ts';
import type { Crowd, CrowdNode } from './crowd.ts';

/** tincan numbers tunnels from here; a tunnel's number is its end's place here. */
const FIRST_PORT = 16;

export interface Figure {
  readonly mean: number;
  readonly max: number;
}

export interface Graph {
  /** Of the node at each place, ascending. */
  readonly labels: readonly bigint[];
  /** Pairs of places, each once. */
  readonly tunnels: readonly (readonly [number, number])[];
}

export function figure(values: readonly number[]): Figure {
  if (values.length === 0) return { mean: 0, max: 0 };
  let [sum, max] = [0, -Infinity];
  for (const value of values) {
    sum += value;
    max = Math.max(max, value);
  }
  return { mean: sum / values.length, max };
}

export function graphOf(crowd: Crowd): Graph {
  const tunnels = crowd.nodes.flatMap((node) =>
    node.overlay.neighbours
      .filter(({ up }) => up)
      .map(({ peer }) => crowd.node(peer))
      .filter((other) => other.place > node.place && other.hasTunnelTo(node))
      .map((other) => [node.place, other.place] as const),
  );
  return { labels: crowd.nodes.map((node) => node.label), tunnels };
}

export function tunnelsPerNode({ labels, tunnels }: Graph): readonly number[] {
  const count = new Array<number>(labels.length).fill(0);
  for (const pair of tunnels) for (const place of pair) count[place] = (count[place] ?? 0) + 1;
  return count;
}

function neighboursOf(crowd: Crowd, node: CrowdNode): readonly Neighbour[] {
  return node.overlay.neighbours.map(({ peer, label, up, adjacent }) => ({
    label,
    up,
    adjacent,
    port: FIRST_PORT + crowd.node(peer).place,
  }));
}

/** For each of the targets, where each node sends what is for it: places; -1 at the target, and where there is no way. */
export type Hops = readonly Int32Array[];

export function hopsTo(crowd: Crowd, targets: readonly number[]): Hops {
  const labels = BigUint64Array.from(crowd.nodes, (node) => node.label);
  const hops = targets.map(() => new Int32Array(crowd.nodes.length).fill(-1));
  for (const node of crowd.nodes) {
    const { ports } = nextHops(node.label, neighboursOf(crowd, node), labels);
    targets.forEach((target, i) => {
      const port = ports[target];
      const row = hops[i];
      if (row !== undefined && port !== undefined) row[node.place] = port - FIRST_PORT;
    });
  }
  return hops;
}

/** Hops of each pair that there is a route for, and how many pairs there is none for. */
export function routeLengths(hops: Hops, targets: readonly number[]): { readonly lengths: number[]; lost: number } {
  const lengths: number[] = [];
  let lost = 0;
  hops.forEach((next, i) => {
    const target = targets[i] ?? -1;
    for (let from = 0; from < next.length; from++) {
      if (from === target) continue;
      let [at, length] = [from, 0];
      while (at !== target && at >= 0 && length <= next.length) {
        at = next[at] ?? -1;
        length++;
      }
      if (at === target) lengths.push(length);
      else lost++;
    }
  });
  return { lengths, lost };
}

/** Flows of table `core`, and flows for each tunnel, of the nodes at these places. */
export function flowCounts(crowd: Crowd, places: readonly number[]) {
  const labels = BigUint64Array.from(crowd.nodes, (node) => node.label);
  const counts = places.flatMap((place) => {
    const node = crowd.nodes[place];
    if (node === undefined) return [];
    const neighbours = neighboursOf(crowd, node);
    const flows = coreFlows(node.label, neighbours, labels).length;
    return [{ flows, perTunnel: flows / Math.max(1, neighbours.length) }];
  });
  return { flows: figure(counts.map((c) => c.flows)), perTunnel: figure(counts.map((c) => c.perTunnel)) };
}

/** All places, or as many by chance. */
export function samplePlaces(crowd: Crowd, most: number): readonly number[] {
  const all = crowd.nodes.map((_, place) => place);
  if (all.length <= most) return all;
  const chosen = new Set<number>();
  while (chosen.size < most) chosen.add(pick(crowd.random, all));
  return [...chosen].sort((a, b) => a - b);
}

/** Tunnels that die at once. */
export function dying(crowd: Crowd, { tunnels }: Graph, share: number): readonly number[] {
  const all = tunnels.map((_, i) => i);
  const count = Math.round(all.length * share);
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(crowd.random() * (all.length - i));
    const [a, b] = [all[i] ?? 0, all[j] ?? 0];
    all[i] = b;
    all[j] = a;
  }
  return all.slice(0, count).sort((a, b) => a - b);
}
