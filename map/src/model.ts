/**
 * What the map shows: members in ring order and the edges between them. Plain values, which travel as JSON. No key, no enrolment, no
 * address is part of them: who may look at the map learns names, the shape of the overlay and how its tunnels are.
 */

/** `unknown`: it has told nothing of itself (a machine that joined by a token, or a node whose agent has not been heard of). */
export type NodeState = 'ready' | 'not-ready' | 'unknown';
export type Nat = 'none' | 'endpoint-independent' | 'address-dependent' | 'unknown';
/** `other`: nobody's ring neighbour or long-distance link: on demand, or part of a full mesh. */
export type EdgeKind = 'successor' | 'long-distance' | 'on-demand' | 'static' | 'other';
export type EdgeState = 'up' | 'connecting' | 'down';
/** `relayed`: over a TURN server. `via`: its frames cross other members. */
export type EdgePath = 'direct' | 'relayed' | 'via' | 'none';

export interface MapNode {
  /** Its name in the overlay. */
  readonly name: string;
  /** Its place on the ring, 16 hex characters; null: not known. */
  readonly label: string | null;
  readonly state: NodeState;
  /** One word for `state`, as the condition Ready has it. */
  readonly reason: string;
  /** For people; may be empty. */
  readonly message: string;
  readonly nat: Nat;
  readonly version: string;
  /** As the node counts its tunnels; null: not told. */
  readonly counts: {
    readonly up: number;
    readonly direct: number;
    readonly relayed: number;
    readonly failed: number;
  } | null;
}

export interface MapEdge {
  /** Its two ends, `a` < `b`. */
  readonly a: string;
  readonly b: string;
  readonly kinds: readonly EdgeKind[];
  readonly state: EdgeState;
  readonly path: EdgePath;
  /** Milliseconds; null: not known. */
  readonly rttMs: number | null;
  /** Share of probes lost, 0 to 1; null: not known. */
  readonly loss: number | null;
  /** Bits a second, both directions together; null: not known. */
  readonly bps: number | null;
  /** When the path last changed, RFC 3339; null: not known. */
  readonly since: string | null;
}

export interface MapModel {
  /** The name of the overlay or of the EvioNetwork. */
  readonly title: string;
  /** The node that tells, when it is one node's view: it knows no tunnels but its own. Null: all nodes told. */
  readonly self: string | null;
  /** In ring order; those without a place last, by name. */
  readonly nodes: readonly MapNode[];
  /** By `a`, then `b`. */
  readonly edges: readonly MapEdge[];
}

export const EMPTY: MapModel = { title: '', self: null, nodes: [], edges: [] };

/** No member name has a space. */
export const edgeKey = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Labels are hex of one length, so they lie on the ring as they sort as text. */
export function ringOrder(a: MapNode, b: MapNode): number {
  if (a.label === null || b.label === null)
    return a.label === b.label ? byText(a.name, b.name) : a.label === null ? 1 : -1;
  return byText(a.label, b.label) || byText(a.name, b.name);
}

export const edgeOrder = (x: MapEdge, y: MapEdge): number => byText(x.a, y.a) || byText(x.b, y.b);

const KINDS: readonly EdgeKind[] = ['successor', 'long-distance', 'on-demand', 'static', 'other'];

/** In one order, so that two lists of the same kinds are equal; `other` only where there is nothing else to say. */
export function sortedKinds(kinds: Iterable<EdgeKind>): readonly EdgeKind[] {
  const set = new Set(kinds);
  const named = KINDS.filter((kind) => kind !== 'other' && set.has(kind));
  return named.length === 0 ? ['other'] : named;
}

export interface Summary {
  readonly nodes: number;
  readonly ready: number;
  readonly up: number;
  readonly direct: number;
  readonly relayed: number;
  /** Not up, and carried by other members meanwhile. */
  readonly via: number;
  /** Not up, and not carried. */
  readonly connecting: number;
  readonly down: number;
  /** Of the tunnels that are up, 0 to 1; null: there is none. */
  readonly relayShare: number | null;
}

/** Over the edges that are known. */
export function summaryOf({ nodes, edges }: Pick<MapModel, 'nodes' | 'edges'>): Summary {
  const count = (is: (edge: MapEdge) => boolean): number => edges.reduce((n, edge) => n + (is(edge) ? 1 : 0), 0);
  const up = count(({ state }) => state === 'up');
  const relayed = count(({ state, path }) => state === 'up' && path === 'relayed');
  return {
    nodes: nodes.length,
    ready: nodes.filter(({ state }) => state === 'ready').length,
    up,
    direct: count(({ state, path }) => state === 'up' && path === 'direct'),
    relayed,
    via: count(({ state, path }) => state !== 'up' && path === 'via'),
    connecting: count(({ state, path }) => state === 'connecting' && path !== 'via'),
    down: count(({ state, path }) => state === 'down' && path !== 'via'),
    relayShare: up === 0 ? null : relayed / up,
  };
}

export interface Hop {
  readonly from: string;
  readonly to: string;
  readonly path: EdgePath;
  readonly rttMs: number | null;
}

export interface Route {
  readonly from: string;
  readonly to: string;
  readonly hops: readonly Hop[];
  /** `whole`: it arrives. `partial`: what lies beyond the last hop is not known here. `none`: no way is known. */
  readonly reach: 'whole' | 'partial' | 'none';
  /** Sum over the hops, milliseconds; null: one of them is not known. */
  readonly rttMs: number | null;
  /** One sentence for people. */
  readonly text: string;
}

/** A trace between two members, as the panel shows it. */
export interface TraceShown {
  readonly arrived: boolean;
  /** One sentence, and what to do where they were lost. */
  readonly text: string;
  readonly fix: string | null;
  /** `there`, `back`: how many frames, as text; `-`: it did not say. */
  readonly steps: readonly {
    readonly station: string;
    readonly step: string;
    readonly there: string;
    readonly back: string;
  }[];
}
