/**
 * A large overlay on simulated time: of each node the shipped machines that decide about edges and tunnels (`Neighbourhood`, as the agent
 * has it) and about who is seen by whom (`Lobby`, `Pull`, `Way`). Signatures, WebRTC and tincan are reduced to the time they take; routes, floods and detours are
 * looked at from outside, when it stands still (`measure.ts`, `../../scale`).
 *
 * Thousands of nodes fit into one process because they share what they know, or keep a few hundred of the others (`View`).
 */

import type { EdgeKind } from '../../../agent/src/api.ts';
import { earliest, type Instant, type Random } from '../../../agent/src/machine.ts';
import { Neighbourhood } from '../../../agent/src/neighbourhood.ts';
import {
  type Label,
  labelOf,
  type NodeId,
  type Overlay,
  type OverlayEvent,
  Ring,
  type Topology,
  View,
  WHOLE_MAX,
} from '../../../agent/src/overlay/index.ts';
import { isSeat, Lobby, type LobbyAction, type LobbyEvent } from '../../../agent/src/signal/lobby.ts';
import { Pull, type PullAction } from '../../../agent/src/signal/pull.ts';
import { type Talk, talkOf, Way } from '../../../agent/src/signal/way.ts';
import type { TunnelAction, TunnelBody } from '../../../agent/src/tunnel/types.ts';
import type { Tunnels } from '../../../agent/src/tunnels.ts';
import { Clock } from '../clock.ts';
import { seeded } from '../random.ts';
import { Underlay } from './underlay.ts';

/** Gathering candidates, ICE with DTLS, then the path's proof: as in `../fake-rtc.ts` and as the demo measures. */
const DESCRIBE_MS = 20;
const GATHER_MS = 60;
const CONNECT_MS = 300;
const PROVE_MS = 60;
/** More where a relay is needed: the allocation, and the checks that fail before. */
const RELAY_MS = 500;
/** From node to node by a tunnel. */
const HOP_MS = 20;
/** ICE's consent is refused for so long before the connection counts as gone (RFC 7675 §5.1). */
const ICE_GONE_MS = 30_000;
/** Addresses that answered lately are asked again within this. */
const AGAIN_MS = 4_000;
/** Neighbours on each side of the ring that tincan asks every second although nothing is sent to them. */
const WATCHED_EACH_SIDE = 2;
/** A change of adjacency is told this long after the one before at the earliest (docs/wire.md §6.5). */
const TELL_MS = 200;
/** The other end removed its half: no probe is answered any more. */
const REMOVED_MS = 1_250;

/** News is gathered for so long before neighbours hear of it (docs/wire.md §9.3). */
const NEWS_MS = 250;
/** Members in one message, and those on each side that a newcomer is made known to. */
const PAGE = 20;
const EACH_SIDE = 4;

/** The XMPP server, as nodes use it. */
export interface Server {
  enter(node: CrowdNode, nick: string, members: number | undefined): void;
  leave(node: CrowdNode): void;
  /** A message to one who is in the room, or to an account. */
  pass(arrive: () => void): void;
}

/** A message where there is no server to be slow. */
const ROOM_MS = 20;

interface Acquaintance {
  readonly way: Way;
  /** Its nickname in the room. */
  nick: string | undefined;
  /** The boot that its hello told, so that messages can be sealed to it. */
  boot: number | undefined;
  account: boolean;
  told: string;
}

export interface CrowdOptions {
  readonly size: number;
  readonly seed: number;
  readonly topology: Topology;
  /** Of nodes that are known; drawn without. */
  readonly ids?: readonly NodeId[];
  /** Of NATs and loss; all reach all without. */
  readonly underlay?: Underlay;
}

/** tincan's half of a tunnel. */
interface Half {
  /** Whose other half it has a path to. */
  with: CrowdNode | undefined;
  draining: boolean;
  /** The connection its records may go by. */
  webrtc: string | undefined;
  up: boolean;
}

export class Crowd {
  readonly clock = new Clock();
  readonly random: Random;
  readonly ring: Ring;
  readonly underlay: Underlay;
  readonly #nodes: CrowdNode[];
  readonly #topology: Topology;
  /** Events that machines were given, and messages between agents. */
  readonly counters = { events: 0, messages: 0, offers: 0, opened: 0, refused: 0, overOverlay: 0 };
  readonly #byId: Map<NodeId, CrowdNode>;
  /** Undefined: all know all, and messages take a moment. */
  server: Server | undefined;

  constructor({ size, seed, topology, ids, underlay }: CrowdOptions) {
    this.random = seeded(seed);
    this.#topology = topology;
    const word = () =>
      Math.floor(this.random() * 2 ** 32)
        .toString(16)
        .padStart(8, '0');
    this.ring = Ring.of(ids ?? Array.from({ length: size }, () => word() + word() + word() + word()));
    this.underlay = underlay ?? new Underlay({ random: this.random });
    this.#nodes = [...this.ring].map((id, place) => new CrowdNode(id, place, 1, topology, this));
    this.#byId = new Map(this.#nodes.map((node) => [node.self, node]));
  }

  get nodes(): readonly CrowdNode[] {
    return this.#nodes;
  }

  /** A node that died comes again, and has forgotten all but who it is. */
  restart({ self, place, boot }: CrowdNode): CrowdNode {
    const node = new CrowdNode(self, place, boot + 1, this.#topology, this);
    this.#nodes[place] = node;
    this.#byId.set(self, node);
    return node;
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
      this.clock.after(spreadMs * this.random(), () => node.knowAll());
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
  /** How often it was started. */
  readonly boot: number;
  dead = false;
  readonly lobby: Lobby;
  readonly #crowd: Crowd;
  readonly #neighbourhood: Neighbourhood;
  readonly #view: View;
  #pull = new Pull();
  /** Members when it was asked for them. */
  #pulledAmong = 1;
  readonly #halves = new Map<NodeId, Half>();
  /** Of the halves those that are up and stay; undefined: to be looked at anew. */
  #carrying: readonly NodeId[] | undefined;
  readonly #acquaintances = new Map<NodeId, Acquaintance>();
  readonly #nicks = new Map<string, NodeId>();
  #news: NodeId[] = [];
  #live = '';
  #adjacent: readonly Label[] = [];
  #toldAt: Instant = -Infinity;
  #telling = false;
  #timerAt: Instant | undefined;
  #depth = 0;
  #online = false;

  constructor(self: NodeId, place: number, boot: number, topology: Topology, crowd: Crowd) {
    this.self = self;
    this.label = labelOf(self);
    this.place = place;
    this.boot = boot;
    this.#crowd = crowd;
    const { random } = crowd;
    this.#view = new View(self);
    this.lobby = new Lobby({ self, random });
    this.#neighbourhood = new Neighbourhood(
      { self, topology, random },
      {
        act: (peer, action) => this.#fromTunnel(peer, action),
        send: (peer, body) => this.#send(crowd.node(peer), body),
        changed: () => {},
        members: () => this.#view.ring,
        tooManyOffers: () => {},
      },
    );
  }

  get overlay(): Overlay {
    return this.#neighbourhood.overlay;
  }

  get #tunnels(): Tunnels {
    return this.#neighbourhood.tunnels;
  }

  /** What its tunnels are for, as `evio peers` shows it. */
  get kinds(): readonly (readonly [NodeId, readonly EdgeKind[]])[] {
    return [...this.#tunnels.peers].map((peer) => [peer, this.#tunnels.kinds(peer)]);
  }

  get #now(): Instant {
    return this.#crowd.clock.now;
  }

  hasTunnelTo(other: CrowdNode): boolean {
    return other === this || this.#halves.get(other.self)?.up === true;
  }

  /** Of whom it would have heard after a while. */
  knowAll(): void {
    const { ring } = this.#crowd;
    if (ring.size > WHOLE_MAX) this.#view.hears(ring);
    const members = ring.size > WHOLE_MAX ? this.#view.ring : ring;
    this.#give(() => this.#toOverlay({ kind: 'members', members, settled: true }));
  }

  // Who is there (agent/src/signal/signal.ts, without its keys).

  /** The server's word on the room. */
  room(event: LobbyEvent): void {
    this.#give(() => {
      if (event.kind === 'connected' || event.kind === 'disconnected') this.#online = event.kind === 'connected';
      if (event.kind === 'connected') this.#neighbourhood.entering(this.#now);
      if (event.kind === 'disconnected') this.#seesNobody();
      if (event.kind === 'occupant') {
        const { nick, nodeId } = event;
        this.#nicks.set(nick, nodeId);
        this.#meets(nodeId).nick = nick;
        this.#contact(nodeId);
        this.#hears([nodeId]);
      }
      if (event.kind === 'left') {
        const known = this.#acquaintances.get(this.#nicks.get(event.nick) ?? '');
        if (known?.nick === event.nick) known.nick = undefined;
        this.#contact(this.#nicks.get(event.nick) ?? '');
        this.#nicks.delete(event.nick);
      }
      this.#toLobby(event);
    });
  }

  #toLobby(event: LobbyEvent): void {
    for (const action of this.lobby.handle(event, this.#now)) this.#fromLobby(action);
  }

  #fromLobby(action: LobbyAction): void {
    switch (action.kind) {
      case 'enter':
        this.#neighbourhood.entering(this.#now);
        this.#crowd.server?.enter(this, action.nick, action.members);
        return;
      case 'leave':
        this.#seesNobody();
        this.#crowd.server?.leave(this);
        return;
      case 'outside':
        return;
      case 'introduce':
        this.#post(this.#crowd.node(action.to), 'other', (to) => to.#introduce(this));
        return;
      case 'heard-of':
        if (action.whole) this.#neighbourhood.whole(this.#now);
        else this.#neighbourhood.near(this.#now);
        return;
    }
  }

  #seesNobody(): void {
    this.#nicks.clear();
    for (const known of this.#acquaintances.values()) known.nick = undefined;
    for (const peer of this.#acquaintances.keys()) this.#contact(peer);
  }

  #introduce(newcomer: CrowdNode): void {
    const nearer = this.#view.partial ? this.#view.nearestTo(newcomer.self) : this.self;
    // Of a large overlay any member leads to those beside the newcomer.
    if (nearer !== this.self) {
      this.#post(this.#crowd.node(nearer), 'other', (to) => to.#introduce(newcomer));
      return;
    }
    const known = this.#meets(newcomer.self);
    if (!this.#live.includes(newcomer.self)) known.way.madeKnown();
    this.#contact(newcomer.self);
    const clockwise = [...this.#view.ring.clockwise(newcomer.self)];
    const nearest = [...clockwise.slice(0, PAGE / 2), ...clockwise.slice(PAGE / 2).slice(-PAGE / 2)];
    const total = this.#total;
    this.#post(newcomer, 'other', (to) => {
      to.#knows(this.self).boot = this.boot;
      to.#view.tellTotal(total);
      to.#hears(nearest);
      to.#toLobby({ kind: 'welcomed', by: this.self });
    });
    const beside = new Set([...clockwise.slice(0, EACH_SIDE), ...clockwise.slice(-EACH_SIDE)]);
    beside.delete(this.self);
    for (const id of beside) this.#post(this.#crowd.node(id), 'other', (to) => to.#madeKnown(newcomer));
    this.#hears([newcomer.self]);
  }

  #madeKnown(newcomer: CrowdNode): void {
    const known = this.#meets(newcomer.self);
    if (!this.#live.includes(newcomer.self)) known.way.madeKnown();
    this.#hears([newcomer.self]);
    this.#contact(newcomer.self);
  }

  /** What it tells others of how many there are. */
  get #total(): number {
    return this.#view.partial ? this.#view.total : 0;
  }

  #hears(ids: readonly NodeId[]): void {
    const news = this.#view.hears(ids);
    if (news.length === 0) return;
    for (const id of news) this.#contact(id);
    if (this.#news.length === 0) this.#later(NEWS_MS, () => this.#passOn());
    this.#news.push(...news);
    this.#toLobby({ kind: 'members', count: this.#view.total });
    this.#neighbourhood.membersAre(this.#now);
    this.#forgetOthers();
  }

  /** Whom a partial view has given up meanwhile is asked about again when it is heard of again. */
  #forgetOthers(): void {
    if (!this.#view.partial || this.#acquaintances.size < 2 * this.#view.size) return;
    for (const peer of this.#acquaintances.keys()) {
      if (this.#view.has(peer) || this.#tunnels.has(peer)) continue;
      this.#acquaintances.delete(peer);
      this.#tunnels.forget(peer, this.#now);
    }
  }

  #passOn(): void {
    const news = this.#news;
    this.#news = [];
    for (const peer of this.#up) {
      const near = this.#view.partial ? news.filter((id) => this.#view.isNear(id, peer)) : news;
      if (near.length > 0) this.#crowd.node(peer).#after(HOP_MS, (to) => to.#hears(near));
    }
  }

  #after(ms: number, work: (node: CrowdNode) => void): void {
    this.#crowd.clock.after(ms, () => this.#give(() => work(this)));
  }

  get #up(): readonly NodeId[] {
    this.#carrying ??= [...this.#halves].flatMap(([peer, half]) => (half.up && !half.draining ? [peer] : []));
    return this.#carrying;
  }

  /** Once an event: which tunnels carry. */
  #tellLive(): void {
    if (this.#crowd.server === undefined) return;
    const up = this.#up;
    const complete = this.overlay.ringComplete;
    const live = `${complete} ${up.join()}`;
    if (live === this.#live) return;
    const fresh = up.filter((peer) => !this.#live.includes(peer));
    this.#live = live;
    for (const peer of fresh) {
      // Its hello comes by the tunnel.
      this.#meets(peer).way.adjacent();
    }
    for (const peer of this.#acquaintances.keys()) this.#contact(peer);
    this.#toLobby({ kind: 'ring', peers: up, complete });
    this.#pullOn();
  }

  #pullOn(): void {
    if (!this.lobby.large) return;
    // An overlay that has doubled has other members to draw links among.
    if (this.#pull.done && this.#view.partial && this.#view.total >= 2 * this.#pulledAmong) {
      this.#pull = new Pull();
      this.#pulledAmong = this.#view.total;
    }
    this.#fromPull(this.#pull.ask(this.#up, this.#now));
  }

  #fromPull(actions: readonly PullAction[]): void {
    for (const action of actions) {
      if (action.kind === 'done') {
        this.#pulledAmong = this.#view.total;
        this.#toLobby({ kind: 'whole' });
      } else
        this.#post(this.#crowd.node(action.peer), 'other', (to) => {
          const page = [...to.#view.ring].filter((id) => id > action.after).slice(0, PAGE);
          const total = to.#total;
          to.#post(this, 'other', (me) => {
            me.#view.tellTotal(total);
            me.#hears(page);
            me.#fromPull(me.#pull.took(to.self, action.after, page, me.#now));
          });
        });
    }
  }

  /** Its hello and its account are known from here on. */
  #meets(peer: NodeId): Acquaintance {
    return Object.assign(this.#knows(peer), { boot: this.#crowd.node(peer).boot, account: true });
  }

  #knows(peer: NodeId): Acquaintance {
    const known = this.#acquaintances.get(peer);
    if (known !== undefined) return known;
    const fresh: Acquaintance = { way: new Way(), nick: undefined, boot: undefined, account: false, told: '' };
    this.#acquaintances.set(peer, fresh);
    return fresh;
  }

  #ways(known: Acquaintance) {
    const online = this.#online && known.boot !== undefined;
    const account = online && known.account;
    const guest = account && isSeat(known.nick ?? '');
    const room = online && this.lobby.presence !== undefined && known.nick !== undefined && !guest;
    return { room, account, overlay: this.#up.length > 0 };
  }

  #contact(peer: NodeId): void {
    const known = this.#view.has(peer) ? this.#knows(peer) : this.#acquaintances.get(peer);
    if (known === undefined) return;
    const { room, account, overlay } = this.#ways(known);
    const reachable = room || account || overlay;
    const boot = known.boot?.toString();
    const told = `${reachable} ${boot}`;
    if (told === known.told) return;
    known.told = told;
    this.#tunnels.contact(peer, { reachable, boot }, this.#now);
  }

  /** As records go over tunnels that carry now: nearer with every hop, by a neighbour of the receiver where a neighbour has one. */
  #hopsTo(to: CrowdNode): number | undefined {
    const { size } = this.#crowd.ring;
    const distance = ({ place }: CrowdNode) => {
      const clockwise = (to.place - place + size) % size;
      return Math.min(clockwise, size - clockwise);
    };
    let at: CrowdNode = this;
    for (let hops = 1; ; hops++) {
      const peers = at.#up;
      if (at.#halves.get(to.self)?.up === true) return hops;
      if (peers.some((peer) => to.#halves.get(peer)?.up === true)) return hops + 1;
      let best: CrowdNode | undefined;
      for (const peer of peers) {
        const node = this.#crowd.node(peer);
        if (!node.dead && distance(node) < distance(best ?? at)) best = node;
      }
      if (best === undefined) return undefined;
      at = best;
    }
  }

  /** As `Way` chooses; what has no route is lost. */
  #post(to: CrowdNode, talk: Talk, arrive: (to: CrowdNode) => void): void {
    this.#crowd.counters.messages++;
    const { clock, server } = this.#crowd;
    if (server === undefined) {
      clock.after(ROOM_MS, () => to.#give(() => arrive(to)));
      return;
    }
    const known = this.#knows(to.self);
    const way = known.way.choose(talk, this.#ways(known), this.overlay.ringComplete);
    const heard = () => {
      const from = to.#knows(this.self);
      if (way === 'overlay') from.way.heard('overlay');
      else if (way === 'account') {
        from.way.heard('account');
        to.#meets(this.self);
        to.#hears([this.self]);
        to.#contact(this.self);
      }
      arrive(to);
    };
    if (way === 'overlay') {
      this.#crowd.counters.overOverlay++;
      const hops = this.#hopsTo(to) ?? 0;
      const lost = Array.from({ length: hops }, () => this.#crowd.underlay.loses()).includes(true);
      if (hops > 0 && !lost) clock.after(HOP_MS * hops, () => to.#give(heard));
    } else if (way !== undefined) server.pass(() => this.#crowd.underlay.hasServer(to.place) && to.#give(heard));
  }

  /** What divides the network now cuts its tunnels to the other half; each neighbour finds out after `foundMs`. */
  cutOff(foundMs: (near: boolean) => number): void {
    for (const [peer, half] of this.#halves) {
      const other = this.#crowd.node(peer);
      if (!half.up || !this.#crowd.underlay.apart(this.place, other.place)) continue;
      this.#crowd.clock.after(foundMs(this.#isBeside(other)), () => this.#lose(other));
      this.#later(ICE_GONE_MS, () => {
        const tunnel = this.#tunnels.get(peer)?.openConnection;
        if (this.#crowd.underlay.apart(this.place, other.place) && tunnel !== undefined)
          this.#tunnels.give(peer, { kind: 'rtc-closed', tunnel, reason: 'no answer' }, this.#now);
      });
    }
  }

  /** Paths that tincan still has both halves of carry again. */
  reconnected(): void {
    for (const peer of this.#halves.keys()) {
      const other = this.#crowd.node(peer);
      if (other.#halves.has(this.self)) this.#later(AGAIN_MS * this.#crowd.random(), () => this.#proveDirect(other));
    }
  }

  #proveDirect(other: CrowdNode): void {
    const [mine, theirs] = [this.#halves.get(other.self), other.#halves.get(this.self)];
    const { underlay } = this.#crowd;
    if (mine === undefined || theirs === undefined || other.dead || mine.with !== other || theirs.with !== this) return;
    if (underlay.apart(this.place, other.place) || underlay.pathBetween(this.place, other.place) !== 'direct') return;
    this.#path(other, mine);
    other.#give(() => other.#path(this, theirs));
  }

  /** All its packets are dropped from here on, and nobody says goodbye; each neighbour finds out after `foundMs`, sooner where it is near. */
  die(foundMs: (near: boolean) => number): void {
    this.dead = true;
    for (const [peer, half] of this.#halves) {
      const other = this.#crowd.node(peer);
      if (half.up) this.#crowd.clock.after(foundMs(other.#isBeside(this)), () => other.#lose(this));
    }
  }

  /** As tincan's `Neighbours::beside`: of its neighbours two on each side of the ring. */
  #isBeside(node: CrowdNode): boolean {
    const { size } = this.#crowd.ring;
    const clockwise = ({ place }: CrowdNode) => (place - this.place + size) % size;
    const around = this.#up.map((peer) => clockwise(this.#crowd.node(peer))).sort((a, b) => a - b);
    const at = around.indexOf(clockwise(node));
    return at < WATCHED_EACH_SIDE || at >= around.length - WATCHED_EACH_SIDE;
  }

  // What the agent does with events (agent/src/agent.ts).

  /** One thing after the other, then the timer. */
  #give(work: () => void): void {
    if (this.dead) return;
    this.#crowd.counters.events++;
    this.#depth++;
    work();
    if (this.#depth === 1) this.#tellLive();
    this.#depth--;
    if (this.#depth === 0) this.#schedule();
  }

  #schedule(): void {
    const at = earliest(this.#neighbourhood.deadline(), this.lobby.deadline(), this.#pull.deadline());
    if (at === undefined || (this.#timerAt !== undefined && this.#timerAt <= at)) return;
    this.#timerAt = at;
    this.#crowd.clock.after(Math.max(1, at - this.#now), () => {
      if (this.#timerAt !== at) return;
      this.#timerAt = undefined;
      this.#give(() => {
        this.#neighbourhood.due(this.#now);
        this.#toLobby({ kind: 'deadline' });
        this.#pullOn();
      });
    });
  }

  #toOverlay(event: OverlayEvent): void {
    this.#neighbourhood.toOverlay(event, this.#now);
  }

  #fromTunnel(peer: NodeId, action: Exclude<TunnelAction, { kind: 'send' }>): void {
    const other = this.#crowd.node(peer);
    const half = this.#halves.get(peer);
    switch (action.kind) {
      case 'rtc-offer':
        this.#crowd.counters.offers++;
        this.#describe(peer, action.tunnel, 'offer');
        return;
      case 'rtc-answer':
        this.#describe(peer, action.tunnel, 'answer');
        return;
      case 'rtc-accept':
        this.#later(this.#isRelayed(other) ? CONNECT_MS + RELAY_MS : CONNECT_MS, () => {
          if (other.dead || this.#crowd.underlay.apart(this.place, other.place)) return;
          this.#crowd.counters.opened++;
          for (const [one, two] of [
            [this, other],
            [other, this],
          ] as const)
            one.#give(() => one.#tunnels.give(two.self, { kind: 'rtc-open', tunnel: action.tunnel }, one.#now));
        });
        return;
      case 'tincan-add':
        if (half === undefined)
          this.#halves.set(peer, { with: undefined, draining: false, webrtc: undefined, up: false });
        else half.draining = false;
        this.#carrying = undefined;
        this.#everybodyIsThere(peer);
        return;
      case 'tincan-drain':
        if (half !== undefined) half.draining = true;
        this.#carrying = undefined;
        this.#adjacencyChanged();
        return;
      case 'tincan-webrtc':
        if (half === undefined) return;
        half.webrtc = action.up ? this.#tunnels.get(peer)?.openConnection : undefined;
        if (action.up) this.#later(PROVE_MS, () => this.#prove(other));
        return;
      case 'tincan-remove':
        this.#halves.delete(peer);
        this.#carrying = undefined;
        this.#adjacencyChanged();
        this.#crowd.clock.after(REMOVED_MS, () => {
          if (!this.#halves.has(peer)) other.#lose(this);
        });
        return;
      case 'refused':
        this.#crowd.counters.refused++;
        return;
    }
  }

  #send(to: CrowdNode, body: TunnelBody): void {
    this.#post(to, talkOf(body.type), (other) => {
      other.#everybodyIsThere(this.self);
      other.#neighbourhood.delivered(this.self, body, other.#now);
    });
  }

  /** Without a server signalling reaches everybody. */
  #everybodyIsThere(peer: NodeId): void {
    const boot = this.#crowd.node(peer).boot.toString();
    if (this.#crowd.server === undefined) this.#tunnels.contact(peer, { reachable: true, boot }, this.#now);
  }

  // What WebRTC and tincan do.

  #isRelayed(other: CrowdNode): boolean {
    return this.#crowd.underlay.pathBetween(this.place, other.place) !== 'direct';
  }

  #describe(peer: NodeId, tunnel: string, type: 'offer' | 'answer'): void {
    this.#later(DESCRIBE_MS, () => this.#tunnels.give(peer, { kind: 'described', tunnel, type, sdp: '' }, this.#now));
    this.#later(GATHER_MS, () => this.#tunnels.give(peer, { kind: 'gathered', tunnel }, this.#now));
  }

  /** Both halves have the same connection: records cross. */
  #prove(other: CrowdNode): void {
    const [mine, theirs] = [this.#halves.get(other.self), other.#halves.get(this.self)];
    if (mine?.webrtc === undefined || mine.webrtc !== theirs?.webrtc || other.dead) return;
    if (this.#crowd.underlay.apart(this.place, other.place)) return;
    this.#path(other, mine);
    other.#give(() => other.#path(this, theirs));
  }

  #path(other: CrowdNode, half: Half): void {
    if (half.up) return;
    Object.assign(half, { with: other, up: true });
    this.#carrying = undefined;
    this.#neighbourhood.pathIs(other.self, this.#crowd.underlay.pathBetween(this.place, other.place), this.#now);
    this.#adjacencyChanged();
    this.#tell(other);
  }

  #lose(other: CrowdNode): void {
    const half = this.#halves.get(other.self);
    if (half?.up !== true || half.with !== other) return;
    half.up = false;
    this.#carrying = undefined;
    this.#give(() => {
      this.#neighbourhood.pathIs(other.self, 'none', this.#now);
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
