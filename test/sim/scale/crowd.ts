/**
 * A large overlay on simulated time: of each node the shipped machines that decide about edges and tunnels (`Overlay`, `Tunnels`),
 * joined as the agent joins them. Signatures, WebRTC and tincan are reduced to the time they take; routes, floods and detours are
 * looked at from outside, when it stands still (`measure.ts`, `../../scale`).
 *
 * Thousands of nodes fit into one process because they share what they know: one `Ring` of members, one list of a node's labels.
 */

import { OFFERS, SETTLE_MS } from '../../../agent/src/agent.ts';
import { earliest, type Instant, type Random } from '../../../agent/src/machine.ts';
import {
  type Label,
  labelOf,
  type NodeId,
  Overlay,
  type OverlayAction,
  type OverlayEvent,
  Ring,
  type Topology,
} from '../../../agent/src/overlay/index.ts';
import { Share } from '../../../agent/src/share.ts';
import type { TunnelAction, TunnelBody } from '../../../agent/src/tunnel/types.ts';
import { Tunnels } from '../../../agent/src/tunnels.ts';
import { Clock } from '../clock.ts';
import { seeded } from '../random.ts';

/** Gathering candidates, ICE with DTLS, then the path's proof: as in `../fake-rtc.ts` and as the demo measures. */
const DESCRIBE_MS = 20;
const GATHER_MS = 60;
const CONNECT_MS = 300;
const PROVE_MS = 60;
/** From node to node by a tunnel. */
const HOP_MS = 20;
/** A change of adjacency is told this long after the one before at the earliest (docs/wire.md §6.5). */
const TELL_MS = 200;
/** The other end removed its half: no probe is answered any more. */
const REMOVED_MS = 1_250;

/** How a message gets from one agent to another. */
export type Post = (from: CrowdNode, to: CrowdNode, arrive: () => void) => void;

/** A message by the XMPP server, there and on. */
const ROOM_MS = 20;

export interface CrowdOptions {
  readonly size: number;
  readonly seed: number;
  readonly topology: Topology;
}

/** tincan's half of a tunnel. */
interface Half {
  draining: boolean;
  /** The connection its records may go by. */
  webrtc: string | undefined;
  up: boolean;
}

export class Crowd {
  readonly clock = new Clock();
  readonly random: Random;
  readonly nodes: readonly CrowdNode[];
  readonly ring: Ring;
  /** Events that machines were given, and messages between agents. */
  readonly counters = { events: 0, messages: 0, offers: 0, opened: 0, refused: 0 };
  readonly #byId: ReadonlyMap<NodeId, CrowdNode>;
  /** Another way for messages, for example one with a server that is slow. */
  post: Post = (_from, _to, arrive) => this.clock.after(ROOM_MS, arrive);

  constructor({ size, seed, topology }: CrowdOptions) {
    this.random = seeded(seed);
    const word = () =>
      Math.floor(this.random() * 2 ** 32)
        .toString(16)
        .padStart(8, '0');
    this.ring = Ring.of(Array.from({ length: size }, () => word() + word() + word() + word()));
    this.nodes = [...this.ring].map((id, place) => new CrowdNode(id, place, topology, this));
    this.#byId = new Map(this.nodes.map((node) => [node.self, node]));
  }

  node(id: NodeId): CrowdNode {
    const node = this.#byId.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  get alive(): readonly CrowdNode[] {
    return this.nodes.filter((node) => !node.dead);
  }

  /** All know all from the start, and start within `spreadMs`. */
  start(spreadMs: number): void {
    for (const node of this.nodes) {
      this.clock.after(spreadMs * this.random(), () => node.know(this.ring, true));
    }
  }

  /** Each living node has a tunnel to the living node that follows it. */
  get ringClosed(): boolean {
    const alive = this.alive;
    return alive.every((node, i) => node.hasTunnelTo(alive[(i + 1) % alive.length] ?? node));
  }

  /** Milliseconds until the ring is closed, looked at ten times a second; undefined if it is not by then. */
  untilClosed(withinMs: number): number | undefined {
    const begin = this.clock.now;
    while (this.clock.now - begin < withinMs) {
      if (this.ringClosed) return this.clock.now - begin;
      this.clock.run(100);
    }
    return this.ringClosed ? this.clock.now - begin : undefined;
  }
}

export class CrowdNode {
  readonly self: NodeId;
  readonly label: Label;
  /** On the ring of all. */
  readonly place: number;
  readonly overlay: Overlay;
  dead = false;
  readonly #crowd: Crowd;
  readonly #tunnels: Tunnels;
  readonly #offers = new Share(OFFERS);
  readonly #halves = new Map<NodeId, Half>();
  readonly #met = new Set<NodeId>();
  #heardOf = Ring.empty;
  #entered = false;
  #settled = false;
  #adjacent: readonly Label[] = [];
  #toldAt: Instant = -Infinity;
  #telling = false;
  #timerAt: Instant | undefined;
  #depth = 0;

  constructor(self: NodeId, place: number, topology: Topology, crowd: Crowd) {
    this.self = self;
    this.label = labelOf(self);
    this.place = place;
    this.#crowd = crowd;
    this.overlay = new Overlay(self, topology, crowd.random);
    this.#tunnels = new Tunnels({ self, random: crowd.random, act: (peer, action) => this.#fromTunnel(peer, action) });
  }

  get #now(): Instant {
    return this.#crowd.clock.now;
  }

  hasTunnelTo(other: CrowdNode): boolean {
    return other === this || this.#halves.get(other.self)?.up === true;
  }

  know(members: Iterable<NodeId>, settled: boolean): void {
    this.#give(() => this.#toOverlay({ kind: 'members', members, settled }));
  }

  /** Heard of one more, as the room tells of each. */
  meets(other: CrowdNode): void {
    this.#heardOf = this.#heardOf.with(other.self);
    if (this.#entered) this.know(this.#heardOf, this.#settled);
  }

  /** The room has told who is there; as in the agent the overlay hears of them together, and what comes later for itself. */
  entered(): void {
    this.#entered = true;
    this.know(this.#heardOf, false);
    this.#later(SETTLE_MS, () => {
      this.#settled = true;
      this.know(this.#heardOf, true);
    });
  }

  /** All its packets are dropped from here on, and nobody says goodbye; each neighbour finds out after `foundMs()`. */
  die(foundMs: () => number): void {
    this.dead = true;
    for (const [peer, half] of this.#halves) {
      const other = this.#crowd.node(peer);
      if (half.up) this.#crowd.clock.after(foundMs(), () => other.#lose(this));
    }
  }

  // What the agent does with events (agent/src/agent.ts).

  /** One thing after the other, then the timer. */
  #give(work: () => void): void {
    if (this.dead) return;
    this.#crowd.counters.events++;
    this.#depth++;
    work();
    this.#depth--;
    if (this.#depth === 0) this.#schedule();
  }

  #schedule(): void {
    const at = earliest(this.overlay.deadline(), this.#tunnels.deadline());
    if (at === undefined || (this.#timerAt !== undefined && this.#timerAt <= at)) return;
    this.#timerAt = at;
    this.#crowd.clock.after(Math.max(1, at - this.#now), () => {
      if (this.#timerAt !== at) return;
      this.#timerAt = undefined;
      this.#give(() => {
        if ((this.overlay.deadline() ?? Infinity) <= this.#now) this.#toOverlay({ kind: 'deadline' });
        this.#tunnels.due(this.#now);
      });
    });
  }

  #toOverlay(event: OverlayEvent): 'limit' | 'policy' | undefined {
    let refused: 'limit' | 'policy' | undefined;
    for (const action of this.overlay.handle(event, this.#now)) refused = this.#fromOverlay(action) ?? refused;
    return refused;
  }

  #fromOverlay(action: OverlayAction): 'limit' | 'policy' | undefined {
    switch (action.kind) {
      case 'want-tunnel':
      case 'set-kinds':
        this.#meet(action.peer);
        this.#tunnels.want(action.peer, action.kinds, action.seen, this.#now);
        return undefined;
      case 'drain-tunnel':
        this.#tunnels.drain(action.peer, this.#now);
        return undefined;
      case 'drop-tunnel':
        this.#tunnels.drop(action.peer, this.#now);
        return undefined;
      case 'refuse':
        this.#crowd.counters.refused++;
        return action.reason;
      case 'neighbours':
        return undefined;
    }
  }

  /** Signalling reaches everybody. */
  #meet(peer: NodeId): void {
    if (this.#met.has(peer)) return;
    this.#met.add(peer);
    this.#tunnels.contact(peer, { reachable: true, boot: '1' }, this.#now);
  }

  #fromTunnel(peer: NodeId, action: TunnelAction): void {
    const other = this.#crowd.node(peer);
    const half = this.#halves.get(peer);
    switch (action.kind) {
      case 'send':
        this.#send(other, action.body);
        return;
      case 'rtc-offer':
        this.#crowd.counters.offers++;
        this.#describe(peer, action.tunnel, 'offer');
        return;
      case 'rtc-answer':
        this.#describe(peer, action.tunnel, 'answer');
        return;
      case 'rtc-accept':
        this.#later(CONNECT_MS, () => {
          if (other.dead) return;
          this.#crowd.counters.opened++;
          for (const [one, two] of [
            [this, other],
            [other, this],
          ] as const)
            one.#give(() => one.#tunnels.give(two.self, { kind: 'rtc-open', tunnel: action.tunnel }, one.#now));
        });
        return;
      case 'tincan-add':
        if (half === undefined) this.#halves.set(peer, { draining: false, webrtc: undefined, up: false });
        else half.draining = false;
        return;
      case 'tincan-drain':
        if (half !== undefined) half.draining = true;
        this.#adjacencyChanged();
        return;
      case 'tincan-webrtc':
        if (half === undefined) return;
        half.webrtc = action.up ? this.#tunnels.get(peer)?.openConnection : undefined;
        if (action.up) this.#later(PROVE_MS, () => this.#prove(other));
        return;
      case 'tincan-remove':
        this.#halves.delete(peer);
        this.#adjacencyChanged();
        this.#crowd.clock.after(REMOVED_MS, () => {
          if (!this.#halves.has(peer)) other.#lose(this);
        });
        return;
      case 'refused':
        this.#toOverlay({ kind: 'refused', peer });
        return;
    }
  }

  #send(to: CrowdNode, body: TunnelBody): void {
    this.#crowd.counters.messages++;
    this.#crowd.post(this, to, () => to.#give(() => to.#delivered(this, body)));
  }

  #delivered(from: CrowdNode, body: TunnelBody): void {
    const peer = from.self;
    this.#meet(peer);
    if (body.type === 'offer') {
      if (!this.#offers.take(peer, this.#now)) return;
      const reason = this.#toOverlay({ kind: 'peer-edge', peer, kinds: body.kinds });
      if (reason === undefined && this.#tunnels.has(peer)) this.#tunnels.give(peer, { kind: 'body', body }, this.#now);
      else this.#send(from, { type: 'refuse', tunnel: body.tunnel, reason: reason ?? 'policy' });
      return;
    }
    if (body.type === 'edge') {
      const reason = this.#toOverlay({ kind: 'peer-edge', peer, kinds: body.kinds });
      if (reason !== undefined) {
        this.#send(from, { type: 'edge', kinds: [] });
        return;
      }
    }
    this.#tunnels.give(peer, { kind: 'body', body }, this.#now);
  }

  // What WebRTC and tincan do.

  #describe(peer: NodeId, tunnel: string, type: 'offer' | 'answer'): void {
    this.#later(DESCRIBE_MS, () => this.#tunnels.give(peer, { kind: 'described', tunnel, type, sdp: '' }, this.#now));
    this.#later(GATHER_MS, () => this.#tunnels.give(peer, { kind: 'gathered', tunnel }, this.#now));
  }

  /** Both halves have the same connection: records cross. */
  #prove(other: CrowdNode): void {
    const [mine, theirs] = [this.#halves.get(other.self), other.#halves.get(this.self)];
    if (mine?.webrtc === undefined || mine.webrtc !== theirs?.webrtc || other.dead) return;
    this.#path(other, mine);
    other.#give(() => other.#path(this, theirs));
  }

  #path(other: CrowdNode, half: Half): void {
    if (half.up) return;
    half.up = true;
    this.#tunnels.give(other.self, { kind: 'path', path: 'direct' }, this.#now);
    this.#toOverlay({ kind: 'tunnel', peer: other.self, up: true });
    this.#adjacencyChanged();
    this.#tell(other);
  }

  #lose(other: CrowdNode): void {
    const half = this.#halves.get(other.self);
    if (half?.up !== true) return;
    half.up = false;
    this.#give(() => {
      this.#tunnels.give(other.self, { kind: 'path', path: 'none' }, this.#now);
      this.#toOverlay({ kind: 'tunnel', peer: other.self, up: false });
      this.#adjacencyChanged();
    });
  }

  #adjacencyChanged(): void {
    const live = [...this.#halves].filter(([, half]) => half.up && !half.draining);
    this.#adjacent = live.map(([peer]) => this.#crowd.node(peer).label);
    if (this.#telling) return;
    this.#telling = true;
    this.#later(Math.max(0, this.#toldAt + TELL_MS - this.#now), () => {
      this.#telling = false;
      this.#toldAt = this.#now;
      for (const [peer, half] of this.#halves) if (half.up) this.#tell(this.#crowd.node(peer));
    });
  }

  #tell(other: CrowdNode): void {
    const labels = this.#adjacent;
    this.#crowd.clock.after(HOP_MS, () => {
      other.#give(() => other.#toOverlay({ kind: 'adjacency', peer: this.self, labels }));
    });
  }

  #later(ms: number, work: () => void): void {
    this.#crowd.clock.after(ms, () => this.#give(work));
  }
}
