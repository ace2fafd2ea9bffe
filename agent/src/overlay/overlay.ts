/**
 * The overlay machine: which nodes this one wants a tunnel to, and what for.
 *
 * It computes the whole set of wanted edges from what it knows (members in ring order, drawn links, demand, what peers ask of us)
 * and answers with the difference to the tunnels that are there. Both ends of an edge compute on their own, either may offer first,
 * and a tunnel stays while one of the two wants it.
 */

import type { EdgeKind } from '../api.ts';
import { type LongDistance, linksAmong } from '../long-distance.ts';
import { earliest, type Instant, type Machine, type Random } from '../machine.ts';
import { Absences } from './absences.ts';
import { Demand, type DemandSample } from './demand.ts';
import { type EdgeEdit, mirrored, planEdges, sortedKinds, type Wanted } from './edges.ts';
import { type Label, labelOf, type NodeId } from './label.ts';
import { Links } from './links.ts';
import { nearest, Ring } from './ring.ts';

/** A refused peer is not drawn or wanted on demand again for this long. */
export const REFUSED_FOR_MS = 60_000;
/**
 * An edge nobody wants leaves the routes at once, and carries for this long what is under way by it or was sent by a route that the
 * peer, or a node behind it, had not given up yet.
 */
export const DRAIN_MS = 2_000;

export interface Topology {
  /** Ring neighbours on each side. */
  readonly successors: number;
  readonly longDistance: LongDistance;
  /** Most on-demand edges of our own. */
  readonly onDemand: number;
  readonly fullMesh: 'off' | 'auto';
  /** Peers to keep an edge to whatever the ring says. */
  readonly static?: readonly NodeId[];
}

export type OverlayEvent =
  /**
   * All members, as far as known. `settled` once the picture is whole (the room was read, or time enough passed): before that
   * nothing is removed, since an empty first picture proves nothing. A partial `Ring` is those of a large overlay that are kept.
   */
  | { readonly kind: 'members'; readonly members: Iterable<NodeId>; readonly settled: boolean }
  /** A tunnel found in tincan at start, with the kinds its note tells. */
  | { readonly kind: 'adopted'; readonly peer: NodeId; readonly kinds: readonly EdgeKind[]; readonly up: boolean }
  /** Records can cross the tunnel, or no longer. */
  | { readonly kind: 'tunnel'; readonly peer: NodeId; readonly up: boolean }
  /** The tunnel is gone without our wish (the peer said bye, or refused it). */
  | { readonly kind: 'closed'; readonly peer: NodeId }
  /** The peer wants an edge, as kinds seen by it; none: it no longer does. */
  | { readonly kind: 'peer-edge'; readonly peer: NodeId; readonly kinds: readonly EdgeKind[] }
  /** The peer refused ours. */
  | { readonly kind: 'refused'; readonly peer: NodeId }
  /** The labels the peer has live tunnels to. */
  | { readonly kind: 'adjacency'; readonly peer: NodeId; readonly labels: readonly Label[] }
  /** Bytes by peer since tincan started. */
  | { readonly kind: 'demand'; readonly samples: readonly DemandSample[] }
  | { readonly kind: 'topology'; readonly topology: Topology }
  /** Of the peers with a tunnel, in milliseconds: told now and then. */
  | { readonly kind: 'round-trips'; readonly roundTrips: ReadonlyMap<NodeId, number> }
  | { readonly kind: 'deadline' };

export type OverlayAction =
  /** Make a tunnel, or accept the one the peer offers. `kinds` is what we tell the peer, `seen` what `evio peers` shows. */
  | {
      readonly kind: 'want-tunnel';
      readonly peer: NodeId;
      readonly kinds: readonly EdgeKind[];
      readonly seen: readonly EdgeKind[];
    }
  /** Tell the peer (and tincan's note) what the edge is now; no kinds: we no longer want it, the peer still may. */
  | {
      readonly kind: 'set-kinds';
      readonly peer: NodeId;
      readonly kinds: readonly EdgeKind[];
      readonly seen: readonly EdgeKind[];
    }
  /** Nobody wants it any more. It is no neighbour from here on; `drop-tunnel` follows, unless it is wanted again before that. */
  | { readonly kind: 'drain-tunnel'; readonly peer: NodeId }
  | { readonly kind: 'drop-tunnel'; readonly peer: NodeId }
  /** Answer to a `peer-edge` we do not take. */
  | { readonly kind: 'refuse'; readonly peer: NodeId; readonly reason: 'limit' | 'policy' }
  /** Who is adjacent, whole: routes have to be computed anew. */
  | { readonly kind: 'neighbours'; readonly neighbours: readonly OverlayNeighbour[] };

export interface OverlayNeighbour {
  readonly peer: NodeId;
  readonly label: Label;
  readonly up: boolean;
  readonly adjacent: readonly Label[];
}

interface Edge {
  readonly label: Label;
  kinds: readonly EdgeKind[];
  seen: readonly EdgeKind[];
  up: boolean;
  /** The peer said that it does not want it, and was not asked for it. */
  released: boolean;
  /** Nobody wants it any more: it goes then. */
  drainedAt: Instant | undefined;
}

const KEPT = { released: false, drainedAt: undefined } as const;

export class Overlay implements Machine<OverlayEvent, OverlayAction> {
  readonly #self: NodeId;
  #topology: Topology;
  /** The members, this node among them. */
  #ring: Ring;
  #settled = false;
  /** Tunnels we asked for or adopted. */
  readonly #edges = new Map<NodeId, Edge>();
  /** What peers want of us, in their words. */
  readonly #asked = new Map<NodeId, readonly EdgeKind[]>();
  readonly #adjacent = new Map<NodeId, readonly Label[]>();
  readonly #links: Links;
  readonly #absences = new Absences();
  readonly #demand = new Demand();
  readonly #refusedUntil = new Map<NodeId, Instant>();
  /** Until they are looked at. */
  #roundTrips: ReadonlyMap<NodeId, number> | undefined;
  /** The neighbours as last told. */
  #told: readonly OverlayNeighbour[] = [];
  #now: Instant = -Infinity;

  constructor(self: NodeId, topology: Topology, random: Random) {
    this.#self = self;
    this.#topology = topology;
    this.#ring = Ring.empty.with(self);
    this.#links = new Links(self, random);
  }

  /** Whether there is a tunnel to every ring neighbour that is not suspected of being dead. */
  get ringComplete(): boolean {
    return this.#ringPeers('successor')
      .concat(this.#ringPeers('predecessor'))
      .every((peer) => this.#edges.get(peer)?.up === true || this.#absences.suspected(peer, this.#now));
  }

  get neighbours(): readonly OverlayNeighbour[] {
    return this.#told;
  }

  deadline(): Instant | undefined {
    return earliest(
      this.#absences.deadline(this.#now),
      this.#demand.deadline(),
      ...this.#refusedUntil.values(),
      ...[...this.#edges.values()].map((edge) => edge.drainedAt),
    );
  }

  handle(event: OverlayEvent, now: Instant): readonly OverlayAction[] {
    this.#now = now;
    const answer = this.#take(event);
    // It changes routes, but not what is wanted: of all events it is the most frequent by far.
    if (event.kind === 'adjacency') return this.#tellNeighbours();
    return [...answer, ...this.#reconcile(), ...this.#tellNeighbours()];
  }

  #take(event: OverlayEvent): readonly OverlayAction[] {
    switch (event.kind) {
      case 'members':
        this.#settled ||= event.settled;
        // Until the picture is whole it only grows.
        this.#setMembers(this.#settled || this.#ring.size === 1 ? event.members : this.#ring.and(event.members));
        return [];
      case 'adopted':
        this.#adopt(event.peer, sortedKinds(event.kinds), event.up);
        return [];
      case 'tunnel':
        this.#tunnelIs(event.peer, event.up);
        return [];
      case 'closed':
        this.#forget(event.peer);
        this.#asked.delete(event.peer);
        return [];
      case 'peer-edge':
        return this.#peerWants(event.peer, sortedKinds(event.kinds));
      case 'refused':
        this.#refusedUntil.set(event.peer, this.#now + REFUSED_FOR_MS);
        return [];
      case 'adjacency':
        if (this.#edges.has(event.peer)) this.#adjacent.set(event.peer, event.labels);
        return [];
      case 'demand':
        this.#demand.sample(event.samples, this.#now);
        return [];
      case 'topology':
        this.#topology = event.topology;
        return [];
      case 'round-trips':
        this.#roundTrips = event.roundTrips;
        return [];
      case 'deadline':
        return [];
    }
  }

  #setMembers(members: Iterable<NodeId>): void {
    let ring = Ring.of(members).with(this.#self);
    // Who has an edge is a member, kept or not.
    if (ring.partial) for (const peer of [...this.#edges.keys(), ...this.#asked.keys()]) ring = ring.with(peer);
    this.#ring = ring;
    for (const peer of this.#asked.keys()) if (!this.#ring.has(peer)) this.#asked.delete(peer);
  }

  #adopt(peer: NodeId, kinds: readonly EdgeKind[], up: boolean): void {
    this.#edges.set(peer, { ...KEPT, label: labelOf(peer), kinds, seen: kinds, up });
    this.#ring = this.#ring.with(peer);
    if (kinds.includes('long-distance')) this.#links.adopt(peer);
    if (kinds.includes('on-demand')) this.#demand.adopt(peer, this.#now);
  }

  #tunnelIs(peer: NodeId, up: boolean): void {
    const edge = this.#edges.get(peer);
    if (edge === undefined) return;
    if (up) this.#absences.arrived(peer);
    // A dead node is told from a broken path by nothing, so the ring closes over either at once. What drains is to end.
    else if (edge.up && edge.drainedAt === undefined) this.#absences.broke(peer, this.#now);
    edge.up = up;
    if (!up) this.#adjacent.delete(peer);
  }

  #peerWants(peer: NodeId, kinds: readonly EdgeKind[]): readonly OverlayAction[] {
    const edge = this.#edges.get(peer);
    if (kinds.length === 0) {
      this.#asked.delete(peer);
      if (edge?.kinds.length === 0) edge.released = true;
      return [];
    }
    if (peer === this.#self) return [{ kind: 'refuse', peer, reason: 'policy' }];
    // An edge that is there anyway, be it draining, costs nothing more; and the peer may lead routes by it already.
    if (!this.#asked.has(peer) && edge === undefined && this.#atLimit(kinds)) {
      return [{ kind: 'refuse', peer, reason: 'limit' }];
    }
    // Its certificate was verified before this event was made, so it is a member although we had not heard of it.
    this.#ring = this.#ring.with(peer);
    this.#asked.set(peer, kinds);
    this.#refusedUntil.delete(peer);
    return [];
  }

  /** Ring and static edges are always taken; links and on-demand edges of others up to twice what we make ourselves. */
  #atLimit(kinds: readonly EdgeKind[]): boolean {
    if (this.#wantsFullMesh()) return false;
    const incoming = (kind: EdgeKind) => [...this.#asked.values()].filter((asked) => asked.includes(kind)).length;
    return kinds.every((kind) => {
      switch (kind) {
        case 'long-distance':
          return incoming(kind) >= 2 * Math.max(this.#linkCount(), 1);
        case 'on-demand':
          return incoming(kind) >= 2 * Math.max(this.#topology.onDemand, 1);
        default:
          return false;
      }
    });
  }

  #reconcile(): readonly OverlayAction[] {
    for (const [peer, until] of this.#refusedUntil) if (this.#now >= until) this.#refusedUntil.delete(peer);
    const wanted = this.#wanted();
    const absent = wanted.map((w) => w.peer).filter((peer) => this.#edges.get(peer)?.up !== true);
    this.#absences.update(absent, (peer) => this.#ring.has(peer), this.#now);
    const present = [...this.#edges].map(([peer, edge]) => ({ peer, ...edge }));
    const edits = planEdges(wanted, present).flatMap((edit) => this.#apply(edit));
    const gone = [...this.#edges].filter(([, edge]) => edge.drainedAt !== undefined && this.#now >= edge.drainedAt);
    return [...edits, ...gone.map(([peer]) => this.#remove(peer))];
  }

  #apply(edit: EdgeEdit): readonly OverlayAction[] {
    switch (edit.op) {
      case 'add':
        this.#edges.set(edit.peer, {
          ...KEPT,
          label: labelOf(edit.peer),
          kinds: edit.kinds,
          seen: edit.seen,
          up: false,
        });
        return [{ kind: 'want-tunnel', peer: edit.peer, kinds: edit.kinds, seen: edit.seen }];
      case 'change':
        Object.assign(this.#edges.get(edit.peer) ?? {}, { ...KEPT, kinds: edit.kinds, seen: edit.seen });
        return [{ kind: 'set-kinds', peer: edit.peer, kinds: edit.kinds, seen: edit.seen }];
      case 'remove':
        return this.#giveUp(edit.peer);
    }
  }

  #giveUp(peer: NodeId): readonly OverlayAction[] {
    const edge = this.#edges.get(peer);
    if (edge === undefined || edge.drainedAt !== undefined) return [];
    // What only the peer wanted needs no whole picture: it will be gone at the other end, and no route may lead there then.
    if (!this.#settled && !edge.released) return [];
    // What is no member must not send. (A tunnel that is down here may be up at the other end already.)
    if (!this.#ring.has(peer)) return [this.#remove(peer)];
    Object.assign(edge, { kinds: [], seen: [], drainedAt: this.#now + DRAIN_MS });
    return [{ kind: 'drain-tunnel', peer }];
  }

  #remove(peer: NodeId): OverlayAction {
    this.#forget(peer);
    return { kind: 'drop-tunnel', peer };
  }

  #forget(peer: NodeId): void {
    this.#edges.delete(peer);
    this.#adjacent.delete(peer);
  }

  /** The whole picture: our reasons for each edge, then the peers' own. */
  #wanted(): readonly Wanted[] {
    const ours = new Map<NodeId, EdgeKind[]>();
    const want = (peer: NodeId, kind: EdgeKind) => ours.set(peer, [...(ours.get(peer) ?? []), kind]);
    for (const kind of ['successor', 'predecessor'] as const) {
      for (const peer of this.#ringPeers(kind)) want(peer, kind);
    }
    for (const peer of this.#topology.static ?? []) {
      if (peer !== this.#self && this.#ring.has(peer)) want(peer, 'static');
    }
    for (const peer of this.#linkPeers(new Set(ours.keys()))) want(peer, 'long-distance');
    for (const peer of this.#onDemandPeers(new Set(ours.keys()))) want(peer, 'on-demand');
    return [...new Set([...ours.keys(), ...this.#asked.keys()])].map((peer) => {
      const kinds = sortedKinds(ours.get(peer) ?? []);
      const theirs = (this.#asked.get(peer) ?? []).map(mirrored);
      return { peer, kinds, seen: sortedKinds([...kinds, ...theirs]) };
    });
  }

  #ringPeers(side: 'successor' | 'predecessor'): readonly NodeId[] {
    const order = side === 'successor' ? this.#ring.clockwise(this.#self) : this.#ring.counterclockwise(this.#self);
    return nearest(order, this.#topology.successors, (id) => this.#absences.suspected(id, this.#now));
  }

  #linkPeers(others: ReadonlySet<NodeId>): readonly NodeId[] {
    // Beyond the ring neighbours an edge of a full mesh is nothing but a link that needs no draw.
    if (this.#wantsFullMesh()) return [...this.#ring.clockwise(this.#self)].filter((peer) => !others.has(peer));
    // A draw among the first members heard of would be thrown away as soon as the others are known.
    if (this.#settled) {
      const useless = [...others, ...this.#refusedUntil.keys(), ...this.#absences.suspects(this.#now)];
      const [never, count] = [new Set(useless), this.#linkCount()];
      this.#links.update(this.#ring, count, never, (peer) => this.#edges.get(peer)?.up === true);
      const roundTrips = this.#roundTrips;
      this.#roundTrips = undefined;
      if (roundTrips !== undefined) this.#links.compare(this.#ring, count, never, roundTrips, this.#now);
    }
    return this.#links.peers;
  }

  #onDemandPeers(others: ReadonlySet<NodeId>): Iterable<NodeId> {
    const eligible = (peer: NodeId) => this.#ring.has(peer) && !others.has(peer) && !this.#refusedUntil.has(peer);
    this.#demand.decide(this.#topology.onDemand, eligible, this.#now);
    return this.#demand.holders;
  }

  #wantsFullMesh(): boolean {
    const { fullMesh, successors } = this.#topology;
    return fullMesh === 'auto' && this.#ring.total - 1 <= 2 * successors + 2 * this.#linkCount();
  }

  #linkCount(): number {
    return linksAmong(this.#topology.longDistance, this.#ring.total);
  }

  #tellNeighbours(): readonly OverlayAction[] {
    const staying = [...this.#edges].filter(([, edge]) => edge.drainedAt === undefined);
    const neighbours = staying.map(([peer, edge]) => ({
      peer,
      label: edge.label,
      up: edge.up,
      adjacent: this.#adjacent.get(peer) ?? [],
    }));
    if (sameNeighbours(neighbours, this.#told)) return [];
    this.#told = neighbours;
    return [{ kind: 'neighbours', neighbours }];
  }
}

function sameNeighbours(a: readonly OverlayNeighbour[], b: readonly OverlayNeighbour[]): boolean {
  const same = (x: OverlayNeighbour, y: OverlayNeighbour | undefined) =>
    x.peer === y?.peer && x.up === y.up && sameLabels(x.adjacent, y.adjacent);
  return a.length === b.length && a.every((n, i) => same(n, b[i]));
}

function sameLabels(a: readonly Label[], b: readonly Label[]): boolean {
  return a === b || (a.length === b.length && a.every((label, i) => label === b[i]));
}
