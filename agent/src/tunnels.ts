/**
 * The machines of all tunnels, and what is known of each peer beside them: a tunnel may be wanted long after the peer was heard of,
 * and its machine is told then what it missed.
 */
import type { EdgeKind } from './api.ts';
import { earliest, type Instant, type Random } from './machine.ts';
import type { TincanTunnel } from './tincan.ts';
import { Tunnel } from './tunnel/machine.ts';
import type { Note } from './tunnel/note.ts';
import type { AddressSource, TunnelAction, TunnelEvent } from './tunnel/types.ts';
import type { NodeId } from './wire/ids.ts';

export interface Contact {
  readonly reachable: boolean;
  readonly boot: string | undefined;
}

interface Peer {
  contact: Contact | undefined;
  readonly addresses: Map<AddressSource, readonly string[]>;
  /** What the edge is for, as both ends see it. */
  kinds: readonly EdgeKind[];
  /** tincan's number for the tunnel. */
  port: number | undefined;
  /** What tincan last said of it. */
  status: TincanTunnel | undefined;
}

export interface TunnelsOptions {
  readonly self: NodeId;
  readonly random: Random;
  /** Carries out what a tunnel's machine wants. */
  act(peer: NodeId, action: TunnelAction): void;
}

export class Tunnels {
  readonly #options: TunnelsOptions;
  readonly #peers = new Map<NodeId, Peer>();
  /** Those with a machine. In a large overlay they are few, and they are asked for their deadlines after every event. */
  readonly #machines = new Map<NodeId, Tunnel>();
  #localUdp: readonly string[] = [];

  constructor(options: TunnelsOptions) {
    this.#options = options;
  }

  /** Peers there is a tunnel to, or to be. */
  get peers(): readonly NodeId[] {
    return [...this.#machines.keys()];
  }

  has(peer: NodeId): boolean {
    return this.get(peer) !== undefined;
  }

  get(peer: NodeId): Tunnel | undefined {
    return this.#machines.get(peer);
  }

  kinds(peer: NodeId): readonly EdgeKind[] {
    return this.#peers.get(peer)?.kinds ?? [];
  }

  port(peer: NodeId): number | undefined {
    return this.#peers.get(peer)?.port;
  }

  status(peer: NodeId): TincanTunnel | undefined {
    return this.#peers.get(peer)?.status;
  }

  addresses(source: AddressSource): ReadonlyMap<NodeId, readonly string[]> {
    return new Map(
      [...this.#peers].flatMap(([peer, { addresses }]) => {
        const known = addresses.get(source);
        return known === undefined ? [] : [[peer, known] as const];
      }),
    );
  }

  deadline(): Instant | undefined {
    let first: Instant | undefined;
    for (const tunnel of this.#machines.values()) first = earliest(first, tunnel.deadline());
    return first;
  }

  due(now: Instant): void {
    for (const [peer, tunnel] of this.#machines)
      if ((tunnel.deadline() ?? Number.POSITIVE_INFINITY) <= now) this.give(peer, { kind: 'deadline' }, now);
  }

  give(peer: NodeId, event: TunnelEvent, now: Instant): void {
    for (const action of this.get(peer)?.handle(event, now) ?? []) this.#options.act(peer, action);
  }

  giveAll(event: TunnelEvent, now: Instant): void {
    for (const peer of this.peers) this.give(peer, event, now);
  }

  // What becomes known, whether or not there is a tunnel.

  contact(peer: NodeId, contact: Contact, now: Instant): void {
    this.#peer(peer).contact = contact;
    this.give(peer, { kind: 'contact', ...contact }, now);
  }

  /** False when that was known. */
  learn(peer: NodeId, source: AddressSource, addresses: readonly string[], now: Instant): boolean {
    const known = this.#peer(peer).addresses;
    if (known.get(source)?.join() === addresses.join()) return false;
    known.set(source, addresses);
    // What tincan told us it need not hear again.
    if (source === 'lan') this.give(peer, { kind: 'addresses', source, addresses }, now);
    return true;
  }

  useLocal(udp: readonly string[], now: Instant): void {
    this.#localUdp = udp;
    this.giveAll({ kind: 'local-udp', addresses: udp }, now);
  }

  /** False when it is no news. */
  setPort(peer: NodeId, port: number | undefined): boolean {
    const known = this.#peers.get(peer);
    if (known === undefined || !this.has(peer) || known.port === port) return false;
    known.port = port;
    return true;
  }

  setStatus(peer: NodeId, status: TincanTunnel): void {
    this.#peer(peer).status = status;
  }

  // Tunnels come and go.

  want(peer: NodeId, kinds: readonly EdgeKind[], seen: readonly EdgeKind[], now: Instant): void {
    const known = this.#peer(peer);
    known.kinds = seen;
    if (!this.has(peer)) this.#make(peer, known, now);
    this.give(peer, { kind: 'want', kinds }, now);
  }

  adopt(status: TincanTunnel, note: Note, now: Instant): void {
    const known = this.#peer(status.peer);
    known.kinds = note.mine;
    this.#make(status.peer, known, now);
    this.give(status.peer, { kind: 'adopt', note, path: status.path }, now);
  }

  drain(peer: NodeId, now: Instant): void {
    const known = this.#peers.get(peer);
    if (known === undefined || !this.has(peer)) return;
    known.kinds = [];
    this.give(peer, { kind: 'drain' }, now);
  }

  drop(peer: NodeId, now: Instant): void {
    const known = this.#peers.get(peer);
    if (known === undefined || !this.has(peer)) return;
    this.give(peer, { kind: 'drop' }, now);
    this.#machines.delete(peer);
    Object.assign(known, { kinds: [], port: undefined, status: undefined });
  }

  forget(peer: NodeId, now: Instant): void {
    this.drop(peer, now);
    this.#peers.delete(peer);
  }

  #peer(peer: NodeId): Peer {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const fresh: Peer = {
      contact: undefined,
      addresses: new Map(),
      kinds: [],
      port: undefined,
      status: undefined,
    };
    this.#peers.set(peer, fresh);
    return fresh;
  }

  #make(peer: NodeId, known: Peer, now: Instant): void {
    const { self, random } = this.#options;
    this.#machines.set(peer, new Tunnel({ self, peer, random }));
    if (known.contact !== undefined) this.give(peer, { kind: 'contact', ...known.contact }, now);
    this.give(peer, { kind: 'local-udp', addresses: this.#localUdp }, now);
    for (const [source, addresses] of known.addresses) this.give(peer, { kind: 'addresses', source, addresses }, now);
  }
}
