/**
 * The agent: the one place where the machines meet. It routes what one says to those it concerns and decides little itself, and
 * like them it is pure: events and the time go in, actions come out.
 *
 *     room, LAN ──► Signal ──member──► Overlay ──want-tunnel──► Tunnel ──► WebRTC, tincan
 *                     ▲  └──deliver────────┴───────────────────►  │
 *                     └────────────────send───────────────────────┘
 *     tincan ──tunnel──► Tunnel, Overlay ──neighbours──► Controller ──► switch
 */
import type { AgentAction, AgentEvent } from './agent-types.ts';
import type { EdgeKind, NetworkProblem } from './api.ts';
import { Complaints } from './complaints.ts';
import { type EdgeEvent, EdgeSwitch } from './edge-switch.ts';
import { earliest, type Instant, type Machine, type Random } from './machine.ts';
import type { LocalCandidate } from './nat.ts';
import { Neighbourhood } from './neighbourhood.ts';
import {
  type CoreFlow,
  coreFlows,
  firstHops,
  LOOK_MS,
  lookup,
  type Overlay,
  type OverlayEvent,
  type OverlayNeighbour,
  type Topology,
} from './overlay/index.ts';
import { Controller, type ControllerAction, type ControllerEvent, tincanProgram } from './sdn/index.ts';
import { Lan, type LanEvent } from './signal/lan.ts';
import type { Greeting } from './signal/lobby.ts';
import type { OwnBoot } from './signal/own-boot.ts';
import { Signal, type SignalAction, type SignalEvent, type Standing } from './signal/signal.ts';
import { readEvent, readLabels, type TincanEvent, type TincanTunnel } from './tincan.ts';
import type { Tunnel } from './tunnel/machine.ts';
import { parseNote } from './tunnel/note.ts';
import type { TunnelAction, TunnelEvent } from './tunnel/types.ts';
import { Underlay } from './tunnel/underlay.ts';
import type { Tunnels } from './tunnels.ts';
import { type Endpoint, formatEndpoint, formatPrefix, parseEndpoint } from './wire/address.ts';
import { type Body, isTraceBody, isTunnelBody } from './wire/bodies.ts';
import type { Certificate } from './wire/certificate.ts';
import { isNodeId, labelHex, type NodeId } from './wire/ids.ts';
import type { Parameters } from './wire/parameters.ts';
import { DecodeError } from './wire/reader.ts';

/** A pair that begins to talk much is to have its tunnel within three seconds, which have to do for its making too. */
const DEMAND_MS = 1_000;
const ASK_AGAIN_MS = 5_000;
/** A tincan that was started anew has all its paths back by then; what it has not is down, and the ring closes over it. */
const RECHECK_MS = 5_000;
/** A certificate has at most 860 characters in base64, and a line at most 1 MiB (docs/wire.md §10.1). */
const CERTIFICATES_A_REQUEST = 1_000;
/** Most addresses we tell a peer (docs/wire.md §6.4). */
const MAX_UDP = 16;

export interface AgentOptions {
  readonly own: OwnBoot;
  readonly parameters: Parameters;
  /** The node's account on the XMPP server, by which members that are not in the room write to each other. */
  readonly account?: string | undefined;
  readonly greeting?: Greeting | undefined;
  /** With `static` as names or node ids. */
  readonly topology: Omit<Topology, 'static'> & { readonly static: readonly string[] };
  readonly lan: boolean;
  /** Open vSwitch is the switch at the edge. */
  readonly ovs: boolean;
  /** `firewall` of docs/wire.md §10.1; undefined: nothing is ordered. */
  readonly firewall: object | null | undefined;
  /** Ascends from one run of the agent to the next. */
  readonly generation: bigint;
  readonly random: Random;
}

export class Agent implements Machine<AgentEvent, AgentAction> {
  readonly counters: Record<string, number> = {};
  readonly #options: AgentOptions;
  readonly #self: NodeId;
  readonly #signal: Signal;
  readonly #neighbourhood: Neighbourhood;
  readonly #lan: Lan;
  readonly #controller: Controller;
  readonly #edge: EdgeSwitch | undefined;
  readonly #underlay: Underlay;
  #revocations: string | null = null;
  #local: readonly LocalCandidate[] = [];
  #tincanBoot: string | undefined;
  #tincanReady = false;
  #demandAt: Instant | undefined;
  #roundTripsAt: Instant | undefined;
  #askAgainAt: Instant | undefined;
  #recheckAt: Instant | undefined;
  readonly #complaints = new Complaints((peer) => this.#nameOf(peer));
  #staticTold = '';
  #picture = false;
  /** The bridge of Open vSwitch is to have other ports. */
  #taps = false;
  #routed: readonly CoreFlow[] = [];
  #neighboursTold = '';
  #ringTold = false;
  #now: Instant = 0;
  #out: AgentAction[] = [];

  constructor(options: AgentOptions) {
    const { own, parameters, random } = options;
    this.#options = options;
    this.#self = own.nodeId;
    this.#signal = new Signal({
      overlayId: parameters.overlayId,
      authorityKey: parameters.authorityKey,
      own,
      random,
      signedSeconds: parameters.issued,
      account: options.account,
      greeting: options.greeting,
    });
    const topology = { ...options.topology, static: [] };
    this.#neighbourhood = new Neighbourhood(
      { self: own.nodeId, topology, random },
      {
        act: (peer, action) => this.#fromTunnel(peer, action),
        send: (peer, body) => this.#send(peer, body as Body),
        changed: () => {
          this.#picture = true;
        },
        members: () => this.members.map((member) => member.nodeId),
        told: () => {
          this.#tellStatic(this.members);
          this.#picture = true;
        },
        tooManyOffers: () => this.#count('offer_too_many'),
      },
    );
    this.#lan = new Lan(own, random);
    this.#controller = new Controller(options.generation, tincanProgram);
    if (options.ovs) this.#edge = new EdgeSwitch(options.generation);
    const subnets = [parameters.subnet4, parameters.subnet6].filter((prefix) => prefix !== undefined);
    this.#underlay = new Underlay([...subnets, ...own.certificate.routes].map(formatPrefix));
  }

  get self(): NodeId {
    return this.#self;
  }

  get certificate(): Certificate {
    return this.#options.own.certificate;
  }

  get parameters(): Parameters {
    return this.#options.parameters;
  }

  get members(): readonly Certificate[] {
    return [...this.#signal.members];
  }

  get overlay(): Overlay {
    return this.#neighbourhood.overlay;
  }

  get #tunnels(): Tunnels {
    return this.#neighbourhood.tunnels;
  }

  /** Who was to be heard of at the start has been. */
  get settled(): boolean {
    return this.#neighbourhood.settled;
  }

  get controller(): Controller {
    return this.#controller;
  }

  /** Open vSwitch, where that is the switch at the edge. */
  get edge(): EdgeSwitch | undefined {
    return this.#edge;
  }

  /** Whether the flows send records for a member somewhere. */
  routed(member: Certificate): boolean {
    return lookup(this.#routed, member.label) !== undefined;
  }

  get localCandidates(): readonly LocalCandidate[] {
    return this.#local;
  }

  /** What keeps packets of prefixes behind nodes from arriving, by tincan's word. */
  get problems(): readonly NetworkProblem[] {
    return this.#complaints.problems;
  }

  get revocations(): string | null {
    return this.#revocations;
  }

  member(nodeId: NodeId): Certificate | undefined {
    return this.#signal.member(nodeId);
  }

  tunnel(peer: NodeId): Tunnel | undefined {
    return this.#tunnels.get(peer);
  }

  /** What tincan last said of the tunnel. */
  status(peer: NodeId): TincanTunnel | undefined {
    return this.#tunnels.status(peer);
  }

  /** What the edge is for, as both ends see it. */
  kinds(peer: NodeId): readonly EdgeKind[] {
    return this.#tunnels.kinds(peer);
  }

  /** Where members were last reached. */
  get lastAddresses(): ReadonlyMap<NodeId, readonly string[]> {
    return this.#tunnels.addresses('memory');
  }

  /** Seconds since 1970 by which certificates are judged; undefined when the clock is wrong and nobody said better. */
  knownTime(now: Instant): number | undefined {
    return this.#signal.knownTime(now);
  }

  /** What is wrong with who this node is, as far as it knows. */
  standing(now: Instant): Standing {
    return this.#signal.standing(now);
  }

  /** Names of neighbours that answer and pass nothing on. */
  get holes(): readonly string[] {
    return this.#complaints.holes.filter((peer) => this.#tunnels.has(peer)).map((peer) => this.#nameOf(peer));
  }

  /** Ways that lose large packets, as far as was found lately. */
  narrow(now: Instant): readonly { readonly name: string; readonly remote: string; readonly bytes: number }[] {
    return this.#complaints.narrow(now);
  }

  /** Peers that are heard from an address where they do not hear us, as far as was found lately. */
  oneWay(now: Instant): readonly { readonly name: string; readonly remote: string }[] {
    return this.#complaints.oneWay(now);
  }

  /** Whether an address may be an end of a tunnel. */
  usable(address: string): boolean {
    return this.#underlay.usable(address);
  }

  deadline(): Instant | undefined {
    return earliest(
      this.#signal.deadline(),
      this.#neighbourhood.deadline(),
      this.#options.lan ? this.#lan.deadline() : undefined,
      this.#controller.deadline(),
      this.#edge?.controller.deadline(),
      this.#demandAt,
      this.#roundTripsAt,
      this.#askAgainAt,
      this.#recheckAt,
    );
  }

  handle(event: AgentEvent, now: Instant): readonly AgentAction[] {
    this.#now = now;
    this.#out = [];
    this.#step(event);
    this.#tellTaps();
    this.#tellPicture();
    return this.#out;
  }

  #step(event: AgentEvent): void {
    switch (event.kind) {
      case 'start':
        this.#toSignal({ kind: 'clock', wallSeconds: event.wallSeconds });
        this.#neighbourhood.start(this.#now);
        this.#demandAt = this.#now + DEMAND_MS;
        this.#roundTripsAt = this.#now + LOOK_MS;
        this.#askAgainAt = this.#now + ASK_AGAIN_MS;
        if (this.#options.lan) this.#toLan({ kind: 'start' });
        return;
      case 'clock':
        this.#toSignal({ kind: 'clock', wallSeconds: event.wallSeconds });
        return;
      case 'signal':
        if (event.event.kind === 'connected') this.#neighbourhood.entering(this.#now);
        if (event.event.kind === 'disconnected') this.#neighbourhood.entered(this.#now);
        this.#toSignal(event.event);
        return;
      case 'remembered':
        for (const [peer, addresses] of Object.entries(event.addresses)) this.#remember(peer, addresses);
        return;
      case 'tincan-ready':
        this.#tincanIsReady(event.bootId, event.tunnels);
        return;
      case 'tincan-away':
        this.#tincanReady = false;
        this.#complaints.tincanAway();
        for (const peer of this.#tunnels.peers) this.#pathLost(peer);
        return;
      case 'tincan-event':
        this.#fromTincan(readEvent(event.name, event.data));
        return;
      case 'tunnel-port':
        this.#picture = this.#tunnels.setPort(event.peer, event.port) || this.#picture;
        this.#tapIs(event.peer, event.port, event.tap);
        return;
      case 'demand':
        this.#demanded(event.bytes);
        return;
      case 'round-trips':
        this.#toOverlay(event);
        return;
      case 'rtc':
        this.#toTunnel(event.peer, event.event);
        return;
      case 'switch':
        this.#toSwitch(event.event);
        return;
      case 'edge':
        this.#toEdge(event.event);
        return;
      case 'bridge-ports':
        this.#edge?.usePorts(event.ports);
        this.#picture = true;
        return;
      case 'leave':
        this.#tunnels.giveAll({ kind: 'leave' }, this.#now);
        return;
      case 'deadline':
        this.#deadline();
        return;
    }
  }

  #deadline(): void {
    const due = (at: Instant | undefined) => at !== undefined && at <= this.#now;
    if (due(this.#signal.deadline())) this.#toSignal({ kind: 'deadline' });
    if (due(this.#controller.deadline())) this.#toSwitch({ kind: 'deadline' });
    if (due(this.#edge?.controller.deadline())) this.#toEdge({ kind: 'deadline' });
    if (this.#options.lan && due(this.#lan.deadline())) this.#toLan({ kind: 'deadline' });
    this.#neighbourhood.due(this.#now);
    if (due(this.#recheckAt)) {
      this.#recheckAt = undefined;
      for (const peer of this.#tunnels.peers)
        if (this.#tunnels.get(peer)?.path === 'none') this.#toOverlay({ kind: 'tunnel', peer, up: false });
    }
    if (due(this.#demandAt)) {
      this.#demandAt = this.#now + DEMAND_MS;
      if (this.#tincanReady) this.#do({ kind: 'ask-demand' });
    }
    if (due(this.#roundTripsAt)) {
      this.#roundTripsAt = this.#now + LOOK_MS;
      if (this.#tincanReady) this.#do({ kind: 'ask-round-trips' });
    }
    if (due(this.#askAgainAt)) {
      this.#askAgainAt = this.#now + ASK_AGAIN_MS;
      if (this.#tincanReady) this.#askAgain();
    }
  }

  // Signalling and membership.

  #toSignal(event: SignalEvent): void {
    for (const action of this.#signal.handle(event, this.#now)) this.#fromSignal(action);
  }

  #fromSignal(action: SignalAction): void {
    switch (action.kind) {
      case 'send-presence':
        this.#neighbourhood.entering(this.#now);
        this.#do(action);
        return;
      case 'heard-of':
        if (action.whole) this.#neighbourhood.whole(this.#now);
        else this.#neighbourhood.near(this.#now);
        return;
      case 'send-message':
      case 'send-direct':
      case 'leave-room':
      case 'stay-outside':
        this.#do(action);
        return;
      case 'send-overlay':
        this.#toTincan('send', { to: action.to, body: action.body });
        return;
      case 'member':
        this.#gained(action.certificate);
        return;
      case 'member-gone':
        this.#lost(action.certificate, action.reason, action.by);
        return;
      case 'revocations':
        this.#revocations = Buffer.from(action.list).toString('base64');
        this.#toTincan('revocations', { list: this.#revocations });
        this.#do({ kind: 'remember' });
        return;
      case 'time':
        this.#toTincan('time', { unix: Math.floor(action.seconds) });
        return;
      case 'lan-peer':
        this.#onLan(action.nodeId, action.hello.bootNonce.toString('hex'), action.hello.candidates);
        return;
      case 'contact':
        this.#tunnels.contact(action.nodeId, { reachable: action.reachable, boot: action.boot }, this.#now);
        return;
      case 'heard':
        this.#toTunnel(action.nodeId, { kind: 'heard' });
        return;
      case 'deliver':
        this.#delivered(action.from, action.body);
        return;
      case 'count':
        this.#count(action.counter);
        return;
      case 'report':
        this.#log('warn', action.message);
        return;
    }
  }

  #gained(certificate: Certificate): void {
    this.#log('debug', `member ${certificate.name} (${certificate.nodeId})`);
    this.#toTincan('members', { certificates: [certificate.bytes.toString('base64')] });
    this.#do({ kind: 'remember' });
    this.#neighbourhood.membersAre(this.#now);
  }

  #lost({ name, nodeId, serial }: Certificate, reason: string, by: Certificate | undefined): void {
    const who = `${name} (${nodeId}) is no member any more`;
    if (by === undefined) this.#log('info', `${who}: ${reason}`);
    else
      this.#log(
        'warn',
        `${who}: ${by.name} (${by.nodeId}) has its address, by certificate number ${by.serial}, newer than ${serial}`,
      );
    this.#neighbourhood.lost(nodeId, this.#now);
    this.#complaints.forget(nodeId);
    this.#neighbourhood.membersAre(this.#now);
    this.#toTincan('forget', { peer: nodeId });
    this.#do({ kind: 'remember' });
  }

  /** Static peers may be configured by name, and names become known with the members. */
  #tellStatic(members: readonly Certificate[]): void {
    const { topology } = this.#options;
    const wanted = topology.static.flatMap((named) => {
      if (isNodeId(named)) return [named];
      return members.filter((member) => member.name === named).map((member) => member.nodeId);
    });
    const told = wanted.join();
    if (told === this.#staticTold) return;
    this.#staticTold = told;
    this.#toOverlay({ kind: 'topology', topology: { ...topology, static: wanted } });
  }

  #delivered(from: NodeId, body: Body): void {
    if (isTunnelBody(body)) this.#neighbourhood.delivered(from, body, this.#now);
    else if (isTraceBody(body)) this.#do({ kind: 'trace', from, body });
  }

  #send(to: NodeId, body: Body): void {
    this.#toSignal({ kind: 'send', to, body });
  }

  // The local network.

  #toLan(event: LanEvent): void {
    for (const action of this.#lan.handle(event, this.#now)) this.#do(action);
  }

  #onLan(peer: NodeId, boot: string, candidates: readonly Endpoint[]): void {
    if (this.#options.lan) this.#toLan({ kind: 'heard', boot });
    const addresses = candidates.filter((c) => this.#underlay.usable(c.address)).map(formatEndpoint);
    this.#tunnels.learn(peer, 'lan', addresses, this.#now);
    this.#toTunnel(peer, { kind: 'heard' });
  }

  #remember(peer: NodeId, addresses: readonly string[]): void {
    const usable = addresses.filter((address) => this.#isUsableEndpoint(address)).slice(0, MAX_UDP);
    if (!isNodeId(peer) || usable.length === 0) return;
    if (this.#tunnels.learn(peer, 'memory', usable, this.#now)) this.#do({ kind: 'remember' });
  }

  #isUsableEndpoint(text: string): boolean {
    try {
      return this.#underlay.usable(parseEndpoint(text).address);
    } catch (error) {
      if (error instanceof DecodeError) return false;
      throw error;
    }
  }

  // Edges and tunnels.

  #toOverlay(event: OverlayEvent): void {
    this.#neighbourhood.toOverlay(event, this.#now);
  }

  #toTunnel(peer: NodeId, event: TunnelEvent): void {
    this.#tunnels.give(peer, event, this.#now);
  }

  #fromTunnel(peer: NodeId, action: Exclude<TunnelAction, { kind: 'send' }>): void {
    switch (action.kind) {
      case 'rtc-offer':
      case 'rtc-answer':
      case 'rtc-accept':
      case 'rtc-proceed':
      case 'rtc-candidate':
      case 'rtc-close':
        this.#do({ ...action, peer });
        return;
      case 'tincan-add':
        if (this.#tincanReady) this.#do({ kind: 'tunnel-add', peer, note: action.note });
        return;
      case 'tincan-note':
        this.#toTincan('tunnel-note', { peer, note: action.note });
        return;
      case 'tincan-candidates':
        this.#toTincan('tunnel-candidates', {
          peer,
          candidates: action.addresses.filter((address) => this.#isUsableEndpoint(address)),
        });
        return;
      case 'tincan-webrtc':
        this.#do({ kind: 'relay', peer, tunnel: action.up ? this.#tunnels.get(peer)?.openConnection : undefined });
        return;
      case 'tincan-drain':
        this.#toTincan('tunnel-drain', { peer });
        return;
      case 'tincan-remove':
        this.#tapIs(peer, 0, null);
        this.#toTincan('tunnel-remove', { peer });
        this.#do({ kind: 'tunnel-removed', peer });
        return;
      case 'refused':
        this.#log('info', `${this.#nameOf(peer)} refused a tunnel: ${action.reason}`);
        return;
      case 'report':
        this.#log('info', `tunnel to ${this.#nameOf(peer)}: ${action.message}`);
        return;
    }
  }

  // tincan.

  #toTincan(method: string, params: object | null): void {
    if (this.#tincanReady) this.#do({ kind: 'tincan', method, params });
  }

  #tincanIsReady(bootId: string, tunnels: readonly TincanTunnel[]): void {
    const first = this.#tincanBoot === undefined;
    const restarted = !first && this.#tincanBoot !== bootId;
    this.#tincanBoot = bootId;
    this.#tincanReady = true;
    this.#tellTime();
    if (this.#revocations !== null) this.#toTincan('revocations', { list: this.#revocations });
    const { firewall } = this.#options;
    if (firewall !== undefined) this.#toTincan('firewall', firewall);
    this.#tellCertificates();
    if (first || restarted) {
      // Tunnels that the machines want already; tincan-add is idempotent.
      for (const peer of this.#tunnels.peers) {
        this.#tunnels.setPort(peer, undefined);
        this.#toTunnel(peer, { kind: 'tincan-restarted' });
      }
      this.#recheckAt = this.#now + RECHECK_MS;
    }
    for (const status of tunnels) {
      if (!this.#tunnels.has(status.peer)) this.#adopt(status);
      this.#tunnelIs(status);
    }
    this.#picture = true;
  }

  /** A tincan that starts with a wrong clock has none of its own to go by. */
  #tellTime(): void {
    const known = this.#signal.doubted(this.#now) ? this.#signal.knownTime(this.#now) : undefined;
    if (known !== undefined) this.#toTincan('time', { unix: Math.floor(known) });
  }

  #tellCertificates(): void {
    const all = this.members.map((member) => member.bytes.toString('base64'));
    for (let i = 0; i < all.length; i += CERTIFICATES_A_REQUEST)
      this.#toTincan('members', { certificates: all.slice(i, i + CERTIFICATES_A_REQUEST) });
  }

  /** A tunnel tincan did not take, for whatever reason, is asked for again. */
  #askAgain(): void {
    for (const peer of this.#tunnels.peers) {
      if (this.#tunnels.port(peer) !== undefined) continue;
      const member = this.#signal.member(peer);
      if (member === undefined) continue;
      this.#toTincan('members', { certificates: [member.bytes.toString('base64')] });
      this.#toTunnel(peer, { kind: 'tincan-restarted' });
    }
  }

  #adopt(status: TincanTunnel): void {
    const { peer, path } = status;
    const note = parseNote(status.note);
    this.#log('info', `tunnel to ${this.#nameOf(peer)} adopted, path ${path}`);
    this.#neighbourhood.adopt(status, note, this.#now);
  }

  #tunnelIs(status: TincanTunnel): void {
    const { peer, path } = status;
    if (!this.#tunnels.has(peer)) return;
    const before = this.#tunnels.status(peer);
    this.#tunnels.setStatus(peer, status);
    this.#picture = this.#tunnels.setPort(peer, status.port) || this.#picture;
    this.#tapIs(peer, status.port, status.tap);
    if (before?.path !== path || before.remote !== status.remote)
      this.#log('info', `tunnel to ${this.#nameOf(peer)}: ${path}${status.remote === null ? '' : ` ${status.remote}`}`);
    this.#neighbourhood.pathIs(peer, path, this.#now);
    if (before?.adjacent.join() !== status.adjacent.join())
      this.#toOverlay({ kind: 'adjacency', peer, labels: readLabels(status.adjacent) });
    if (path === 'direct' && status.remote !== null)
      this.#remember(peer, [...new Set([status.remote, ...status.candidates])]);
  }

  /** Nothing crosses while tincan is away. */
  #pathLost(peer: NodeId): void {
    const status = this.#tunnels.status(peer);
    if (status !== undefined) this.#tunnels.setStatus(peer, { ...status, path: 'none' });
  }

  #tapIs(peer: NodeId, number: number, name: string | null): void {
    if (this.#edge?.setTap(peer, name === null ? undefined : { name, number }) !== true) return;
    this.#taps = true;
    this.#picture = true;
    // Off the bridge before tincan removes it: a port whose link is gone is an error there.
    if (name === null) this.#tellTaps();
  }

  /** Once an event: of the tunnels that are adopted one after the other none is to lose its port. */
  #tellTaps(): void {
    if (!this.#taps || this.#edge === undefined) return;
    this.#taps = false;
    this.#do({ kind: 'bridge-taps', taps: this.#edge.taps });
  }

  #fromTincan(event: TincanEvent | undefined): void {
    switch (event?.kind) {
      case 'tunnel':
        this.#tunnelIs(event.tunnel);
        return;
      case 'candidates':
        this.#useLocal(event.local);
        return;
      case 'message':
        this.#toSignal({ kind: 'over-overlay', from: event.from, body: event.body });
        return;
      case 'member':
        this.#toSignal({ kind: 'certificates', certificates: [event.certificate] });
        return;
      case 'revocations':
        this.#toSignal(event);
        return;
      case 'adjacency':
        this.#toOverlay(event);
        return;
      case 'forwards':
      case 'narrow':
      case 'one-way':
      case 'problems':
        for (const { level, message } of this.#complaints.hear(event, this.#now)) this.#log(level, message);
        return;
      case 'links':
        this.#do({ kind: 'log', level: 'warn', message: event.text });
        return;
      case undefined:
        return;
    }
  }

  #useLocal(candidates: readonly LocalCandidate[]): void {
    const usable = candidates.filter((candidate) => this.#isUsableEndpoint(candidate.address));
    this.#local = usable;
    this.#tunnels.useLocal([...new Set(usable.map((candidate) => candidate.address))].slice(0, MAX_UDP), this.#now);
    if (!this.#options.lan) return;
    const hosts = usable.filter((candidate) => candidate.type === 'host').slice(0, MAX_UDP);
    this.#toLan({ kind: 'candidates', candidates: hosts.map((candidate) => parseEndpoint(candidate.address)) });
  }

  #demanded(bytes: ReadonlyMap<string, number>): void {
    const samples = this.members.flatMap((member) => {
      const count = bytes.get(labelHex(member.label));
      return count === undefined ? [] : [{ peer: member.nodeId, bytes: count }];
    });
    this.#toOverlay({ kind: 'demand', samples });
  }

  /** Once an event, however many of the machines changed something. */
  #tellPicture(): void {
    if (!this.#picture) return;
    this.#picture = false;
    const { neighbours, ringComplete } = this.overlay;
    const live = neighbours.filter((neighbour) => neighbour.up).map((neighbour) => neighbour.peer);
    if (live.join() !== this.#neighboursTold || ringComplete !== this.#ringTold) {
      // With the first way out, an offer may get through that could not before.
      if (this.#neighboursTold === '') this.#tunnels.giveAll({ kind: 'heard' }, this.#now);
      this.#neighboursTold = live.join();
      this.#ringTold = ringComplete;
      this.#toSignal({ kind: 'neighbours', peers: live, ringComplete });
    }
    const { label } = this.#options.own.certificate;
    const members = this.members;
    const adjacent = neighbours.flatMap((neighbour) => {
      const port = this.#tunnels.port(neighbour.peer);
      return port === undefined ? [] : [{ ...neighbour, port }];
    });
    const labels = members.map((member) => member.label);
    const core = coreFlows(label, adjacent, labels);
    this.#routed = core;
    const self = this.#options.own.certificate;
    const drained = this.#drained(neighbours);
    const ports = drained.flatMap((peer) => this.#tunnels.port(peer) ?? []);
    this.#toSwitch({ kind: 'state', state: { self, members, core, drained: ports }, settled: this.settled });
    // Which tunnels there are is tincan's to say.
    if (this.#edge === undefined || this.#tincanBoot === undefined) return;
    const picture = { self, members, hops: firstHops(label, adjacent, labels), drained };
    this.#fromEdge(this.#edge.draw(picture, this.settled, this.#now));
  }

  /** Ends of tunnels that are there although the overlay counts them as neighbours no more. */
  #drained(neighbours: readonly OverlayNeighbour[]): readonly NodeId[] {
    const staying = new Set(neighbours.map((neighbour) => neighbour.peer));
    return this.#tunnels.peers.filter((peer) => !staying.has(peer));
  }

  // The switch.

  #toSwitch(event: ControllerEvent): void {
    for (const action of this.#controller.handle(event, this.#now)) this.#do({ kind: 'switch', action });
  }

  #toEdge(event: EdgeEvent): void {
    this.#fromEdge(this.#edge?.handle(event, this.#now) ?? []);
  }

  #fromEdge(actions: readonly ControllerAction[]): void {
    for (const action of actions) this.#do({ kind: 'edge', action });
  }

  #nameOf(peer: NodeId): string {
    return this.#signal.member(peer)?.name ?? peer;
  }

  #count(counter: string): void {
    this.counters[counter] = (this.counters[counter] ?? 0) + 1;
  }

  #log(level: 'info' | 'warn' | 'debug', message: string): void {
    this.#do({ kind: 'log', level, message });
  }

  #do(action: AgentAction): void {
    this.#out.push(action);
  }
}
