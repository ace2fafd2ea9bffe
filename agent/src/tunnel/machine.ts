/**
 * One tunnel: how this node and one peer come to a way of carrying records, and keep it.
 *
 * Each tunnel begins as a WebRTC connection, because ICE with TURN gets through whatever can be got through. In parallel the two
 * tincans try the direct path. Once that has been used for PARK_AFTER_MS the WebRTC connection is closed ("parked"); it is made
 * anew when tincan reports that the direct path is lost. A connection is never repaired: an ICE restart is a new connection with a
 * new tunnel id, and the peer replaces its half.
 *
 * Whether there is a tunnel at all is the overlay's decision, which hears what the peer wants.
 */
import type { EdgeKind } from '../api.ts';
import { earliest, type Instant, type Machine, type Random } from '../machine.ts';
import { type Circumstances, Connection } from './connection.ts';
import { sameKinds } from './kinds.ts';
import { formatNote, type Note } from './note.ts';
import { Retry } from './retry.ts';
import type { AddressSource, TunnelAction, TunnelBody, TunnelEvent, TunnelPath, TunnelState } from './types.ts';

/**
 * One node lets the other one offer first, so long and half as long again as both wait anyway: most edges are wanted by both ends at
 * the same moment. It is the one with the lower id, until attempts have failed: see `Retry.swapped`.
 */
export const YIELD_MS = 500;
/** An open connection over which tincan finds no path for so long is stalled, as a Track is for good after 2^15 lost packets. */
export const STALL_MS = 3_000;
export const PARK_AFTER_MS = 30_000;
/** What an edge is for changes several times while nodes come; only that nobody wants it any more, or somebody again, is urgent. */
export const EDGE_MS = 1_000;
/** After the peer closed the connection. */
const AGAIN_MS = 500;
/** After a peer has refused: it will not change its mind soon. */
const REFUSED_MS = 30_000;
/** tincan probes at most 16 candidates of a peer (docs/wire.md §6.4). */
const MAX_ADDRESSES = 16;

export interface TunnelOptions {
  /** Node ids in hex. */
  readonly self: string;
  readonly peer: string;
  readonly random: Random;
}

export class Tunnel implements Machine<TunnelEvent, TunnelAction> {
  readonly peer: string;
  readonly #higher: boolean;
  readonly #random: Random;
  readonly #retry: Retry;

  #mine: readonly EdgeKind[] = [];
  #theirs: readonly EdgeKind[] = [];
  /** What the peer was last told of ours. */
  #told: readonly EdgeKind[] | undefined;
  #edgeAt: Instant | undefined;
  #wanted = false;
  #draining = false;
  #path: TunnelPath = 'none';
  #reachable = false;
  #boot: string | undefined;
  #localUdp: readonly string[] = [];
  #udp: readonly string[] = [];
  readonly #addresses = new Map<AddressSource, readonly string[]>();

  #connection: Connection | undefined;
  #parked = false;
  #offerAt: Instant | undefined;
  #parkAt: Instant | undefined;
  #stallAt: Instant | undefined;
  #actions: TunnelAction[] = [];

  constructor({ self, peer, random }: TunnelOptions) {
    this.peer = peer;
    this.#higher = self > peer;
    this.#random = random;
    this.#retry = new Retry(random);
  }

  get state(): TunnelState {
    if (this.#connection?.open) return 'open';
    if (this.#connection !== undefined) return this.#connection.role === 'offer' ? 'offering' : 'answering';
    return this.#parked ? 'parked' : 'idle';
  }

  get path(): TunnelPath {
    return this.#path;
  }

  get mine(): readonly EdgeKind[] {
    return this.#mine;
  }

  get theirs(): readonly EdgeKind[] {
    return this.#theirs;
  }

  /** The WebRTC connection in use, if one is open. */
  get openConnection(): string | undefined {
    return this.#connection?.open ? this.#connection.tunnel : undefined;
  }

  /**
   * Whether an offer makes sense now. One that cannot be delivered would only cost a relay allocation: contact wakes it. What drains
   * is about to go.
   */
  get #offering(): boolean {
    return this.#reachable && !this.#draining;
  }

  deadline(): Instant | undefined {
    return earliest(
      this.#offering ? this.#offerAt : undefined,
      this.#connection?.deadline(),
      this.#edgeAt,
      this.#parkAt,
      this.#stallAt,
    );
  }

  handle(event: TunnelEvent, now: Instant): readonly TunnelAction[] {
    this.#actions = [];
    this.#step(event, now);
    return this.#actions;
  }

  #step(event: TunnelEvent, now: Instant): void {
    switch (event.kind) {
      case 'want':
        this.#want(event.kinds, now);
        return;
      case 'drain':
        this.#drain();
        return;
      case 'drop':
        this.#remove();
        return;
      case 'adopt':
        this.#adopt(event.note, event.path, now);
        return;
      case 'contact':
        this.#contact(event.reachable, event.boot, now);
        return;
      case 'body':
        this.#body(event.body, now);
        this.#awaken(now);
        return;
      case 'heard':
        this.#awaken(now);
        return;
      case 'local-udp':
        this.#useLocalUdp(event.addresses, now);
        return;
      case 'addresses':
        this.#addresses.set(event.source, event.addresses);
        this.#pushAddresses();
        return;
      case 'described':
        this.#described(event.tunnel, event.sdp, now);
        return;
      case 'local-candidate':
        this.#localCandidate(event.tunnel, event.candidate, now);
        return;
      case 'gathered':
        this.#gathered(event.tunnel, now);
        return;
      case 'rtc-open':
        this.#opened(event.tunnel, now);
        return;
      case 'rtc-closed':
        this.#closed(event.tunnel, event.reason, now);
        return;
      case 'path':
        this.#usePath(event.path, now);
        return;
      case 'leave':
        this.#offerAt = undefined;
        this.#drop(true);
        return;
      case 'tincan-restarted':
        this.#tincanRestarted(now);
        return;
      case 'deadline':
        this.#deadline(now);
        return;
    }
  }

  // What both sides want.

  #want(kinds: readonly EdgeKind[], now: Instant): void {
    const first = !this.#wanted;
    this.#wanted = true;
    const changed = !sameKinds(kinds, this.#mine);
    this.#mine = kinds;
    if (first) this.#begin(now);
    else if (this.#draining) {
      this.#draining = false;
      this.#act({ kind: 'tincan-add', note: this.#note() });
    } else if (changed) this.#act({ kind: 'tincan-note', note: this.#note() });
    if (!changed) return;
    // An offer that has not left says the kinds by itself.
    if (
      this.#parked ||
      (this.#connection !== undefined && (this.#connection.sent || this.#connection.role === 'answer'))
    ) {
      if (this.#told?.length === 0) this.#sendEdge();
      else this.#edgeAt ??= now + EDGE_MS;
    }
  }

  #drain(): void {
    if (!this.#wanted || this.#draining) return;
    this.#draining = true;
    this.#mine = [];
    this.#act({ kind: 'tincan-note', note: this.#note() });
    this.#act({ kind: 'tincan-drain' });
    this.#sendEdgeIfNew();
  }

  #useTheirs(kinds: readonly EdgeKind[]): void {
    if (sameKinds(kinds, this.#theirs)) return;
    this.#theirs = kinds;
    if (this.#wanted) this.#act({ kind: 'tincan-note', note: this.#note() });
  }

  #begin(now: Instant): void {
    this.#act({ kind: 'tincan-add', note: this.#note() });
    this.#pushAddresses();
    this.#offerSoon(now, 0);
  }

  #adopt(note: Note, path: TunnelPath, now: Instant): void {
    this.#wanted = true;
    this.#mine = note.mine;
    this.#theirs = note.theirs;
    // The connection that may have carried it died with the agent that held it.
    this.#act({ kind: 'tincan-webrtc', up: false });
    this.#path = path === 'direct' ? 'direct' : 'none';
    if (path === 'direct') this.#park();
    else this.#offerSoon(now, 0);
  }

  #remove(): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#mine = [];
    if (!this.#draining) this.#sendEdgeIfNew();
    // A peer that was told that nobody wants it ends its half by itself.
    this.#drop(!this.#draining);
    this.#draining = false;
    this.#told = undefined;
    this.#edgeAt = undefined;
    this.#parked = false;
    this.#offerAt = undefined;
    this.#path = 'none';
    this.#act({ kind: 'tincan-remove' });
  }

  // Who can be told what.

  #contact(reachable: boolean, boot: string | undefined, now: Instant): void {
    const cameBack = reachable && !this.#reachable;
    this.#reachable = reachable;
    const born = boot !== undefined && boot !== this.#boot;
    const reborn = born && this.#boot !== undefined;
    if (born) {
      this.#boot = boot;
      this.#told = undefined;
    }
    if (!this.#wanted) return;
    if (reborn) {
      // The other half of the connection died with the agent that held it.
      this.#drop(false);
      this.#retry.reset();
      if (this.#path === 'direct') this.#park();
      else this.#offerSoon(now, 0);
    } else if (cameBack && this.#offerAt !== undefined) {
      // What failed while nobody could be reached says nothing about the next attempt.
      this.#retry.reset();
      this.#offerSoon(now, 0);
    } else if (cameBack || born) this.#awaken(now);
    if (reborn || cameBack) {
      if (this.#parked || this.#connection !== undefined) {
        this.#sendEdge();
        if (this.#localUdp.length > 0) this.#send({ type: 'udp', udp: this.#localUdp });
      }
    }
  }

  #body(body: TunnelBody, now: Instant): void {
    switch (body.type) {
      case 'offer':
        this.#offered(body.tunnel, body.sdp, body.udp, body.kinds, now);
        return;
      case 'answer': {
        const connection = this.#connection;
        if (connection?.tunnel !== body.tunnel || connection.role !== 'offer' || connection.open) return;
        this.#retry.heard();
        this.#useUdp(body.udp);
        this.#act({ kind: 'rtc-accept', tunnel: body.tunnel, sdp: body.sdp });
        this.#actAll(connection.answered(now));
        return;
      }
      case 'candidates':
        if (this.#connection?.tunnel !== body.tunnel) return;
        this.#actAll(this.#connection.proceed());
        for (const candidate of body.candidates) this.#act({ kind: 'rtc-candidate', tunnel: body.tunnel, candidate });
        return;
      case 'udp':
        this.#useUdp(body.udp);
        return;
      case 'edge':
        this.#useTheirs(body.kinds);
        return;
      case 'refuse':
        if (this.#connection?.tunnel !== body.tunnel) return;
        this.#drop(false);
        this.#retry.heard();
        this.#offerAt = now + this.#retry.jitter(REFUSED_MS);
        this.#act({ kind: 'refused', reason: body.reason });
        return;
      case 'bye':
        if (this.#connection?.tunnel !== body.tunnel) return;
        this.#drop(false);
        if (!this.#wanted) return;
        if (this.#path === 'direct') this.#park();
        else this.#offerSoon(now, AGAIN_MS);
        return;
    }
  }

  #offered(tunnel: string, sdp: string, udp: readonly string[], kinds: readonly EdgeKind[], now: Instant): void {
    const current = this.#connection;
    if (!this.#wanted) return;
    if (current?.tunnel === tunnel) {
      // Said again, since our answer has not arrived.
      if (current.role === 'answer') this.#actAll(current.repeat());
      return;
    }
    // Glare: both offered. The offer of the node with the higher id stands (docs/wire.md §9.3).
    if (current?.role === 'offer' && !current.open && this.#higher) {
      this.#useTheirs(kinds);
      this.#useUdp(udp);
      return;
    }
    this.#drop(false);
    this.#parked = false;
    this.#offerAt = undefined;
    this.#parkAt = undefined;
    this.#connection = new Connection(tunnel, 'answer', now);
    this.#useTheirs(kinds);
    this.#useUdp(udp);
    this.#act({ kind: 'rtc-answer', tunnel, sdp });
  }

  // The WebRTC connection.

  #offerSoon(now: Instant, delayMs: number): void {
    this.#parked = false;
    const first = this.#higher !== this.#retry.swapped;
    this.#offerAt = now + delayMs + (first ? 0 : YIELD_MS + delayMs / 2);
  }

  #offer(now: Instant): void {
    this.#offerAt = undefined;
    if (this.#path === 'direct') {
      // The direct path was there first, as it is on one LAN.
      this.#sendEdge();
      this.#park();
      return;
    }
    const tunnel = drawTunnelId(this.#random);
    this.#connection = new Connection(tunnel, 'offer', now, !this.#retry.silent);
    this.#act({ kind: 'rtc-offer', tunnel });
  }

  #described(tunnel: string, sdp: string, now: Instant): void {
    if (this.#connection?.tunnel === tunnel) this.#connection.described(sdp, now);
  }

  #localCandidate(tunnel: string, candidate: string, now: Instant): void {
    if (this.#connection?.tunnel === tunnel) this.#connection.candidate(candidate, now);
  }

  #gathered(tunnel: string, now: Instant): void {
    if (this.#connection?.tunnel === tunnel) this.#actAll(this.#connection.describe(this.#circumstances, now));
  }

  get #circumstances(): Circumstances {
    return { udp: this.#localUdp, kinds: this.#mine };
  }

  #opened(tunnel: string, now: Instant): void {
    const connection = this.#connection;
    if (connection?.tunnel !== tunnel) return;
    // ICE may succeed by what the peer learned from our checks, before the description has left.
    this.#actAll(connection.describe(this.#circumstances, now));
    connection.opened();
    this.#retry.reset();
    this.#act({ kind: 'tincan-webrtc', up: true });
    if (this.#path === 'direct') this.#parkAt = now + PARK_AFTER_MS;
    else this.#stallAt = now + STALL_MS;
  }

  #closed(tunnel: string, reason: string, now: Instant): void {
    if (this.#connection?.tunnel !== tunnel) return;
    this.#fail(reason, now);
  }

  /** The connection is of no use; another one follows unless the direct path makes it needless. */
  #fail(reason: string, now: Instant): void {
    // Of a tunnel that drains the peer may have closed its half already.
    if (!this.#draining) this.#act({ kind: 'report', message: `WebRTC: ${reason}` });
    this.#drop(false);
    if (!this.#wanted) return;
    if (this.#path === 'direct') {
      this.#park();
      return;
    }
    this.#offerSoon(now, this.#retry.failed());
  }

  /** Nobody answered our offer. */
  #unanswered(now: Instant): void {
    this.#act({ kind: 'report', message: 'WebRTC: no answer to an offer' });
    this.#drop(false);
    if (this.#path === 'direct') {
      this.#park();
      return;
    }
    this.#offerSoon(now, this.#retry.unanswered());
  }

  /**
   * The peer was heard of, or our own network is another one: what went unanswered before says nothing about the next offer. One
   * that still waits for an answer may have been lost as those before it.
   */
  #awaken(now: Instant): void {
    if (!this.#retry.silent) return;
    this.#retry.heard();
    if (!this.#wanted) return;
    if (this.#connection?.unanswered) this.#drop(false);
    else if (this.#connection !== undefined || this.#offerAt === undefined) return;
    this.#offerSoon(now, 0);
  }

  #drop(tellPeer: boolean): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#parkAt = undefined;
    this.#stallAt = undefined;
    if (connection.open) this.#act({ kind: 'tincan-webrtc', up: false });
    if (tellPeer) this.#send({ type: 'bye', tunnel: connection.tunnel });
    this.#act({ kind: 'rtc-close', tunnel: connection.tunnel });
  }

  #park(): void {
    this.#parked = true;
    this.#offerAt = undefined;
    this.#parkAt = undefined;
    this.#stallAt = undefined;
  }

  // tincan.

  #usePath(path: TunnelPath, now: Instant): void {
    if (path === this.#path) return;
    this.#path = path;
    const open = this.#connection?.open === true;
    this.#parkAt = path === 'direct' && open ? now + PARK_AFTER_MS : undefined;
    this.#stallAt = path === 'none' && open ? now + STALL_MS : undefined;
    if (path === 'direct') {
      this.#retry.reset();
      if (this.#offerAt !== undefined && this.#connection === undefined) {
        this.#sendEdge();
        this.#park();
      }
    } else if (this.#parked) this.#offerSoon(now, 0);
  }

  #tincanRestarted(now: Instant): void {
    if (!this.#wanted) return;
    this.#path = 'none';
    this.#parkAt = undefined;
    this.#act({ kind: 'tincan-add', note: this.#note() });
    if (this.#draining) this.#act({ kind: 'tincan-drain' });
    this.#pushAddresses();
    if (this.#connection?.open) {
      this.#act({ kind: 'tincan-webrtc', up: true });
      this.#stallAt = now + STALL_MS;
      return;
    }
    this.#act({ kind: 'tincan-webrtc', up: false });
    if (this.#connection === undefined) this.#offerSoon(now, 0);
  }

  #useLocalUdp(addresses: readonly string[], now: Instant): void {
    if (sameList(addresses, this.#localUdp)) return;
    this.#localUdp = addresses;
    this.#awaken(now);
    // An offer or an answer that has not left carries them.
    if (this.#parked || this.#connection?.sent) this.#send({ type: 'udp', udp: addresses });
  }

  #useUdp(addresses: readonly string[]): void {
    if (sameList(addresses, this.#udp)) return;
    this.#udp = addresses;
    this.#pushAddresses();
  }

  #pushAddresses(): void {
    if (!this.#wanted) return;
    const all = [...(this.#addresses.get('lan') ?? []), ...this.#udp, ...(this.#addresses.get('memory') ?? [])];
    const addresses = [...new Set(all)].slice(0, MAX_ADDRESSES);
    if (addresses.length > 0) this.#act({ kind: 'tincan-candidates', addresses });
  }

  #note(): string {
    return formatNote({ mine: this.#mine, theirs: this.#theirs });
  }

  // Time.

  #deadline(now: Instant): void {
    const connection = this.#connection;
    if (connection?.overdue(now)) {
      if (connection.unanswered) this.#unanswered(now);
      else this.#fail(`not connected in time (${this.state})`, now);
      return;
    }
    if (connection !== undefined) this.#actAll(connection.due(this.#circumstances, now));
    if (this.#edgeAt !== undefined && now >= this.#edgeAt) this.#sendEdgeIfNew();
    if (this.#stallAt !== undefined && now >= this.#stallAt) {
      this.#fail('nothing arrives over it', now);
      return;
    }
    if (this.#parkAt !== undefined && now >= this.#parkAt) {
      this.#drop(true);
      this.#park();
      return;
    }
    if (this.#offerAt !== undefined && now >= this.#offerAt && this.#offering && connection === undefined)
      this.#offer(now);
  }

  #sendEdge(): void {
    this.#send({ type: 'edge', kinds: this.#mine });
  }

  #sendEdgeIfNew(): void {
    this.#edgeAt = undefined;
    if (this.#told === undefined || !sameKinds(this.#told, this.#mine)) this.#sendEdge();
  }

  #send(body: TunnelBody): void {
    this.#act({ kind: 'send', body });
  }

  #act(action: TunnelAction): void {
    // What cannot be delivered is not sent: contact says everything again.
    if (action.kind === 'send' && !this.#reachable) return;
    this.#actions.push(action);
    if (action.kind !== 'send' || (action.body.type !== 'offer' && action.body.type !== 'edge')) return;
    this.#told = action.body.kinds;
    this.#edgeAt = undefined;
  }

  #actAll(actions: readonly TunnelAction[]): void {
    for (const action of actions) this.#act(action);
  }
}

/** 16 hex characters. */
function drawTunnelId(random: Random): string {
  const half = () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return half() + half();
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
