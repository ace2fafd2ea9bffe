/**
 * tincan as the agent sees it, as thin as it can be: a UDP socket that probes candidates, tunnels with a path each, the switch's
 * tables, detours, and the events of the control socket (docs/wire.md §6.4, §10). Frames are not carried but traced: where would
 * this one go now?
 */

import type { TincanTunnel } from '../../agent/src/tincan.ts';
import type { Label, NodeId } from '../../agent/src/wire/ids.ts';
import { labelHex, labelOf } from '../../agent/src/wire/ids.ts';
import type { Clock } from './clock.ts';
import { firstDetour, type LiveTunnel, onward } from './detour.ts';
import { FakeSwitch, type Fields } from './fake-switch.ts';
import type { Host, Internet } from './internet.ts';

const CORE_TABLE = 4;
const FIRST_PORT = 16;
const TAP = 1n;
const LOOK_MS = 250;
/** A path without an answer for this long is dead (design: probes each second when idle, dead a second later). */
const DEAD_MS = 1_500;
/** New candidates are probed at every look for this long, then seldom. */
const EAGER_MS = 10_000;
const SELDOM_MS = 5_000;
const STUN_MS = 25_000;
const ADJACENCY_MS = 10_000;
/** The time of a record from one node to the next. */
const HOP_MS = 15;
const MAX_HOPS = 64;

export interface TunnelState {
  readonly peer: NodeId;
  readonly port: number;
  note: string;
  candidates: readonly string[];
  /** Where the peer's probes came from. */
  readonly heardFrom: Set<string>;
  remote: string | undefined;
  answeredAt: number;
  eagerUntil: number;
  probedAt: number;
  webrtcUp: boolean;
  path: 'direct' | 'webrtc' | 'none';
  pipeSeenAt: number;
  adjacent: readonly Label[];
  /** On its way out: takes what comes, and is no neighbour to anybody. */
  draining: boolean;
}

type Payload =
  | { readonly kind: 'stun'; readonly server: string }
  | { readonly kind: 'stun-answer'; readonly server: string; readonly mapped: string }
  | { readonly kind: 'probe' | 'answer'; readonly from: NodeId; readonly to: NodeId };

export interface TincanWorld {
  readonly clock: Clock;
  readonly internet: Internet;
  /** STUN addresses. */
  readonly stun: readonly string[];
  tincanOf(peer: NodeId): FakeTincan | undefined;
  /** Whether a WebRTC connection carries records from one agent to the other now. */
  pipe(from: NodeId, to: NodeId): boolean;
}

export class FakeTincan {
  readonly self: NodeId;
  readonly label: Label;
  readonly bootId: string;
  readonly host: Host;
  readonly udpPort: number;
  readonly sw: FakeSwitch;
  readonly tunnels = new Map<NodeId, TunnelState>();
  /** Events of the control socket; set while an agent is connected. */
  event: (name: string, data: unknown) => void = () => {};
  readonly demand = new Map<Label, number>();
  readonly #world: TincanWorld;
  readonly #mapped = new Map<string, string>();
  readonly #stop: readonly (() => void)[];
  #nextPort = FIRST_PORT;
  #told: string | undefined;
  running = true;

  constructor(self: NodeId, bootId: string, host: Host, world: TincanWorld) {
    this.self = self;
    this.label = labelOf(self);
    this.bootId = bootId;
    this.host = host;
    this.#world = world;
    this.udpPort = 20_000 + Number(this.label % 20_000n);
    this.sw = new FakeSwitch(this.label);
    host.sockets.set(this.udpPort, (source, payload) => this.#received(source, payload as Payload));
    const { clock } = world;
    this.#stop = [
      clock.every(LOOK_MS, () => this.#look()),
      clock.every(STUN_MS, () => this.#stun()),
      clock.every(ADJACENCY_MS, () => this.#tellAdjacent(true)),
    ];
    clock.after(1, () => this.#stun());
  }

  kill(): void {
    this.running = false;
    this.host.sockets.delete(this.udpPort);
    for (const stop of this.#stop) stop();
  }

  // The control socket.

  request(method: string, params: Readonly<Record<string, unknown>>): unknown {
    const tunnel = this.tunnels.get(String(params.peer ?? ''));
    switch (method) {
      case 'tunnel-add':
        return { port: this.#add(String(params.peer), String(params.note)).port };
      case 'tunnel-drain':
        if (tunnel !== undefined) tunnel.draining = true;
        this.#tellAdjacent(false);
        return {};
      case 'tunnel-remove':
        this.tunnels.delete(String(params.peer));
        this.#tellAdjacent(false);
        return {};
      case 'tunnel-note':
        if (tunnel !== undefined) tunnel.note = String(params.note);
        return {};
      case 'tunnel-candidates':
        if (tunnel !== undefined) this.#useCandidates(tunnel, params.candidates as readonly string[]);
        return {};
      case 'tunnel-webrtc':
        if (tunnel === undefined) return {};
        tunnel.webrtcUp = params.up === true;
        this.#choose(tunnel);
        return {};
      case 'forget':
        this.tunnels.delete(String(params.peer));
        return {};
      case 'send':
        this.#send(String(params.to), params.body);
        return {};
      default:
        return {};
    }
  }

  /** The agent's relay connection is gone, and with it every WebRTC path. */
  agentGone(): void {
    this.event = () => {};
    for (const tunnel of this.tunnels.values()) {
      tunnel.webrtcUp = false;
      this.#choose(tunnel);
    }
  }

  snapshot(): readonly TincanTunnel[] {
    return [...this.tunnels.values()].map((tunnel) => this.#describe(tunnel));
  }

  /** What an agent hears first. */
  greet(): void {
    this.#tellCandidates();
    for (const tunnel of this.tunnels.values()) this.#tellOf(tunnel);
  }

  #add(peer: NodeId, note: string): TunnelState {
    const known = this.tunnels.get(peer);
    if (known !== undefined) {
      known.draining = false;
      this.#tellAdjacent(false);
      return known;
    }
    const tunnel: TunnelState = {
      peer,
      port: this.#nextPort++,
      note,
      candidates: [],
      heardFrom: new Set(),
      remote: undefined,
      answeredAt: Number.NEGATIVE_INFINITY,
      eagerUntil: this.#world.clock.now + EAGER_MS,
      probedAt: Number.NEGATIVE_INFINITY,
      webrtcUp: false,
      path: 'none',
      pipeSeenAt: Number.NEGATIVE_INFINITY,
      adjacent: [],
      draining: false,
    };
    this.tunnels.set(peer, tunnel);
    return tunnel;
  }

  #useCandidates(tunnel: TunnelState, candidates: readonly string[]): void {
    tunnel.candidates = candidates;
    tunnel.eagerUntil = this.#world.clock.now + EAGER_MS;
    this.#probe(tunnel);
  }

  // The socket.

  #stun(): void {
    for (const server of this.#world.stun) this.#transmit(server, { kind: 'stun', server });
    if (this.#mapped.size === 0) this.#tellCandidates();
  }

  #transmit(to: string, payload: Payload): void {
    this.#world.internet.send(this.host, this.udpPort, to, payload);
  }

  #received(source: string, payload: Payload): void {
    if (payload.kind === 'stun-answer') {
      if (this.#mapped.get(payload.server) === payload.mapped) return;
      this.#mapped.set(payload.server, payload.mapped);
      this.#tellCandidates();
      return;
    }
    if (payload.kind === 'stun' || payload.to !== this.self) return;
    const tunnel = this.tunnels.get(payload.from);
    if (tunnel === undefined) return;
    if (payload.kind === 'probe') {
      this.#transmit(source, { kind: 'answer', from: this.self, to: payload.from });
      if (tunnel.heardFrom.has(source)) return;
      tunnel.heardFrom.add(source);
      this.#probe(tunnel);
      return;
    }
    if (tunnel.remote === undefined || source === tunnel.remote || this.#silent(tunnel)) tunnel.remote = source;
    if (source === tunnel.remote) tunnel.answeredAt = this.#world.clock.now;
    this.#choose(tunnel);
  }

  #silent(tunnel: TunnelState): boolean {
    return this.#world.clock.now - tunnel.answeredAt > DEAD_MS;
  }

  #look(): void {
    const { now } = this.#world.clock;
    for (const tunnel of this.tunnels.values()) {
      if (this.#world.pipe(this.self, tunnel.peer) && this.#world.pipe(tunnel.peer, this.self)) tunnel.pipeSeenAt = now;
      this.#choose(tunnel);
      const period = tunnel.path === 'direct' ? 500 : now < tunnel.eagerUntil ? LOOK_MS : SELDOM_MS;
      if (now - tunnel.probedAt >= period) this.#probe(tunnel);
    }
  }

  #probe(tunnel: TunnelState): void {
    tunnel.probedAt = this.#world.clock.now;
    const all = tunnel.path === 'direct' && tunnel.remote !== undefined ? [tunnel.remote] : this.#targets(tunnel);
    for (const to of all) this.#transmit(to, { kind: 'probe', from: this.self, to: tunnel.peer });
  }

  #targets(tunnel: TunnelState): readonly string[] {
    return [...new Set([...tunnel.candidates, ...tunnel.heardFrom])].slice(0, 16);
  }

  #choose(tunnel: TunnelState): void {
    const { now } = this.#world.clock;
    const direct = tunnel.remote !== undefined && !this.#silent(tunnel);
    const relayed = tunnel.webrtcUp && now - tunnel.pipeSeenAt <= DEAD_MS;
    const path = direct ? 'direct' : relayed ? 'webrtc' : 'none';
    if (path === tunnel.path) return;
    if (tunnel.path === 'direct') tunnel.eagerUntil = now + EAGER_MS;
    tunnel.path = path;
    this.#tellOf(tunnel);
    this.#tellAdjacent(false);
  }

  // Events.

  /** In milliseconds. */
  get roundTrips(): ReadonlyMap<NodeId, number> {
    return new Map(
      [...this.tunnels.values()].flatMap(({ peer, path }) => (path === 'none' ? [] : [[peer, 1] as const])),
    );
  }

  #describe(tunnel: TunnelState): TincanTunnel {
    return {
      peer: tunnel.peer,
      port: tunnel.port,
      tap: null,
      note: tunnel.note,
      path: tunnel.path,
      local: `${this.host.address}:${this.udpPort}`,
      remote: tunnel.path === 'direct' ? (tunnel.remote ?? null) : null,
      localType: 'host',
      remoteType: 'host',
      observed: null,
      rttUs: 1_000,
      lossPpm: 0,
      txBytes: 0,
      rxBytes: 0,
      sinceMs: 0,
      webrtcUp: tunnel.webrtcUp,
      adjacent: tunnel.adjacent.map(labelHex),
      candidates: tunnel.candidates,
    };
  }

  #tellOf(tunnel: TunnelState): void {
    this.event('tunnel', this.#describe(tunnel));
  }

  #tellCandidates(): void {
    const own = { address: `${this.host.address}:${this.udpPort}`, type: 'host', server: null };
    const mapped = [...this.#mapped].map(([server, address]) => ({ address, type: 'srflx', server }));
    this.event('candidates', { local: [own, ...mapped] });
  }

  /** To every neighbour, the live tunnels (docs/wire.md §6.5 channel 2). */
  #tellAdjacent(regularly: boolean): void {
    const live = [...this.tunnels.values()].filter((t) => t.path !== 'none');
    const labels = live.filter((t) => !t.draining).map((t) => labelOf(t.peer));
    const text = labels.map(labelHex).join();
    if (!regularly && text === this.#told) return;
    this.#told = text;
    for (const tunnel of live) {
      this.#world.clock.after(10, () => {
        if (this.running && this.carries(tunnel)) this.#world.tincanOf(tunnel.peer)?.adjacency(this.self, labels);
      });
    }
  }

  adjacency(peer: NodeId, labels: readonly Label[]): void {
    const tunnel = this.tunnels.get(peer);
    if (tunnel === undefined || !this.running) return;
    tunnel.adjacent = labels;
    this.event('adjacency', { peer, labels: labels.map(labelHex) });
  }

  #send(to: NodeId, body: unknown): void {
    const { hops, delivered } = this.route(labelOf(to));
    if (!delivered) return;
    this.#world.clock.after(10 * hops, () => {
      const other = this.#world.tincanOf(to);
      if (other?.running && !other.host.dead) other.event('message', { from: this.self, body });
    });
  }

  // Frames and records.

  /** Whether what is sent by the tunnel now arrives, whatever either end believes. */
  carries(tunnel: TunnelState): boolean {
    const other = this.#world.tincanOf(tunnel.peer);
    if (other === undefined || !other.running || !other.tunnels.has(this.self)) return false;
    if (!this.#world.internet.connected(this.host, other.host)) return false;
    if (tunnel.path === 'webrtc') return this.#world.pipe(this.self, tunnel.peer);
    return tunnel.path === 'direct';
  }

  /** Where a frame from the tap ends up: at which nodes. */
  frame(fields: Fields): { readonly reached: NodeId | undefined; readonly hops: number; readonly flooded: boolean } {
    const outputs = this.sw.outputs({ in_port: TAP, ...fields });
    const flooded = outputs.some((o) => o.tunnelId === undefined);
    const out = outputs.find((o) => o.tunnelId !== undefined);
    if (out?.tunnelId === undefined) return { reached: undefined, hops: 0, flooded };
    const { hops, delivered, last } = this.route(out.tunnelId);
    return { reached: delivered ? last : undefined, hops, flooded };
  }

  /** The way of a record for a label from here, as all tables and tunnels stand now. */
  route(label: Label): { readonly delivered: boolean; readonly hops: number; readonly last: NodeId } {
    let at: Flight = { at: this, cameBy: undefined, detour: false };
    for (let hops = 0; hops < MAX_HOPS; hops++) {
      if (at.at.label === label) return { delivered: true, hops, last: at.at.self };
      const next = at.at.#onward(at, label);
      if (next === undefined) return { delivered: false, hops, last: at.at.self };
      at = next;
    }
    return { delivered: false, hops: MAX_HOPS, last: at.at.self };
  }

  /** Sends a record that takes HOP_MS a hop, so that tables and tunnels may change while it is under way. */
  send(label: Label, done: (delivered: boolean) => void): void {
    this.#fly({ at: this, cameBy: undefined, detour: false }, label, MAX_HOPS, done);
  }

  #fly(flight: Flight, label: Label, hops: number, done: (delivered: boolean) => void): void {
    const { at, cameBy } = flight;
    // What comes by no tunnel of a member is dropped, whoever sent it.
    const known = at.running && (cameBy === undefined || [...at.tunnels.values()].some(({ port }) => port === cameBy));
    if (!known || at.label === label || hops === 0) {
      done(known && at.label === label);
      return;
    }
    const next = at.#onward(flight, label);
    if (next === undefined) done(false);
    else this.#world.clock.after(HOP_MS, () => this.#fly(next, label, hops - 1, done));
  }

  #onward({ cameBy, detour }: Flight, label: Label): Flight | undefined {
    const next: Hop | undefined = this.#next(label, cameBy, detour);
    const tunnel = [...this.tunnels.values()].find((t) => t.port === next?.port);
    const other = tunnel && this.#world.tincanOf(tunnel.peer);
    if (next === undefined || tunnel === undefined || other === undefined || !this.carries(tunnel)) return undefined;
    return { at: other, cameBy: other.tunnels.get(this.self)?.port, detour: next.detour };
  }

  #next(label: Label, cameBy: number | undefined, detour: boolean): Hop | undefined {
    if (detour) return hop(onward(this.label, this.#live(), label, cameBy), true);
    const port = this.sw.outputs({ tunnel_id: label }, CORE_TABLE)[0]?.port;
    if (port === undefined) return undefined;
    const up = [...this.tunnels.values()].some((t) => t.port === port && t.path !== 'none');
    if (up && port !== cameBy) return { port, detour: false };
    return hop(firstDetour(this.#live(), label, cameBy, port), true);
  }

  #live(): readonly LiveTunnel[] {
    const live = [...this.tunnels.values()].filter((t) => t.path !== 'none' && !t.draining);
    return live.map(({ peer, port, adjacent }) => ({ label: labelOf(peer), port, adjacent }));
  }
}

/** A record that has come to a node. */
interface Flight {
  readonly at: FakeTincan;
  /** The port it came by, but for a record that begins here. */
  readonly cameBy: number | undefined;
  readonly detour: boolean;
}

interface Hop {
  readonly port: number;
  readonly detour: boolean;
}

function hop(port: number | undefined, detour: boolean): Hop | undefined {
  return port === undefined ? undefined : { port, detour };
}
