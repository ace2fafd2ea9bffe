/**
 * Signalling: who is there, and sealed messages to them. Three ways lead to a peer: the overlay's XMPP room, its account
 * on the server, and the overlay itself once this node has a tunnel. The room comes first where both ends are in it,
 * because it needs nothing of the overlay; whoever came by a greeter (`lobby.ts`) is written to by its account until it
 * speaks over the overlay; with the server away everything goes over the overlay.
 *
 *     room ──presence, message──►┌────────┐──send-presence, send-message──► room
 *     tincan ──over-overlay─────►│ Signal │──send-overlay─────────────────► tincan
 *     agent ──send, neighbours──►└────────┘──member, member-gone, contact, heard, deliver──► agent
 */
import type { IdentityFacts } from '../diagnosis/identity.ts';
import { earliest, type Instant, type Machine, type Random } from '../machine.ts';
import { Share } from '../share.ts';
import { type Body, type BodyOf, decodeBody, encodeBody, GOSSIP_MAX, parseBody } from '../wire/bodies.ts';
import { type Certificate, parseCertificate, verifyCertificate } from '../wire/certificate.ts';
import { type Hello, parseHello } from '../wire/hello.ts';
import { isNodeId, type NodeId, type OverlayId } from '../wire/ids.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import { isRevoked } from '../wire/revocations.ts';
import { readSealedHeader } from '../wire/sealed.ts';
import { OBJECT_MAX_BYTES } from '../wire/tlv.ts';
import { ClockWatch } from './clock-watch.ts';
import { beside, following, gossipBodies, nearestTo, someOf } from './gossip.ts';
import { GREETING, isSeat, Lobby, type LobbyAction, type LobbyEvent, SMALL_AGAIN } from './lobby.ts';
import { AddressTaken, type Loss, Membership } from './membership.ts';
import type { OwnBoot } from './own-boot.ts';
import { PeerBoots } from './peer-boots.ts';
import { Pull, type PullAction } from './pull.ts';
import type { SignalAction, SignalCounter, SignalEvent, SignalOptions } from './types.ts';
import { talkOf, Way } from './way.ts';

export type { RoomAction, RoomEvent, SignalAction, SignalCounter, SignalEvent, SignalOptions } from './types.ts';

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

/** Of one member that wants to be made known: once at a time. */
const INTRODUCTIONS = { perSecond: 0.2, burst: 4 };
/** Hellos under the nicknames for guests, all together: whose they are is known when they are read. */
const GUESTS = { perSecond: 40, burst: 200 };
/** Members on each side that a newcomer is made known to: of those that it will stand beside some may be dead. */
const TOLD_EACH_SIDE = 4;
/** In a large overlay news is gathered for so long before it is passed on. */
const NEWS_MS = 250;

interface Contact {
  readonly boots: PeerBoots;
  /** In the room, under this nickname. */
  nick: string | undefined;
  /** On the server. */
  account: string | undefined;
  readonly way: Way;
  /** It has sealed something to this boot of ours, so it knows our hello. */
  knowsUs: boolean;
  /** What was last told by a `contact` action. */
  told: string;
  /** Text of the last hello, so that a repeated presence costs no signature check. */
  lastHello: string;
}

/** An occupant's word about itself, beside its hello. */
type Shown = Pick<Extract<SignalEvent, { kind: 'presence' }>, 'nick' | 'members' | 'account'>;

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
  readonly #introductions = new Share(INTRODUCTIONS);
  readonly #guests = new Share(GUESTS);
  readonly #account: string | undefined;
  readonly #lobby: Lobby;
  readonly #pull = new Pull();
  /** Who has which nickname in the room. */
  readonly #occupants = new Map<string, NodeId>();
  /** To be passed on. */
  readonly #news = new Map<NodeId, Certificate>();
  #newsAt: Instant | undefined;
  #lobbyTold = 0;
  /** Our hello as it was last shown. */
  #shown = '';
  #neighbours: ReadonlySet<NodeId> = new Set();
  #ringComplete = false;
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
    this.#account = options.account;
    const { random, greeting = GREETING } = options;
    // Serials ascend, so of those up to this there are no more nodes.
    const early = options.own.certificate.serial <= Math.floor(SMALL_AGAIN * greeting.above);
    this.#lobby = new Lobby({ self: options.own.nodeId, random, greeting, early });
  }

  get members(): Iterable<Certificate> {
    return this.#membership.all();
  }

  member(nodeId: NodeId): Certificate | undefined {
    return this.#membership.get(nodeId);
  }

  deadline(): Instant | undefined {
    return earliest(
      this.#presenceDueAt,
      this.#expiryCheckAt,
      this.#gossipAt,
      this.#newsAt,
      this.#lobby.deadline(),
      this.#pull.deadline(),
    );
  }

  handle(event: SignalEvent, now: Instant): readonly SignalAction[] {
    this.#expiryCheckAt ??= now + EXPIRY_CHECK_MS;
    const actions = this.#step(event, now);
    const count = this.#membership.size + 1;
    if (count === this.#lobbyTold) return actions;
    this.#lobbyTold = count;
    return [...actions, ...this.#toLobby({ kind: 'members', count }, now)];
  }

  #step(event: SignalEvent, now: Instant): readonly SignalAction[] {
    switch (event.kind) {
      case 'connected':
        this.#connected = true;
        return [...this.#toLobby({ kind: 'connected' }, now), ...this.#contactChanges()];
      case 'disconnected':
        this.#connected = false;
        this.#presenceDueAt = undefined;
        this.#seesNobody();
        return [...this.#toLobby({ kind: 'disconnected' }, now), ...this.#contactChanges()];
      case 'joined':
        return this.#toLobby({ kind: 'joined', nick: event.nick }, now);
      case 'nick-taken':
        return this.#toLobby({ kind: 'taken' }, now);
      case 'renamed':
        return this.#renamed(event.nick, event.to, now);
      case 'direct':
        return this.#onDirect(event.account, event.payload, event.hello, now);
      case 'account-away':
        return this.#accountAway(event.account);
      case 'presence':
        return this.#onPresence(event, now);
      case 'message':
        return this.#onMessage(event.nick, event.payload, now);
      case 'undeliverable':
        return this.#leftRoom(event.nick, now);
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
        return this.#onNeighbours(new Set(event.peers.filter(isNodeId)), event.ringComplete ?? false, now);
      case 'clock':
        this.#membership.clock.setWall(event.wallSeconds, now);
        return [...this.#clockWatch.changed(now), ...this.#expire(now)];
      case 'send':
        return this.#send(event.to, event.body, now);
      case 'deadline':
        return this.#onDeadline(now);
    }
  }

  // ---- presence --------------------------------------------------------------------------------------------------

  #toLobby(event: LobbyEvent, now: Instant): readonly SignalAction[] {
    return this.#lobby.handle(event, now).flatMap((action) => this.#fromLobby(action, now));
  }

  #fromLobby(action: LobbyAction, now: Instant): readonly SignalAction[] {
    switch (action.kind) {
      case 'enter':
        return [this.#presence(action, now)];
      case 'leave':
        this.#seesNobody();
        return [{ kind: 'leave-room' }, ...this.#contactChanges()];
      case 'outside':
        return [{ kind: 'stay-outside' }];
      case 'introduce':
        return this.#account === undefined
          ? []
          : this.#send(action.to, { type: 'introduce', account: this.#account }, now);
      case 'heard-of':
        return [action];
    }
  }

  #seesNobody(): void {
    this.#occupants.clear();
    for (const contact of this.#contacts.values()) contact.nick = undefined;
  }

  /** In it the hello carries no candidates: the server need not know our local addresses. */
  #hello(now: Instant): string {
    this.#shown = this.#own.hello([], now).toString('base64');
    return this.#shown;
  }

  #presence({ nick, members }: NonNullable<Lobby['presence']>, now: Instant): SignalAction {
    this.#lastPresenceAt = now;
    // The time in it is for nodes without a clock: not older than this.
    this.#presenceDueAt = now + PRESENCE_REFRESH_MS;
    return { kind: 'send-presence', hello: this.#hello(now), nick, members };
  }

  /** To the room, or from outside it to the neighbours. */
  #show(now: Instant): readonly SignalAction[] {
    const { presence } = this.#lobby;
    if (presence !== undefined) return [this.#presence(presence, now)];
    this.#lastPresenceAt = now;
    this.#presenceDueAt = now + PRESENCE_REFRESH_MS;
    return this.#showTo([...this.#neighbours], now);
  }

  #showTo(peers: readonly NodeId[], now: Instant): readonly SignalAction[] {
    if (peers.length === 0) return [];
    const body: Body = { type: 'hello', hello: this.#hello(now), ...(this.#account && { account: this.#account }) };
    return peers.map((to) => ({ kind: 'send-overlay', to, body }));
  }

  #presenceSoon(now: Instant): readonly SignalAction[] {
    if (!this.#connected && this.#neighbours.size === 0) return [];
    const at = this.#lastPresenceAt + PRESENCE_MIN_INTERVAL_MS;
    if (now >= at) return this.#show(now);
    this.#presenceDueAt = Math.min(this.#presenceDueAt ?? at, at);
    return [];
  }

  #onPresence(event: Extract<SignalEvent, { kind: 'presence' }>, now: Instant): readonly SignalAction[] {
    const { nick, available, hello: text } = event;
    if (!available) return this.#leftRoom(nick, now);
    if (text === undefined) return [];
    const known = this.#occupants.get(nick) ?? nick;
    const contact = this.#contacts.get(known);
    if (contact !== undefined && contact.lastHello === text) {
      const entered = contact.nick === undefined;
      const seen = this.#occupies(known, contact, event, now);
      return [...seen, ...(entered ? this.#present(known) : this.#contactChange(known))];
    }
    const seat = isSeat(nick);
    if (!(seat ? this.#guests.take('', now) : this.#hellos.take(nick, now)))
      return [{ kind: 'count', counter: 'signal_hello_too_many' }];
    return this.#guard('signal_hello_refused', () => {
      if (text.length > HELLO_MAX_CHARACTERS) throw new DecodeError('a hello too long');
      const hello = parseHello(fromBase64(text));
      const { nodeId } = hello.certificate;
      if (nodeId !== nick && !seat) throw new DecodeError("a hello under another node's name");
      if (nodeId === this.#own.nodeId) return this.#onOwnPresence(hello, now);
      return this.#onRoomHello(hello, text, event, now);
    });
  }

  #occupies(nodeId: NodeId, contact: Contact, shown: Shown, now: Instant): readonly SignalAction[] {
    const { nick, members, account } = shown;
    contact.nick = nick;
    contact.account = account ?? contact.account;
    this.#occupants.set(nick, nodeId);
    return this.#toLobby({ kind: 'occupant', nick, nodeId, members }, now);
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

  #onRoomHello(hello: Hello, text: string, shown: Shown, now: Instant): readonly SignalAction[] {
    const { nodeId } = hello.certificate;
    const timed = this.#hearTime(hello, now);
    const admitted = [...timed, ...this.#admitOrThrow(hello.certificate.bytes, now)];
    const contact = this.#contactOf(nodeId);
    if (contact === undefined) return admitted;
    const newer = contact.boots.learn(hello);
    // An old hello, which others may have too, under another nickname says nothing about where it is.
    const elsewhere = contact.nick !== undefined && contact.nick !== shown.nick;
    const seen = newer || !elsewhere ? this.#occupies(nodeId, contact, shown, now) : [];
    if (newer) contact.lastHello = text;
    const told: readonly SignalAction[] = newer
      ? this.#present(nodeId)
      : [{ kind: 'count', counter: 'signal_hello_old' }, ...this.#contactChange(nodeId)];
    return [...admitted, ...told, ...seen, ...this.#passOn(newsOf(admitted), this.#apart(), now)];
  }

  /** A peer came into the room, or made itself known anew there. */
  #present(nodeId: NodeId): readonly SignalAction[] {
    const change = this.#contactChange(nodeId);
    return change.length > 0 ? change : [{ kind: 'heard', nodeId }];
  }

  #leftRoom(nick: string, now: Instant): readonly SignalAction[] {
    const nodeId = this.#occupants.get(nick) ?? nick;
    this.#occupants.delete(nick);
    const left = this.#toLobby({ kind: 'left', nick }, now);
    const contact = this.#contacts.get(nodeId);
    if (contact?.nick !== nick) return left;
    contact.nick = undefined;
    return [...left, ...this.#contactChange(nodeId)];
  }

  #renamed(nick: string, to: string, now: Instant): readonly SignalAction[] {
    const nodeId = this.#occupants.get(nick);
    const contact = this.#contacts.get(nodeId ?? '');
    if (nodeId === undefined || contact?.nick !== nick || (to !== nodeId && !isSeat(to)))
      return this.#leftRoom(nick, now);
    this.#occupants.delete(nick);
    const left = this.#toLobby({ kind: 'left', nick }, now);
    return [...left, ...this.#occupies(nodeId, contact, { nick: to }, now)];
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
      this.#shown = '';
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
    const contact: Contact = {
      boots,
      nick: undefined,
      account: undefined,
      way: new Way(),
      knowsUs: false,
      told: '',
      lastHello: '',
    };
    this.#contacts.set(nodeId, contact);
    return contact;
  }

  #byRoom(contact: Contact | undefined): boolean {
    const here = this.#connected && this.#lobby.presence !== undefined;
    return here && contact?.nick !== undefined && contact.boots.nonce !== undefined;
  }

  #byAccount(contact: Contact): boolean {
    return this.#connected && contact.account !== undefined && contact.boots.nonce !== undefined;
  }

  #contactChange(nodeId: NodeId): readonly SignalAction[] {
    const contact = this.#contactOf(nodeId);
    if (contact === undefined) return [];
    const reachable = this.#byRoom(contact) || this.#byAccount(contact) || this.#neighbours.size > 0;
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

  #send(to: NodeId, body: Body, now: Instant): readonly SignalAction[] {
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
    const account = this.#byAccount(contact);
    // A guest has left its place when the answer comes, and somebody else may have it.
    const room = this.#byRoom(contact) && !(account && isSeat(contact.nick ?? ''));
    const open = { room, account, overlay: this.#neighbours.size > 0 };
    const way = contact.way.choose(talkOf(body.type), open, this.#ringComplete);
    if (way === 'overlay') return [{ kind: 'send-overlay', to, body }];
    const sealed = way === undefined ? undefined : contact.boots.seal(bytes)?.toString('base64');
    if (sealed === undefined) return [{ kind: 'count', counter: 'signal_unsent' }];
    if (way === 'room') return [{ kind: 'send-message', nick: contact.nick ?? to, payload: sealed }];
    const hello = contact.knowsUs ? undefined : this.#shown || this.#hello(now);
    return [{ kind: 'send-direct', account: contact.account ?? '', payload: sealed, hello }];
  }

  #onMessage(nick: string, payload: string, now: Instant): readonly SignalAction[] {
    const nodeId = this.#occupants.get(nick) ?? nick;
    const contact = this.#contacts.get(nodeId);
    if (contact === undefined) return [{ kind: 'count', counter: 'signal_not_a_member' }];
    if (!this.#messages.take(nodeId, now)) return [{ kind: 'count', counter: 'signal_message_too_many' }];
    return this.#guard('signal_message_refused', () => {
      const bytes = fromBase64(payload);
      const header = readSealedHeader(bytes);
      if (header.sender !== nodeId || header.recipient !== this.#own.nodeId)
        throw new DecodeError('a message between others');
      if (!header.recipientNonce.equals(this.#own.nonce))
        return [{ kind: 'count', counter: 'signal_message_old_boot' }, ...this.#presenceSoon(now)];
      const body = contact.boots.open(bytes);
      contact.nick = nick;
      contact.way.heard('room');
      contact.knowsUs = true;
      return [...this.#contactChange(nodeId), ...this.#deliver(nodeId, decodeBody(body), now)];
    });
  }

  #onDirect(account: string, payload: string, hello: string | undefined, now: Instant): readonly SignalAction[] {
    if (!this.#messages.take(`@${account}`, now)) return [{ kind: 'count', counter: 'signal_message_too_many' }];
    return this.#guard('signal_message_refused', () => {
      const bytes = fromBase64(payload);
      const header = readSealedHeader(bytes);
      if (header.recipient !== this.#own.nodeId) throw new DecodeError('a message between others');
      const shown = hello === undefined ? [] : this.#takeHello(hello, header.sender, account, now);
      const contact = this.#contacts.get(header.sender);
      if (contact === undefined) return [...shown, { kind: 'count', counter: 'signal_not_a_member' }];
      if (!header.recipientNonce.equals(this.#own.nonce))
        return [
          ...shown,
          { kind: 'count', counter: 'signal_message_old_boot' },
          ...this.#sayWho(contact, account, now),
        ];
      const body = contact.boots.open(bytes);
      contact.account = account;
      contact.way.heard('account');
      contact.knowsUs = true;
      const { sender } = header;
      return [...shown, ...this.#contactChange(sender), ...this.#deliver(sender, decodeBody(body), now)];
    });
  }

  /** To who takes us for an older boot of ours. */
  #sayWho(contact: Contact, account: string, now: Instant): readonly SignalAction[] {
    if (now < this.#lastPresenceAt + PRESENCE_MIN_INTERVAL_MS) return [];
    this.#lastPresenceAt = now;
    const hello = this.#hello(now);
    const sealed = contact.boots.seal(encodeBody({ type: 'hello', hello }))?.toString('base64');
    // To that account and no longer: whose it is nothing has proved.
    return sealed === undefined ? [] : [{ kind: 'send-direct', account, payload: sealed, hello }];
  }

  /** A hello that did not come by the room; `from` is who must have made it. */
  #takeHello(text: string, from: NodeId | undefined, by: string, now: Instant): readonly SignalAction[] {
    if (this.#contacts.get(from ?? '')?.lastHello === text) return [];
    if (text.length > HELLO_MAX_CHARACTERS) throw new DecodeError('a hello too long');
    if (from !== undefined && !this.#hellos.take(`@${by}`, now)) throw new DecodeError('too many hellos');
    const hello = parseHello(fromBase64(text));
    const { nodeId } = hello.certificate;
    if (nodeId === this.#own.nodeId) return [];
    if (from !== undefined && nodeId !== from) throw new DecodeError("another node's hello");
    const admitted = [...this.#hearTime(hello, now), ...this.#admitOrThrow(hello.certificate.bytes, now)];
    const contact = this.#contactOf(nodeId);
    if (contact === undefined) return admitted;
    const newer = contact.boots.learn(hello);
    if (newer) contact.lastHello = text;
    const shown = newer ? this.#present(nodeId) : this.#contactChange(nodeId);
    return [...admitted, ...shown, ...this.#passOn(newsOf(admitted), [...this.#neighbours], now)];
  }

  #accountAway(account: string): readonly SignalAction[] {
    return [...this.#contacts].flatMap(([nodeId, contact]) => {
      if (contact.account !== account) return [];
      contact.account = undefined;
      return this.#contactChange(nodeId);
    });
  }

  #onOverlay(from: NodeId, value: unknown, now: Instant): readonly SignalAction[] {
    if (this.#membership.get(from) === undefined) return [{ kind: 'count', counter: 'signal_not_a_member' }];
    if (!this.#messages.take(from, now)) return [{ kind: 'count', counter: 'signal_message_too_many' }];
    return this.#guard('signal_message_refused', () => {
      const body = parseBody(value);
      this.#contactOf(from)?.way.heard('overlay');
      return this.#deliver(from, body, now);
    });
  }

  #deliver(from: NodeId, body: Body, now: Instant): readonly SignalAction[] {
    switch (body.type) {
      case 'members':
        return this.#onMembers(from, body, now);
      case 'members-after':
        return this.#send(from, following(body.after, this.#membership.all()), now);
      case 'introduce':
        return this.#introduce(from, body.account, now);
      case 'hello':
        return this.#onHello(from, body.hello, body.account, now);
      default:
        return [{ kind: 'deliver', from, body }];
    }
  }

  /** A newcomer wants to be made known to those it will stand beside, and to know them. */
  #introduce(from: NodeId, account: string, now: Instant): readonly SignalAction[] {
    const contact = this.#contacts.get(from);
    if (contact === undefined) return [];
    if (!this.#introductions.take(from, now)) return [{ kind: 'count', counter: 'signal_introduced_too_often' }];
    contact.account = account;
    if (!this.#neighbours.has(from)) contact.way.madeKnown();
    const [members] = gossipBodies(nearestTo(from, this.#membership.all(), GOSSIP_MAX));
    const hello: Body = { type: 'hello', hello: contact.lastHello, account };
    const others = beside(from, this.#membership.all(), TOLD_EACH_SIDE);
    return [
      ...this.#contactChange(from),
      ...this.#send(from, members ?? { type: 'members', certificates: [] }, now),
      ...others.flatMap(({ nodeId }) => this.#send(nodeId, hello, now)),
    ];
  }

  /** Somebody's hello: the sender's own, or that of a newcomer. */
  #onHello(from: NodeId, text: string, account: string | undefined, now: Instant): readonly SignalAction[] {
    const { nodeId } = parseHello(fromBase64(text)).certificate;
    const known = this.#contacts.get(nodeId);
    const before = known?.lastHello;
    const shown = this.#takeHello(text, undefined, from, now);
    const contact = this.#contacts.get(nodeId);
    if (contact === undefined || account === undefined) return shown;
    // Whoever has an old hello of a node cannot say where it is now.
    if (from !== nodeId && contact.lastHello === before && contact.account !== undefined) return shown;
    contact.account = account;
    if (from !== nodeId && !this.#neighbours.has(nodeId)) contact.way.madeKnown();
    return [...shown, ...this.#contactChange(nodeId)];
  }

  #onMembers(from: NodeId, body: BodyOf<'members'>, now: Instant): readonly SignalAction[] {
    const before = new Set([...this.#membership.all()].map((c) => c.bytes));
    const actions = body.certificates.flatMap((text) => this.#admit(fromBase64(text), now));
    const news = [...this.#membership.all()].filter((c) => !before.has(c.bytes));
    return [
      ...actions,
      { kind: 'heard', nodeId: from },
      ...this.#passOn(
        news,
        [...this.#neighbours].filter((peer) => peer !== from),
        now,
      ),
      ...this.#toLobby({ kind: 'welcomed', by: from }, now),
      ...(body.after === undefined ? [] : this.#pulled(from, body.after, body.certificates, now)),
    ];
  }

  #pulled(from: NodeId, after: NodeId, certificates: readonly string[], now: Instant): readonly SignalAction[] {
    const ids = certificates.map((text) => parseCertificate(fromBase64(text)).nodeId);
    return this.#fromPull(this.#pull.took(from, after, ids, now), now);
  }

  /** In a large overlay the room tells of few: the others are asked for. */
  #pullOn(now: Instant): readonly SignalAction[] {
    return this.#lobby.large ? this.#fromPull(this.#pull.ask([...this.#neighbours], now), now) : [];
  }

  #fromPull(actions: readonly PullAction[], now: Instant): readonly SignalAction[] {
    return actions.flatMap((action) =>
      action.kind === 'done'
        ? this.#toLobby({ kind: 'whole' }, now)
        : this.#send(action.peer, { type: 'members-after', after: action.after }, now),
    );
  }

  // ---- gossip ----------------------------------------------------------------------------------------------------

  #gossip(to: NodeId, certificates: readonly Certificate[]): readonly SignalAction[] {
    return gossipBodies(certificates).map((body) => ({ kind: 'send-overlay', to, body }));
  }

  /** What we did not know, our neighbours may not know either. */
  #passOn(news: readonly Certificate[], peers: readonly NodeId[], now: Instant): readonly SignalAction[] {
    if (news.length === 0) return [];
    if (!this.#lobby.large) return peers.flatMap((peer) => this.#gossip(peer, news));
    // Where many come at once a message for each would be too many.
    for (const certificate of news) this.#news.set(certificate.nodeId, certificate);
    this.#newsAt ??= now + NEWS_MS;
    return [];
  }

  #passOnNews(): readonly SignalAction[] {
    const news = [...this.#news.values()];
    this.#news.clear();
    this.#newsAt = undefined;
    return [...this.#neighbours].flatMap((peer) => this.#gossip(peer, news));
  }

  /** Neighbours that are not in the room with us, and so do not hear of who comes there. */
  #apart(): readonly NodeId[] {
    return [...this.#neighbours].filter((peer) => !this.#byRoom(this.#contacts.get(peer)));
  }

  #onNeighbours(peers: ReadonlySet<NodeId>, ringComplete: boolean, now: Instant): readonly SignalAction[] {
    const fresh = [...peers].filter((peer) => !this.#neighbours.has(peer));
    this.#neighbours = peers;
    this.#ringComplete = ringComplete;
    this.#gossipAt = peers.size === 0 ? undefined : (this.#gossipAt ?? now + GOSSIP_INTERVAL_MS);
    const told = this.#apart()
      .filter((peer) => fresh.includes(peer))
      .flatMap((peer) => this.#gossip(peer, nearestTo(peer, this.#membership.all(), GOSSIP_MAX)));
    for (const peer of fresh) this.#contacts.get(peer)?.way.adjacent();
    return [
      ...this.#contactChanges(),
      ...told,
      // Where to write to us when the overlay does not lead here any more; and after a restart, who we are now.
      ...(this.#lobby.large ? this.#showTo(fresh, now) : []),
      ...this.#toLobby({ kind: 'ring', peers: [...peers], complete: ringComplete }, now),
      ...this.#pullOn(now),
    ];
  }

  #gossipByChance(): readonly SignalAction[] {
    const peer = [...this.#neighbours][Math.floor(this.#random() * this.#neighbours.size)];
    if (peer === undefined) return [];
    return this.#gossip(peer, someOf(this.#membership.all(), peer, GOSSIP_MAX, this.#random));
  }

  // ---- time and errors -------------------------------------------------------------------------------------------

  #onDeadline(now: Instant): readonly SignalAction[] {
    const actions: SignalAction[] = [];
    if (this.#presenceDueAt !== undefined && now >= this.#presenceDueAt) actions.push(...this.#show(now));
    if (this.#expiryCheckAt !== undefined && now >= this.#expiryCheckAt) {
      this.#expiryCheckAt = now + EXPIRY_CHECK_MS;
      actions.push(...this.#expire(now));
    }
    if (this.#gossipAt !== undefined && now >= this.#gossipAt) {
      this.#gossipAt = now + GOSSIP_INTERVAL_MS;
      actions.push(...this.#gossipByChance());
    }
    if (this.#newsAt !== undefined && now >= this.#newsAt) actions.push(...this.#passOnNews());
    actions.push(...this.#toLobby({ kind: 'deadline' }, now), ...this.#pullOn(now));
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

const newsOf = (actions: readonly SignalAction[]): readonly Certificate[] =>
  actions.flatMap((action) => (action.kind === 'member' ? [action.certificate] : []));

const report = (message: string): SignalAction => ({ kind: 'report', message });
