/**
 * WebRTC connections between agents: an offer and an answer that meet become a pipe. ICE is taken to find a way when there is a
 * TURN server, or when one of the two is not behind a NAT.
 */

import type { RtcEvent } from '../../agent/src/agent-types.ts';
import { formatShort } from '../../agent/src/tunnel/sdp.ts';
import type { NodeId } from '../../agent/src/wire/ids.ts';
import type { Clock } from './clock.ts';
import type { Host, Internet } from './internet.ts';

/** Gathering, then ICE and DTLS. */
const DESCRIBE_MS = 20;
const GATHER_MS = 60;
const CONNECT_MS = 300;
/** Consent that is not renewed ends a connection (RFC 7675 §5.1). */
const CONSENT_MS = 15_000;
const LOOK_MS = 1_000;

export interface RtcEnd {
  readonly self: NodeId;
  readonly host: Host;
  event(peer: NodeId, event: RtcEvent): void;
}

interface Half {
  readonly end: RtcEnd;
  readonly peer: NodeId;
  readonly tunnel: string;
  readonly role: 'offer' | 'answer';
  open: boolean;
  lostSince: number | undefined;
}

export class FakeRtc {
  turn = true;
  /** Connections that opened. */
  opened = 0;
  /** Offers that were begun: each costs what gathering costs. */
  offers = 0;
  /** And offers of others that were answered. */
  answers = 0;
  readonly #clock: Clock;
  readonly #internet: Internet;
  readonly #halves = new Map<string, Half>();
  readonly #relays = new Map<string, string>();

  constructor(clock: Clock, internet: Internet) {
    this.#clock = clock;
    this.#internet = internet;
    clock.every(LOOK_MS, () => this.#look());
  }

  offer(end: RtcEnd, peer: NodeId, tunnel: string): void {
    this.offers++;
    this.#begin(end, peer, tunnel, 'offer');
  }

  answer(end: RtcEnd, peer: NodeId, tunnel: string): void {
    this.answers++;
    this.#begin(end, peer, tunnel, 'answer');
  }

  /** The offerer has the answer: both know of each other. */
  accept(end: RtcEnd, peer: NodeId, tunnel: string): void {
    this.#clock.after(CONNECT_MS, () => {
      const [mine, theirs] = [this.#half(end.self, peer, tunnel), this.#half(peer, end.self, tunnel)];
      if (mine === undefined || theirs === undefined || !this.#possible(mine.end.host, theirs.end.host)) return;
      this.opened++;
      for (const half of [mine, theirs]) {
        half.open = true;
        half.end.event(half.peer, { kind: 'rtc-open', tunnel });
      }
    });
  }

  close(end: RtcEnd, peer: NodeId, tunnel: string): void {
    this.#halves.delete(keyOf(end.self, peer, tunnel));
  }

  /** The agent's process ended: its connections are gone without a word. */
  gone(self: NodeId): void {
    for (const [key, half] of this.#halves) if (half.end.self === self) this.#halves.delete(key);
    for (const key of this.#relays.keys()) if (key.startsWith(self)) this.#relays.delete(key);
  }

  relay(self: NodeId, peer: NodeId, tunnel: string | undefined): void {
    if (tunnel === undefined) this.#relays.delete(self + peer);
    else this.#relays.set(self + peer, tunnel);
  }

  /** Whether records from one agent's tincan reach the other's by a connection. */
  pipe(from: NodeId, to: NodeId): boolean {
    const tunnel = this.#relays.get(from + to);
    if (tunnel === undefined || this.#relays.get(to + from) !== tunnel) return false;
    const [mine, theirs] = [this.#half(from, to, tunnel), this.#half(to, from, tunnel)];
    return mine?.open === true && theirs?.open === true && this.#internet.connected(mine.end.host, theirs.end.host);
  }

  #begin(end: RtcEnd, peer: NodeId, tunnel: string, role: 'offer' | 'answer'): void {
    const half: Half = { end, peer, tunnel, role, open: false, lostSince: undefined };
    const key = keyOf(end.self, peer, tunnel);
    this.#halves.set(key, half);
    const tell = (delay: number, event: RtcEvent) =>
      this.#clock.after(delay, () => {
        if (this.#halves.get(key) === half) end.event(peer, event);
      });
    const sdp = formatShort({
      iceUfrag: tunnel.slice(0, 8),
      icePwd: tunnel.repeat(2),
      fingerprint: new Array(32).fill('AB').join(':'),
    });
    tell(DESCRIBE_MS, { kind: 'described', tunnel, type: role, sdp });
    tell(GATHER_MS, { kind: 'gathered', tunnel });
  }

  #possible(a: Host, b: Host): boolean {
    if (!this.#internet.connected(a, b)) return false;
    return this.turn || a.network === b.network || a.network.nat === undefined || b.network.nat === undefined;
  }

  #look(): void {
    for (const [key, half] of this.#halves) {
      if (!half.open) continue;
      const other = this.#half(half.peer, half.end.self, half.tunnel);
      const alive = other !== undefined && this.#internet.connected(half.end.host, other.end.host);
      if (alive) half.lostSince = undefined;
      else half.lostSince ??= this.#clock.now;
      if (half.lostSince === undefined || this.#clock.now - half.lostSince < CONSENT_MS) continue;
      this.#halves.delete(key);
      half.end.event(half.peer, { kind: 'rtc-closed', tunnel: half.tunnel, reason: 'connection failed' });
    }
  }

  #half(self: NodeId, peer: NodeId, tunnel: string): Half | undefined {
    return this.#halves.get(keyOf(self, peer, tunnel));
  }
}

function keyOf(self: NodeId, peer: NodeId, tunnel: string): string {
  return `${self} ${peer} ${tunnel}`;
}
