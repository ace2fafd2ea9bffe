/** All WebRTC connections of the node: carries the agent's orders to them and their news back. */
import type { RtcEvent } from '../agent-types.ts';
import { Told } from '../told.ts';
import type { NodeId } from '../wire/ids.ts';
import type { Relay } from './relay.ts';
import { type CandidatePair, type IceServers, loadRtc, RtcConnection } from './rtc.ts';

/** Connections wait so long after joining the room for the relay's credentials: without them a pair of hard NATs fails first. */
const ICE_WAIT_MS = 3_000;
/** A connection that is given up while it works carries what is under way for so long: the other end hears of it a little later. */
const LINGER_MS = 500;
/** And so long for the room: peers may be heard of by the local network alone. */
const ROOM_WAIT_MS = 8_000;

export type RtcOrder =
  | { readonly kind: 'rtc-offer'; readonly peer: NodeId; readonly tunnel: string }
  | { readonly kind: 'rtc-answer'; readonly peer: NodeId; readonly tunnel: string; readonly sdp: string }
  | { readonly kind: 'rtc-accept'; readonly peer: NodeId; readonly tunnel: string; readonly sdp: string }
  | { readonly kind: 'rtc-proceed'; readonly peer: NodeId; readonly tunnel: string }
  | { readonly kind: 'rtc-candidate'; readonly peer: NodeId; readonly tunnel: string; readonly candidate: string }
  | { readonly kind: 'rtc-close'; readonly peer: NodeId; readonly tunnel: string };

export interface RtcPoolOptions {
  readonly relay: Relay;
  usable(address: string): boolean;
  event(peer: NodeId, event: RtcEvent): void;
  report(message: string): void;
}

export class RtcPool {
  readonly #options: RtcPoolOptions;
  /** By peer and tunnel id. */
  readonly #connections = new Map<string, RtcConnection>();
  readonly #ports = new Map<NodeId, number>();
  /** The key of the connection each peer's records go by. */
  readonly #carrying = new Map<NodeId, string>();
  /** Given up, and closed when their timer fires. */
  readonly #lingering = new Map<RtcConnection, NodeJS.Timeout>();
  readonly #told = new Told();
  #ice: IceServers = { stun: [], turn: [] };
  #iceKnown = false;
  #waitMs = ROOM_WAIT_MS;
  #loaded = false;
  /** Orders that wait for the library and for the ICE servers; undefined once nothing is waited for. */
  #waiting: RtcOrder[] | undefined = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RtcPoolOptions) {
    this.#options = options;
  }

  /** Loads the native library; connections begin once the ICE servers are known or have been waited for. */
  async start(): Promise<void> {
    await loadRtc();
    this.#loaded = true;
    if (this.#iceKnown) this.#begin();
    else this.#wait();
  }

  /** The server has been reached: the ICE servers follow, if it has any. */
  joined(): void {
    this.#waitMs = ICE_WAIT_MS;
    if (this.#loaded && this.#waiting !== undefined) this.#wait();
  }

  useIce(ice: IceServers): void {
    this.#ice = ice;
    this.#iceKnown = true;
    if (this.#loaded) this.#begin();
  }

  carryOut(order: RtcOrder): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(order);
      return;
    }
    const { peer, tunnel } = order;
    switch (order.kind) {
      case 'rtc-offer':
        this.#create(peer, tunnel, { ...this.#ice, turn: [] })?.offer();
        return;
      case 'rtc-answer':
        // Only an answerer has a relay: see tunnel/retry.ts.
        this.#create(peer, tunnel, this.#ice)?.answer(order.sdp);
        return;
      case 'rtc-accept':
        this.#connections.get(key(peer, tunnel))?.accept(order.sdp);
        return;
      case 'rtc-proceed':
        this.#connections.get(key(peer, tunnel))?.proceed();
        return;
      case 'rtc-candidate':
        this.#connections.get(key(peer, tunnel))?.addCandidate(order.candidate);
        return;
      case 'rtc-close':
        this.#close(peer, tunnel);
        return;
    }
  }

  /** tincan's number for the peer's tunnel, or undefined when it has none any more. */
  setPort(peer: NodeId, port: number | undefined): void {
    const old = this.#ports.get(peer);
    if (old === port) return;
    if (old !== undefined) this.#options.relay.forget(old);
    if (port === undefined) this.#ports.delete(peer);
    else this.#ports.set(peer, port);
    this.#attach(peer);
  }

  /** tincan went away, and the next one numbers its tunnels anew: a number of before may be another peer's then. */
  forgetPorts(): void {
    this.#ports.clear();
    this.#options.relay.restart();
  }

  /** The peer's records go by this connection, or by none. */
  carry(peer: NodeId, tunnel: string | undefined): void {
    // Without another one the port stays with the old connection until that is closed: tincan may have records under way to it.
    if (tunnel === undefined) this.#carrying.delete(peer);
    else this.#carrying.set(peer, key(peer, tunnel));
    this.#attach(peer);
  }

  /** What ICE chose for the connection that carries the peer's records. */
  selected(peer: NodeId): CandidatePair | null {
    return this.#connections.get(this.#carrying.get(peer) ?? '')?.selected() ?? null;
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const [connection, timer] of this.#lingering) {
      clearTimeout(timer);
      connection.close();
    }
    this.#lingering.clear();
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#begin(), this.#waitMs);
  }

  #begin(): void {
    if (!this.#loaded) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const order of waiting) this.carryOut(order);
  }

  #attach(peer: NodeId): void {
    const port = this.#ports.get(peer);
    const connection = this.#connections.get(this.#carrying.get(peer) ?? '');
    if (port !== undefined && connection !== undefined) this.#options.relay.attach(port, connection);
  }

  #create(peer: NodeId, tunnel: string, ice: IceServers): RtcConnection | undefined {
    const { usable, event, relay: carrier } = this.#options;
    try {
      const connection = new RtcConnection(
        tunnel,
        { ice, usable },
        {
          description: (type, sdp) => event(peer, { kind: 'described', tunnel, type, sdp }),
          candidate: (candidate) => event(peer, { kind: 'local-candidate', tunnel, candidate }),
          gathered: () => event(peer, { kind: 'gathered', tunnel }),
          open: () => event(peer, { kind: 'rtc-open', tunnel }),
          packet: (packet) => {
            const port = this.#ports.get(peer);
            if (port !== undefined) carrier.fromPeer(port, packet);
          },
          closed: (reason) => event(peer, { kind: 'rtc-closed', tunnel, reason }),
        },
      );
      this.#connections.set(key(peer, tunnel), connection);
      this.#told.well();
      return connection;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#told.problem(reason)) this.#options.report(`WebRTC cannot be set up: ${reason}`);
      setImmediate(() => event(peer, { kind: 'rtc-closed', tunnel, reason }));
      return undefined;
    }
  }

  #close(peer: NodeId, tunnel: string): void {
    const name = key(peer, tunnel);
    const connection = this.#connections.get(name);
    if (connection === undefined) return;
    this.#connections.delete(name);
    const end = () => {
      this.#lingering.delete(connection);
      const port = this.#ports.get(peer);
      if (port !== undefined) this.#options.relay.detach(port, connection);
      connection.close();
    };
    if (connection.isOpen) this.#lingering.set(connection, setTimeout(end, LINGER_MS));
    else end();
  }
}

/** Tunnel ids are drawn by the offerer: one peer must not hit another's connection. */
function key(peer: NodeId, tunnel: string): string {
  return `${peer}/${tunnel}`;
}
