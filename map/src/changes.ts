/** What is different between two models: for the page, which applies it, and in sentences, for people. Pure. */
import { edgeKey, edgeOrder, type MapEdge, type MapModel, type MapNode, ringOrder } from './model.ts';

/** Applied to the model before it gives the model after it. */
export interface Changes {
  readonly title: string;
  readonly self: string | null;
  /** New, or other than before. */
  readonly nodes: readonly MapNode[];
  readonly goneNodes: readonly string[];
  readonly edges: readonly MapEdge[];
  /** As `edgeKey` writes them. */
  readonly goneEdges: readonly string[];
}

export type EventKind =
  | 'node-joined'
  | 'node-left'
  | 'node-ready'
  | 'node-not-ready'
  | 'nat-changed'
  | 'tunnel-up'
  | 'tunnel-down'
  | 'path-changed'
  | 'more';

export interface MapEvent {
  readonly kind: EventKind;
  /** `bad` is what somebody may have to do something about. */
  readonly tone: 'good' | 'bad' | 'neutral';
  /** One sentence. */
  readonly text: string;
  /** Those it is about. */
  readonly nodes: readonly string[];
}

/** Of one step; the rest is counted. */
const EVENTS_MAX = 100;

/** Of nodes and edges: thousands are compared each second, so texts are made of what is neither number nor text alone. */
function same<T extends object>(x: T | undefined, y: T): boolean {
  if (x === undefined) return false;
  for (const key of Object.keys(y) as (keyof T)[]) {
    const [p, q] = [x[key], y[key]];
    if (p !== q && (typeof q !== 'object' || q === null || JSON.stringify(p) !== JSON.stringify(q))) return false;
  }
  return true;
}
const byName = (nodes: readonly MapNode[]) => new Map(nodes.map((node) => [node.name, node]));
const byKey = (edges: readonly MapEdge[]) => new Map(edges.map((edge) => [edgeKey(edge.a, edge.b), edge]));

/** Undefined: nothing is different. */
export function changesOf(before: MapModel, after: MapModel): Changes | undefined {
  const [nodesBefore, nodesAfter] = [byName(before.nodes), byName(after.nodes)];
  const [edgesBefore, edgesAfter] = [byKey(before.edges), byKey(after.edges)];
  const changes: Changes = {
    title: after.title,
    self: after.self,
    nodes: after.nodes.filter((node) => !same(nodesBefore.get(node.name), node)),
    goneNodes: [...nodesBefore.keys()].filter((name) => !nodesAfter.has(name)),
    edges: after.edges.filter((edge) => !same(edgesBefore.get(edgeKey(edge.a, edge.b)), edge)),
    goneEdges: [...edgesBefore.keys()].filter((key) => !edgesAfter.has(key)),
  };
  const { nodes, goneNodes, edges, goneEdges } = changes;
  const none = nodes.length + goneNodes.length + edges.length + goneEdges.length === 0;
  return none && before.title === after.title && before.self === after.self ? undefined : changes;
}

export function applied(model: MapModel, { title, self, nodes, goneNodes, edges, goneEdges }: Changes): MapModel {
  const gone = new Set([...goneNodes, ...nodes.map(({ name }) => name)]);
  const goneEdge = new Set([...goneEdges, ...edges.map(({ a, b }) => edgeKey(a, b))]);
  return {
    title,
    self,
    nodes:
      gone.size === 0 ? model.nodes : [...model.nodes.filter(({ name }) => !gone.has(name)), ...nodes].sort(ringOrder),
    edges:
      goneEdge.size === 0
        ? model.edges
        : [...model.edges.filter(({ a, b }) => !goneEdge.has(edgeKey(a, b))), ...edges].sort(edgeOrder),
  };
}

/** Sentences of what somebody may want to know; round-trip times and throughput are none. Nodes first. */
export function eventsOf(before: MapModel, after: MapModel): readonly MapEvent[] {
  const known = byName(before.nodes);
  const present = byName(after.nodes);
  const events = [
    ...before.nodes.filter(({ name }) => !present.has(name)).map(({ name }) => left(name)),
    ...after.nodes.flatMap((node) => nodeEvents(known.get(node.name), node)),
  ];
  const tunnels = byKey(before.edges);
  const now = byKey(after.edges);
  // Of a node that came or left it is said once, not of each of its tunnels.
  const stays = ({ a, b }: MapEdge): boolean => [a, b].every((name) => known.has(name) && present.has(name));
  for (const edge of after.edges)
    if (stays(edge)) events.push(...tunnelEvents(tunnels.get(edgeKey(edge.a, edge.b)), edge));
  for (const [key, edge] of tunnels)
    if (!now.has(key) && edge.state === 'up' && stays(edge))
      events.push({
        kind: 'tunnel-down',
        tone: 'neutral',
        text: `${between(edge)} is no longer kept`,
        nodes: ends(edge),
      });
  if (events.length <= EVENTS_MAX) return events;
  const more = events.length - EVENTS_MAX;
  return [
    ...events.slice(0, EVENTS_MAX),
    { kind: 'more', tone: 'neutral', text: `and ${more} more changes at the same time`, nodes: [] },
  ];
}

const left = (name: string): MapEvent => ({ kind: 'node-left', tone: 'neutral', text: `${name} left`, nodes: [name] });
const ends = ({ a, b }: MapEdge): readonly string[] => [a, b];
const between = ({ a, b }: MapEdge): string => `The tunnel ${a} – ${b}`;

function nodeEvents(before: MapNode | undefined, { name, state, reason, message, nat }: MapNode): readonly MapEvent[] {
  const nodes = [name];
  if (before === undefined) return [{ kind: 'node-joined', tone: 'good', text: `${name} joined`, nodes }];
  const events: MapEvent[] = [];
  if (before.state !== state) {
    if (state === 'ready') events.push({ kind: 'node-ready', tone: 'good', text: `${name} is ready`, nodes });
    else {
      const why = message === '' ? reason : `${reason}: ${message}`;
      const what = state === 'unknown' ? 'tells nothing any more' : 'is not ready';
      events.push({ kind: 'node-not-ready', tone: 'bad', text: `${name} ${what} (${why})`, nodes });
    }
  }
  if (before.nat !== nat && before.nat !== 'unknown' && nat !== 'unknown')
    events.push({
      kind: 'nat-changed',
      tone: 'neutral',
      text: `The NAT of ${name} is ${nat} now, was ${before.nat}`,
      nodes,
    });
  return events;
}

function tunnelEvents(before: MapEdge | undefined, edge: MapEdge): readonly MapEvent[] {
  const nodes = ends(edge);
  const { state, path } = edge;
  if (state === 'up' && before?.state !== 'up')
    return [{ kind: 'tunnel-up', tone: 'good', text: `${between(edge)} is up, ${path}`, nodes }];
  if (state !== 'up' && before?.state === 'up')
    return [{ kind: 'tunnel-down', tone: 'bad', text: `${between(edge)} is ${state}`, nodes }];
  if (state === 'up' && before !== undefined && before.path !== path) {
    const tone = path === 'direct' ? 'good' : 'bad';
    return [{ kind: 'path-changed', tone, text: `${between(edge)} is ${path} now, was ${before.path}`, nodes }];
  }
  return [];
}
