/**
 * Signalling: who is there, and sealed messages to them. Two ways lead to a peer: the overlay's XMPP room, and the
 * overlay itself once this node has a tunnel. The room comes first where both ends are in it, because it needs nothing
 * of the overlay; with the server away everything goes over the overlay.
 *
 *     room ──presence, message──►┌────────┐──send-presence, send-message──► room
 *     tincan ──over-overlay─────►│ Signal │──send-overlay─────────────────► tincan
 *     agent ──send, neighbours──►└────────┘──member, member-gone, contact, heard, deliver──► agent
 */
import type { IdentityFacts } from '../diagnosis/identity.ts';
import { earliest, type Instant, type Machine, type Random } from '../machine.ts';
import { Share } from '../share.ts';
import { type Body, decodeBody, encodeBody, GOSSIP_MAX, parseBody } from '../wire/bodies.ts';
import { type Certificate, parseCertificate, verifyCertificate } from '../wire/certificate.ts';
import { type Hello, parseHello } from '../wire/hello.ts';
import { isNodeId, type NodeId, type OverlayId } from '../wire/ids.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import { isRevoked } from '../wire/revocations.ts';
import { readSealedHeader } from '../wire/sealed.ts';
import { OBJECT_MAX_BYTES } from '../wire/tlv.ts';
import { ClockWatch } from './clock-watch.ts';
import { gossipBodies, nearestTo, someOf } from './gossip.ts';
import { AddressTaken, type Loss, Membership } from './membership.ts';
import type { OwnBoot } from './own-boot.ts';
import { PeerBoots } from './peer-boots.ts';
import type { SignalAction, SignalCounter, SignalEvent, SignalOptions } from './types.ts';

export type { SignalAction, SignalCounter, SignalEvent, SignalOptions } from './types.ts';

/** `IdentityFacts` without what the node file says. */
export type Standing = Pick<IdentityFacts, 'clock' | 'known' | 'revoked' | 'displacedBy' | 'twin'>;

/** A presence in answer to messages for an older boot of ours, or to what got lost: not oftener than this. */
export const PRESENCE_MIN_INTERVAL_MS = 1_000;
export const PRESENCE_REFRESH_MS = 86_400_000;
/** Certificates run out without an event, so they are looked at this often. */
export const EXPIRY_CHECK_MS = 30_000;
/** One neighbour by chance hears of some members by chance this often. */
export const GOSSIP_INTERVAL_MS = 120_000;
/** An agent with our keys that was seen is there for so long, as far as we know. */
export const TWIN_MS = 600_000;
/** Our address is ours again: the others know that too by then, and take our hello. */
export const RETURN_MS = 5_000;
/** Certificates that were told to be refused for their address; an overlay with more of them has other worries. */
const TOLD_MAX = 64;

/** Of one member, by the room and by the overlay: an edge takes ten messages, and gossip of a large overlay some dozens. */
export const MESSAGES = { perSecond: 25, burst: 200 };
/** Hellos that were not seen before: an agent shows itself once a second at most, and each costs three signatures. */
export const HELLOS = { perSecond: 1, burst: 10 };

interface Contact {
  readonly boots: PeerBoots;
  inRoom: boolean;
  /** What was last told by a `contact` action. */
  told: string;
  /** Text of the last hello, so that a repeated presence costs no signature check. */
  lastHello: string;
}

/** Longer than base64 of the longest object: refused before it is decoded. */
const HELLO_MAX_CHARACTERS = 4 * Math.ceil(OBJECT_MAX_BYTES / 3);

export class Signal implements Machine<SignalEvent, SignalAction> {
  readonly #overlayId: OverlayId;
  readonly #authorityKey: Uint8Array;
  readonly #own: OwnBoot;
  readonly #random: Random;
  readonly #membership: Membership;
  readonly #clockWatch: ClockWatch;
  /** Members only, so the membership's bound is theirs. */
  readonly #contacts = new Map<NodeId, Contact>();
  readonly #messages = new Share(MESSAGES);
  readonly #hellos = new Share(HELLOS);
  #neighbours: ReadonlySet<NodeId> = new Set();
  #connected = false;
  #lastPresenceAt = Number.NEGATIVE_INFINITY;
  #presenceDueAt: Instant | undefined;
  #expiryCheckAt: Instant | undefined;
  #gossipAt: Instant | undefined;
  #ownExpiredReported = false;
  #twinReported = '';
  #twinAt = Number.NEGATIVE_INFINITY;
  /** Who has our address by a newer certificate. */
  #displacer: NodeId | undefined;
  #displacedAddress = '';
  /** Refused for their address and told: `node id serial`. */
  readonly #told = new Set<string>();

  constructor(options: SignalOptions) {
    this.#overlayId = options.overlayId;
    this.#authorityKey = options.authorityKey;
    this.#own = options.own;
    this.#random = options.random;
    this.#membership = new Membership(options.authorityKey, options.own.certificate);
    this.#membership.clock.observe(options.signedSeconds);
    this.#clockWatch = new ClockWatch(this.#membership.clock, options.own);
  }

  get members(): Iterable<Certificate> {
    return this.#membership.all();
  }

  member(nodeId: NodeId): Certificate | undefined {
    return this.#membership.get(nodeId);
  }

  deadline(): Instant | undefined {
    return earliest(this.#presenceDueAt, this.#expiryCheckAt, this.#gossipAt);
  }

  handle(event: SignalEvent, now: Instant): readonly SignalAction[] {
    this.#expiryCheckAt ??= now + EXPIRY_CHECK_MS;
    switch (event.kind) {
      case 'connected':
        this.#connected = true;
        return [this.#presence(now), ...this.#contactChanges()];
      case 'disconnected':
        this.#connected = false;
        this.#presenceDueAt = undefined;
        for (const contact of this.#contacts.values()) contact.inRoom = false;
        return this.#contactChanges();
      case 'presence':
        return this.#onPresence(event.nick, event.available, event.hello, now);
      case 'message':
        return this.#onMessage(event.nick, event.payload, now);
      case 'undeliverable':
        return this.#leftRoom(event.nick);
      case 'lan-hello':
        return this.#onLanHello(event.bytes, now);
      case 'over-overlay':
        return this.#onOverlay(event.from, event.body, now);
      case 'certificates':
        return event.certificates.flatMap((bytes) => this.#admit(bytes, now));
      case 'revocations':
        return this.#revoke(event.list, now);
      case 'own-certificate':
        return this.#renewed(event.certificate, now);
      case 'neighbours':
        return this.#onNeighbours(new Set(event.peers.filter(isNodeId)), now);
      case 'clock':
        this.#membership.clock.setWall(event.wallSeconds, now);
        return [...this.#clockWatch.changed(now), ...this.#expire(now)];
      case 'send':
        return this.#send(event.to, event.body);
      case 'deadline':
        return this.#onDeadline(now);
    }
  }

  // ---- presence --------------------------------------------------------------------------------------------------

  /** In the room the hello carries no candidates: the server need not know our local addresses. */
  #presence(now: Instant): SignalAction {
    this.#lastPresenceAt = now;
    // The time in it is for nodes without a clock: not older than this.
    this.#presenceDueAt = now + PRESENCE_REFRESH_MS;
    return { kind: 'send-presence', hello: this.#own.hello([], now).toString('base64') };
  }

  #presenceSoon(now: Instant): readonly SignalAction[] {
    if (!this.#connected) return [];
    const at = this.#lastPresenceAt + PRESENCE_MIN_INTERVAL_MS;
    if (now >= at) return [this.#presence(now)];
    this.#presenceDueAt = Math.min(this.#presenceDueAt ?? at, at);
    return [];
  }

  #onPresence(nick: string, available: boolean, text: string | undefined, now: Instant): readonly SignalAction[] {
    if (!available) return this.#leftRoom(nick);
    if (text === undefined) return [];
    const contact = this.#contacts.get(nick);
    if (contact !== undefined && contact.lastHello === text) {
      const entered = !contact.inRoom;
      contact.inRoom = true;
      return entered ? this.#present(nick) : this.#contactChange(nick);
    }
    if (!this.#hellos.take(nick, now)) return [{ kind: 'count', counter: 'signal_hello_too_many' }];
    return this.#guard('signal_hello_refused', () => {
      if (text.length > HELLO_MAX_CHARACTERS) throw new DecodeError('a hello too long');
      const hello = parseHello(fromBase64(text));
      if (hello.certificate.nodeId !== nick) throw new DecodeError("a hello under another node's name");
      if (nick === this.#own.nodeId) return this.#onOwnPresence(hello, now);
      return this.#onRoomHello(hello, text, now);
    });
  }

  /** Our own presence comes back. With another boot nonce it is another agent with our keys. */
  #onOwnPresence(hello: Hello, now: Instant): readonly SignalAction[] {
    const nonce = hello.bootNonce.toString('hex');
    if (hello.bootNonce.equals(this.#own.nonce)) return [];
    this.#twinAt = now;
    if (nonce === this.#twinReported) return [];
    this.#twinReported = nonce;
    return [report('another agent uses the identity of this node: each node needs its own')];
  }

  #onRoomHello(hello: Hello, text: string, now: Instant): readonly SignalAction[] {
    const { nodeId } = hello.certificate;
    const timed = this.#hearTime(hello, now);
    const admitted = [...timed, ...this.#admitOrThrow(hello.certificate.bytes, now)];
    const contact = this.#contactOf(nodeId);
    if (contact === undefined) return admitted;
    const news = admitted.flatMap((a) => (a.kind === 'member' ? [a.certificate] : []));
    const newer = contact.boots.learn(hello);
    contact.inRoom = true;
    if (newer) contact.lastHello = text;
    const shown: readonly SignalAction[] = newer
      ? this.#present(nodeId)
      : [{ kind: 'count', counter: 'signal_hello_old' }, ...this.#contactChange(nodeId)];
    return [...admitted, ...shown, ...this.#passOn(news, this.#apart())];
  }

  /** A peer came into the room, or made itself known anew there. */
  #present(nodeId: NodeId): readonly SignalAction[] {
    const change = this.#contactChange(nodeId);
    return change.length > 0 ? change : [{ kind: 'heard', nodeId }];
  }

  #leftRoom(nick: string): readonly SignalAction[] {
    const contact = this.#contacts.get(nick);
    if (contact === undefined) return [];
    contact.inRoom = false;
    return this.#contactChange(nick);
  }

  /**
   * A hello from the local network proves membership and names addresses to probe, no more: anybody there can play an old
   * one again, so it moves no boot.
   */
  #onLanHello(bytes: Uint8Array, now: Instant): readonly SignalAction[] {
    return this.#guard('signal_hello_refused', () => {
      const hello = parseHello(bytes);
      const { nodeId } = hello.certificate;
      if (nodeId === this.#own.nodeId) return [];
      return [
        ...this.#hearTime(hello, now),
        ...this.#admitOrThrow(hello.certificate.bytes, now),
        { kind: 'lan-peer', nodeId, hello },
      ];
    });
  }

  // ---- members ---------------------------------------------------------------------------------------------------

  #admit(bytes: Uint8Array, now: Instant): readonly SignalAction[] {
    return this.#guard('signal_certificate_refused', () => this.#admitOrThrow(bytes, now));
  }

  #admitOrThrow(bytes: Uint8Array, now: Instant): readonly SignalAction[] {
    if (parseCertificate(bytes).nodeId === this.#own.nodeId) return [];
    const { certificate, news, displaced, ours } = this.#membership.admit(bytes, now);
    if (!news) return [];
    return [
      ...displaced.flatMap((other) => this.#lose(other, 'displaced', now, certificate)),
      ...(ours === undefined ? [] : this.#displacedOurselves(certificate, ours)),
      { kind: 'member', certificate },
      ...(ours === undefined ? this.#ourAddressIsFree(certificate.nodeId, now) : []),
      ...this.#contactChange(certificate.nodeId),
    ];
  }

  #displacedOurselves({ name, nodeId, serial }: Certificate, address: string): readonly SignalAction[] {
    this.#displacer = nodeId;
    this.#displacedAddress = address;
    const ours = `${serial} is newer than ${this.#own.certificate.serial} of this node`;
    return [
      report(
        `${name} (${nodeId}) has ${address} as well, and its certificate number ${ours}: the others talk to it alone; ` +
          'give one of the two another address (evio node enroll --renew)',
      ),
    ];
  }

  /** Who had our address has it no longer. */
  #ourAddressIsFree(nodeId: NodeId, now: Instant): readonly SignalAction[] {
    if (this.#displacer !== nodeId) return [];
    this.#displacer = undefined;
    if (this.#connected)
      this.#presenceDueAt = Math.min(this.#presenceDueAt ?? Number.POSITIVE_INFINITY, now + RETURN_MS);
    return [report('no other node has an address of this node any more: it comes back')];
  }

  /** Once for a certificate, however often it is shown. */
  #refused({ certificate, address, owner }: AddressTaken): readonly SignalAction[] {
    const { name, nodeId, serial } = certificate;
    if (!this.#tell(certificate)) return [];
    const who = owner.nodeId === this.#own.nodeId ? 'this node' : `${owner.name} (${owner.nodeId})`;
    return [
      report(
        `${name} (${nodeId}) is refused: ${address} belongs to ${who}, whose certificate number ${owner.serial} is newer than ` +
          `${serial}; give one of the two another address (evio node enroll --renew)`,
      ),
    ];
  }

  /** False when it was told before. */
  #tell({ nodeId, serial }: Certificate): boolean {
    const key = `${nodeId} ${serial}`;
    if (this.#told.has(key) || this.#told.size >= TOLD_MAX) return false;
    this.#told.add(key);
    return true;
  }

  #lose(certificate: Certificate, reason: Loss, now: Instant, by?: Certificate): readonly SignalAction[] {
    this.#contacts.delete(certificate.nodeId);
    if (by !== undefined) this.#tell(certificate);
    return [
      { kind: 'member-gone', certificate, reason, ...(by && { by }) },
      ...this.#ourAddressIsFree(certificate.nodeId, now),
    ];
  }

  #revoke(list: Uint8Array, now: Instant): readonly SignalAction[] {
    return this.#guard('signal_certificate_refused', () => {
      const gone = this.#membership.revoke(list);
      // As old as ours, or older.
      if (gone === undefined) return [];
      const { nodeId, serial } = this.#own.certificate;
      const ours = isRevoked(this.#membership.revocations, nodeId, serial);
      return [
        { kind: 'revocations', list },
        ...gone.flatMap((certificate) => this.#lose(certificate, 'revoked', now)),
        ...(ours ? [report("this node's certificate is revoked: enrol it again (evio node enroll)")] : []),
      ];
    });
  }

  #renewed(bytes: Uint8Array, now: Instant): readonly SignalAction[] {
    return this.#guard('signal_certificate_refused', () => {
      const certificate = verifyCertificate(bytes, this.#authorityKey);
      this.#membership.setOwn(certificate);
      this.#own.renew(certificate);
      this.#ownExpiredReported = false;
      return [...this.#clockWatch.changed(now), ...this.#presenceSoon(now)];
    });
  }

  /** By which time this node judges; undefined when its clock is wrong and nobody has told it better. */
  knownTime(now: Instant): number | undefined {
    return this.#membership.clock.known(now);
  }

  /** What is wrong with who this node is, as far as it knows. */
  standing(now: Instant): Standing {
    const { nodeId, serial } = this.#own.certificate;
    const by = this.#displacer;
    const other = by === undefined ? undefined : this.#membership.get(by);
    return {
      clock: this.#membership.clock.state(now),
      known: this.#membership.clock.known(now),
      revoked: isRevoked(this.#membership.revocations, nodeId, serial),
      displacedBy:
        other !== undefined && other.serial > serial
          ? { name: other.name, nodeId: other.nodeId, address: this.#displacedAddress }
          : undefined,
      twin: now - this.#twinAt < TWIN_MS,
    };
  }

  /** Whether the machine's clock cannot be right. */
  doubted(now: Instant): boolean {
    return this.#membership.clock.own(now) === undefined;
  }

  #hearTime(hello: Hello, now: Instant): readonly SignalAction[] {
    return this.#membership.hearTime(hello, now) ? this.#clockWatch.changed(now) : [];
  }

  #expire(now: Instant): readonly SignalAction[] {
    const gone = this.#membership.expire(now).flatMap((certificate) => this.#lose(certificate, 'expired', now));
    const time = this.#membership.clock.known(now);
    if (this.#ownExpiredReported || time === undefined || time <= this.#own.certificate.notAfter) return gone;
    this.#ownExpiredReported = true;
    return [
      ...gone,
      report("this node's certificate has expired: renew it (evio authority serve, or evio node enroll --renew)"),
    ];
  }

  // ---- contact ---------------------------------------------------------------------------------------------------

  #contactOf(nodeId: NodeId): Contact | undefined {
    const known = this.#contacts.get(nodeId);
    if (known !== undefined) return known;
    const certificate = this.#membership.get(nodeId);
    if (certificate === undefined) return undefined;
    const boots = new PeerBoots(this.#overlayId, this.#own, nodeId, certificate.identityKey);
    const contact = { boots, inRoom: false, told: '', lastHello: '' };
    this.#contacts.set(nodeId, contact);
    return contact;
  }

  #byRoom(contact: Contact | undefined): contact is Contact {
    return this.#connected && contact?.inRoom === true && contact.boots.nonce !== undefined;
  }

  #contactChange(nodeId: NodeId): readonly SignalAction[] {
    const contact = this.#contactOf(nodeId);
    if (contact === undefined) return [];
    const reachable = this.#byRoom(contact) || this.#neighbours.size > 0;
    const boot = contact.boots.nonce;
    const told = `${reachable} ${boot}`;
    if (told === contact.told || (contact.told === '' && !reachable)) return [];
    contact.told = told;
    return [{ kind: 'contact', nodeId, reachable, boot }];
  }

  #contactChanges(): readonly SignalAction[] {
    return [...this.#membership.all()].flatMap((c) => this.#contactChange(c.nodeId));
  }

  // ---- messages --------------------------------------------------------------------------------------------------

  #send(to: NodeId, body: Body): readonly SignalAction[] {
    const contact = this.#contactOf(to);
    if (contact === undefined) return [{ kind: 'count', counter: 'signal_not_a_member' }];
    let bytes: Buffer;
    try {
      bytes = encodeBody(body);
    } catch {
      return [
        { kind: 'count', counter: 'signal_unsent' },
        report(`a message of type ${body.type} is too long to be sent`),
      ];
    }
    if (this.#byRoom(contact)) {
      const sealed = contact.boots.seal(bytes);
      if (sealed !== undefined) return [{ kind: 'send-message', nick: to, payload: sealed.toString('base64') }];
    }
    if (this.#neighbours.size > 0) return [{ kind: 'send-overlay', to, body }];
    return [{ kind: 'count', counter: 'signal_unsent' }];
  }

  #onMessage(nick: string, payload: string, now: Instant): readonly SignalAction[] {
    const contact = this.#contacts.get(nick);
    if (contact === undefined) return [{ kind: 'count', counter: 'signal_not_a_member' }];
    if (!this.#messages.take(nick, now)) return [{ kind: 'count', counter: 'signal_message_too_many' }];
    return this.#guard('signal_message_refused', () => {
      const bytes = fromBase64(payload);
      const header = readSealedHeader(bytes);
      if (header.sender !== nick || header.recipient !== this.#own.nodeId)
        throw new DecodeError('a message between others');
      if (!header.recipientNonce.equals(this.#own.nonce))
        return [{ kind: 'count', counter: 'signal_message_old_boot' }, ...this.#presenceSoon(now)];
      const body = contact.boots.open(bytes);
      contact.inRoom = true;
      return [...this.#contactChange(nick), ...this.#deliver(nick, decodeBody(body), now)];
    });
  }

  #onOverlay(from: NodeId, value: unknown, now: Instant): readonly SignalAction[] {
    if (this.#membership.get(from) === undefined) return [{ kind: 'count', counter: 'signal_not_a_member' }];
    if (!this.#messages.take(from, now)) return [{ kind: 'count', counter: 'signal_message_too_many' }];
    return this.#guard('signal_message_refused', () => this.#deliver(from, parseBody(value), now));
  }

  #deliver(from: NodeId, body: Body, now: Instant): readonly SignalAction[] {
    if (body.type !== 'members') return [{ kind: 'deliver', from, body }];
    const before = new Set([...this.#membership.all()].map((c) => c.bytes));
    const actions = body.certificates.flatMap((text) => this.#admit(fromBase64(text), now));
    const news = [...this.#membership.all()].filter((c) => !before.has(c.bytes));
    return [
      ...actions,
      { kind: 'heard', nodeId: from },
      ...this.#passOn(
        news,
        [...this.#neighbours].filter((peer) => peer !== from),
      ),
    ];
  }

  // ---- gossip ----------------------------------------------------------------------------------------------------

  #gossip(to: NodeId, certificates: readonly Certificate[]): readonly SignalAction[] {
    return gossipBodies(certificates).map((body) => ({ kind: 'send-overlay', to, body }));
  }

  /** What we did not know, our neighbours may not know either. */
  #passOn(news: readonly Certificate[], peers: readonly NodeId[]): readonly SignalAction[] {
    return news.length === 0 ? [] : peers.flatMap((peer) => this.#gossip(peer, news));
  }

  /** Neighbours that are not in the room with us, and so do not hear of who comes there. */
  #apart(): readonly NodeId[] {
    return [...this.#neighbours].filter((peer) => !this.#byRoom(this.#contacts.get(peer)));
  }

  #onNeighbours(peers: ReadonlySet<NodeId>, now: Instant): readonly SignalAction[] {
    const fresh = [...peers].filter((peer) => !this.#neighbours.has(peer));
    this.#neighbours = peers;
    this.#gossipAt = peers.size === 0 ? undefined : (this.#gossipAt ?? now + GOSSIP_INTERVAL_MS);
    const told = this.#apart()
      .filter((peer) => fresh.includes(peer))
      .flatMap((peer) => this.#gossip(peer, nearestTo(peer, this.#membership.all(), GOSSIP_MAX)));
    return [...this.#contactChanges(), ...told];
  }

  #gossipByChance(): readonly SignalAction[] {
    const peer = [...this.#neighbours][Math.floor(this.#random() * this.#neighbours.size)];
    if (peer === undefined) return [];
    return this.#gossip(peer, someOf(this.#membership.all(), peer, GOSSIP_MAX, this.#random));
  }

  // ---- time and errors -------------------------------------------------------------------------------------------

  #onDeadline(now: Instant): readonly SignalAction[] {
    const actions: SignalAction[] = [];
    if (this.#presenceDueAt !== undefined && now >= this.#presenceDueAt) actions.push(this.#presence(now));
    if (this.#expiryCheckAt !== undefined && now >= this.#expiryCheckAt) {
      this.#expiryCheckAt = now + EXPIRY_CHECK_MS;
      actions.push(...this.#expire(now));
    }
    if (this.#gossipAt !== undefined && now >= this.#gossipAt) {
      this.#gossipAt = now + GOSSIP_INTERVAL_MS;
      actions.push(...this.#gossipByChance());
    }
    return actions;
  }

  /** The one place where what a peer got wrong ends: dropped and counted. */
  #guard(counter: SignalCounter, work: () => readonly SignalAction[]): readonly SignalAction[] {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return [{ kind: 'count', counter }, ...(error instanceof AddressTaken ? this.#refused(error) : [])];
    }
  }
}

const report = (message: string): SignalAction => ({ kind: 'report', message });
