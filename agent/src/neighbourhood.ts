/**
 * A node's edges and the tunnels that realise them: what the overlay wants the tunnels' machines do, and what peers say and tunnels come
 * to the overlay hears. It also decides when the overlay hears of whom: not before those are known that it would ask for first.
 *
 *     members, bodies ──► Neighbourhood ──► Overlay ──want-tunnel──► Tunnels ──► act
 *                               ▲                ◄──── path ────────────┘
 *
 * Pure: the time goes in, what is to be done goes to the handlers it was made with.
 */
import { earliest, type Instant, type Random } from './machine.ts';
import { Overlay, type OverlayAction, type OverlayEvent, type Topology } from './overlay/index.ts';
import { Share } from './share.ts';
import type { Note } from './tunnel/note.ts';
import type { TunnelAction, TunnelBody, TunnelEvent, TunnelPath } from './tunnel/types.ts';
import { Tunnels } from './tunnels.ts';
import type { NodeId } from './wire/ids.ts';

/** Who was to be heard of has been; a member that was just restarting comes back within this. */
export const SETTLE_MS = 3_000;
/** With tunnels of an earlier life more can be lost by a wrong picture. */
export const SETTLE_ADOPTED_MS = 10_000;
/** Without the XMPP server, what tunnels and gossip told by then is the picture. */
export const SETTLE_ALONE_MS = 60_000;
/**
 * The room tells a newcomer of everybody one by one, and in a large overlay a greeter tells who stands beside it. The overlay hears of
 * them together: of each by itself, it would want an edge to whoever is nearest so far, and make twenty connections for four. So long
 * after the last attempt to enter the room is waited at most.
 */
export const ENTER_MS = 10_000;
/** Offers of one peer: each makes a WebRTC connection, with sockets and an allocation of the relay. */
export const OFFERS = { perSecond: 0.5, burst: 8 };

export interface NeighbourhoodHandlers {
  /** Carries out what the tunnel's machine wants; `send` and `refused` are seen to here. */
  act(peer: NodeId, action: Exclude<TunnelAction, { kind: 'send' }>): void;
  send(peer: NodeId, body: TunnelBody): void;
  /** Neighbours are others, or their tunnels. */
  changed(): void;
  /** All members, as known now. */
  members(): Iterable<NodeId>;
  /** The overlay has heard of them. */
  told?(): void;
  tooManyOffers(): void;
}

export interface NeighbourhoodOptions {
  readonly self: NodeId;
  readonly topology: Topology;
  readonly random: Random;
}

export class Neighbourhood {
  readonly overlay: Overlay;
  readonly tunnels: Tunnels;
  readonly #handlers: NeighbourhoodHandlers;
  readonly #offers = new Share(OFFERS);
  #settled = false;
  #settleAt: Instant | undefined;
  /** Set while it is told who is there. */
  #enteringUntil: Instant | undefined;
  /** Whom to hear of first is known. */
  #found = false;
  #now: Instant = 0;

  constructor({ self, topology, random }: NeighbourhoodOptions, handlers: NeighbourhoodHandlers) {
    this.#handlers = handlers;
    this.overlay = new Overlay(self, topology, random);
    this.tunnels = new Tunnels({ self, random, act: (peer, action) => this.#fromTunnel(peer, action) });
  }

  /** Who was to be heard of at the start has been. */
  get settled(): boolean {
    return this.#settled;
  }

  deadline(): Instant | undefined {
    return earliest(this.overlay.deadline(), this.tunnels.deadline(), this.#settleAt, this.#enteringUntil);
  }

  due(now: Instant): void {
    if ((this.overlay.deadline() ?? Number.POSITIVE_INFINITY) <= now) this.toOverlay({ kind: 'deadline' }, now);
    this.tunnels.due(now);
    if (this.#enteringUntil !== undefined && now >= this.#enteringUntil) this.entered(now);
    if (this.#settleAt !== undefined && now >= this.#settleAt) {
      this.#settleAt = undefined;
      this.#enteringUntil = undefined;
      this.#settled = true;
      this.membersAre(now);
    }
  }

  // Who is there.

  start(now: Instant): void {
    this.#settleAt = now + SETTLE_ALONE_MS;
  }

  /** The room is called, or asked to let us in. */
  entering(now: Instant): void {
    if (!this.#found && !this.#settled) this.#enteringUntil = now + ENTER_MS;
  }

  /** Whom the overlay has to hear of at first is known: those that stand beside this node. */
  near(now: Instant): void {
    this.#found = true;
    this.entered(now);
  }

  /** Nobody tells any more who is there. */
  entered(now: Instant): void {
    if (this.#enteringUntil === undefined) return;
    this.#enteringUntil = undefined;
    this.membersAre(now);
  }

  /** All are known, but for those that are just restarting. */
  whole(now: Instant): void {
    this.near(now);
    if (this.#settled) return;
    const adopted = this.tunnels.peers.some((peer) => this.tunnels.get(peer)?.path !== 'none');
    this.#settleAt = now + (adopted ? SETTLE_ADOPTED_MS : SETTLE_MS);
  }

  /** There are others, or fewer. */
  membersAre(now: Instant): void {
    if (this.#enteringUntil !== undefined) return;
    this.toOverlay({ kind: 'members', members: this.#handlers.members(), settled: this.#settled }, now);
    this.#handlers.told?.();
  }

  lost(peer: NodeId, now: Instant): void {
    this.tunnels.forget(peer, now);
    this.toOverlay({ kind: 'closed', peer }, now);
  }

  // What peers say.

  delivered(peer: NodeId, body: TunnelBody, now: Instant): void {
    switch (body.type) {
      case 'offer': {
        if (!this.#offers.take(peer, now)) {
          this.#handlers.tooManyOffers();
          return;
        }
        const reason = this.toOverlay({ kind: 'peer-edge', peer, kinds: body.kinds }, now);
        if (reason === undefined && this.tunnels.has(peer)) this.give(peer, { kind: 'body', body }, now);
        else this.#handlers.send(peer, { type: 'refuse', tunnel: body.tunnel, reason: reason ?? 'policy' });
        return;
      }
      case 'edge': {
        const reason = this.toOverlay({ kind: 'peer-edge', peer, kinds: body.kinds }, now);
        if (reason === undefined) this.give(peer, { kind: 'body', body }, now);
        else this.#handlers.send(peer, { type: 'edge', kinds: [] });
        return;
      }
      default:
        this.give(peer, { kind: 'body', body }, now);
        return;
    }
  }

  // Tunnels.

  give(peer: NodeId, event: TunnelEvent, now: Instant): void {
    this.tunnels.give(peer, event, now);
  }

  pathIs(peer: NodeId, path: TunnelPath, now: Instant): void {
    this.give(peer, { kind: 'path', path }, now);
    this.toOverlay({ kind: 'tunnel', peer, up: path !== 'none' }, now);
  }

  /** A tunnel of an earlier life, which tincan has kept. */
  adopt(status: Parameters<Tunnels['adopt']>[0], note: Note, now: Instant): void {
    const { peer, path } = status;
    this.tunnels.adopt(status, note, now);
    this.toOverlay({ kind: 'adopted', peer, kinds: note.mine, up: path === 'direct' }, now);
    if (note.theirs.length > 0) this.toOverlay({ kind: 'peer-edge', peer, kinds: note.theirs }, now);
  }

  /** The reason when the overlay refuses what the peer asks for. */
  toOverlay(event: OverlayEvent, now: Instant): 'limit' | 'policy' | undefined {
    let refused: 'limit' | 'policy' | undefined;
    this.#now = now;
    for (const action of this.overlay.handle(event, now)) refused = this.#fromOverlay(action, now) ?? refused;
    return refused;
  }

  #fromOverlay(action: OverlayAction, now: Instant): 'limit' | 'policy' | undefined {
    switch (action.kind) {
      case 'want-tunnel':
      case 'set-kinds':
        this.tunnels.want(action.peer, action.kinds, action.seen, now);
        return undefined;
      case 'drain-tunnel':
        this.tunnels.drain(action.peer, now);
        return undefined;
      case 'drop-tunnel':
        this.tunnels.drop(action.peer, now);
        this.#handlers.changed();
        return undefined;
      case 'refuse':
        return action.reason;
      case 'neighbours':
        this.#handlers.changed();
        return undefined;
    }
  }

  #fromTunnel(peer: NodeId, action: TunnelAction): void {
    if (action.kind === 'send') {
      this.#handlers.send(peer, action.body);
      return;
    }
    this.#handlers.act(peer, action);
    if (action.kind === 'refused') this.toOverlay({ kind: 'refused', peer }, this.#now);
  }
}
