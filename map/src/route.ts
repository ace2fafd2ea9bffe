/**
 * The way a frame takes from one member to another by the edges that are known: each hop chosen as the agents choose it
 * (agent/src/overlay/routing.ts). It is computed, not traced: what a node knows at this moment may differ. Pure.
 */
import { type Neighbour, routes } from '../../agent/src/overlay/routing.ts';
import { parseLabel } from '../../agent/src/wire/ids.ts';
import type { Hop, MapEdge, MapModel, Route } from './model.ts';

/** tincan's hop limit for floods and records is of this order; a greedy way in a large overlay has a handful. */
const HOPS_MAX = 32;

/** Undefined: one of the two is no member. */
export function routeOf(model: MapModel, from: string, to: string): Route | undefined {
  const { nodes, self } = model;
  const places = new Map(
    nodes.flatMap(({ name, label }) => (label === null ? [] : [[name, parseLabel(label)] as const])),
  );
  const known = (name: string): boolean => nodes.some((node) => node.name === name);
  if (!known(from) || !known(to)) return undefined;
  const end = (reach: Route['reach'], hops: readonly Hop[], text: string): Route => ({
    from,
    to,
    hops,
    reach,
    rttMs: sum(hops.map(({ rttMs }) => rttMs)),
    text,
  });
  if (from === to) return end('whole', [], `${from} is the node itself`);
  const target = places.get(to);
  if (target === undefined || !places.has(from))
    return end('none', [], `the place of ${target === undefined ? to : from} on the ring is not known`);
  if (self !== null && from !== self) {
    if (to === self) return turned(routeOf(model, to, from), from, to);
    return end('none', [], `${self} knows its own tunnels only: choose it as one of the two`);
  }
  const edges = upEdges(model.edges);
  const names = new Map([...places].map(([name, label]) => [label, name]));
  const hops: Hop[] = [];
  for (let at = from; at !== to; ) {
    const next = nextHop(at, target, places, names, edges);
    if (next === undefined || hops.length >= HOPS_MAX)
      return end(hops.length === 0 ? 'none' : 'partial', hops, `no way is known from ${at} on to ${to}`);
    const edge = edges.get(at)?.get(next);
    hops.push({ from: at, to: next, path: edge?.path ?? 'none', rttMs: edge?.rttMs ?? null });
    at = next;
    if (self !== null && at !== to)
      return end('partial', hops, `by ${at}; what lies beyond is known to other nodes only`);
  }
  return end('whole', hops, hops.length === 1 ? 'a tunnel of their own' : `${hops.length} hops`);
}

const sum = (values: readonly (number | null)[]): number | null =>
  values.length === 0 || values.some((value) => value === null)
    ? null
    : values.reduce<number>((total, value) => total + (value ?? 0), 0);

/** The same way seen from its other end. */
const turned = (route: Route | undefined, from: string, to: string): Route | undefined =>
  route === undefined
    ? undefined
    : {
        ...route,
        from,
        to,
        hops: route.hops.toReversed().map((hop) => ({ ...hop, from: hop.to, to: hop.from })),
      };

type Edges = ReadonlyMap<string, ReadonlyMap<string, MapEdge>>;

function upEdges(edges: readonly MapEdge[]): Edges {
  const of = new Map<string, Map<string, MapEdge>>();
  const add = (from: string, to: string, edge: MapEdge): void => {
    const there = of.get(from);
    if (there === undefined) of.set(from, new Map([[to, edge]]));
    else there.set(to, edge);
  };
  for (const edge of edges) {
    if (edge.state !== 'up') continue;
    add(edge.a, edge.b, edge);
    add(edge.b, edge.a, edge);
  }
  return of;
}

type Places = ReadonlyMap<string, bigint>;

/** The agent's own choice, with a number for each neighbour in the place of a port. */
function nextHop(
  at: string,
  target: bigint,
  places: Places,
  names: ReadonlyMap<bigint, string>,
  edges: Edges,
): string | undefined {
  const self = places.get(at);
  if (self === undefined) return undefined;
  const labels = (of: string): readonly bigint[] =>
    [...(edges.get(of)?.keys() ?? [])].flatMap((name) => places.get(name) ?? []);
  const neighbours = labels(at).map((label, port): Neighbour => {
    const name = names.get(label) ?? '';
    return { label, port, adjacent: labels(name) };
  });
  const port = routes(self, neighbours, places.values()).get(target);
  const label = port === undefined ? undefined : neighbours[port]?.label;
  return label === undefined ? undefined : names.get(label);
}
