/**
 * Who is seen in the overlay's room. A room tells everybody of everybody, so what it costs grows with the square of those inside:
 *
 * - Up to `above` members all are in it, each under its node id.
 * - Above that the greeters are: who owns one of a few fixed places on the ring, that is, who follows on it with no living node between;
 *   in the room, with no other greeter between. The others leave, and come back when they are cut off or their ring says that they own
 *   such a place. What they have to say to each other goes over the overlay, or to the accounts that they have seen in the room.
 * - Who comes does not know how many there are. It enters under one of a few nicknames for guests: the server gives each to one account
 *   (XEP-0045 §7.2.8), so that few are told of each other however many come at once. In a small overlay it takes its own name then. In a
 *   large one it asks a greeter to make it known to those that stand beside it, and leaves at once, for others want the place: the greeter's
 *   welcome comes to its account, and they write there. Greeters that it has seen it can ask from outside as well.
 * - A change of name is told to everybody in three presences. Who can be one of few only (its authority had signed but few certificates
 *   before its own) enters under its own name, and does as a guest would if the overlay has become large.
 *
 * Nothing in here needs a key, so simulations of thousands of nodes run it too.
 */
import type { Instant, Machine, Random } from '../machine.ts';
import { labelOf, type NodeId, ringDistance } from '../wire/ids.ts';

export interface Greeting {
  /** Members up to which all are in the room. */
  readonly above: number;
  /** Greeters of an overlay that has more. */
  readonly greeters: number;
}

export const GREETING: Greeting = { above: 64, greeters: 8 };
/** Nicknames of guests. */
export const SEATS = 5;
const SEAT = /^guest-[0-9]$/;
/** An overlay of this share of `above` is small again. */
export const SMALL_AGAIN = 0.75;

/**
 * After a seat was taken already: a fifth of how long that goes on, or four times what the answer took if the server is busy; within these,
 * and up to half as long by chance.
 */
const SEAT_RETRY_MS = 400;
const SEAT_RETRY_MAX_MS = 5_000;
/** Without a seat for so long something is wrong with them. */
const SEATLESS_MS = 180_000;
/** A greeter that does not answer is dead, or the server slow. */
export const WELCOME_MS = 5_000;
/** Welcomed, and still without a way into the overlay: once more. Up to twice as long, by chance. */
export const CONNECT_MS = 10_000;
/** With a way in and neighbours on the ring missing. */
const INCOMPLETE_MS = 30_000;
/** Whoever is cut off waits for what mends itself, and up to as long again by chance: a failure may cut off a thousand at once. */
export const CUT_OFF_MS = 4_000;
/** Who need not stay in the room goes within this, by chance: each that goes is told to those who stay. */
export const LEAVE_MS = 1_500;
/** Somebody else greets in the place of this node: it does not come back sooner, even if its ring looks as if it should. */
const DISPLACED_MS = 30_000;
/** The overlay became small again, or this node a greeter: all who find so come within this. */
export const RETURN_SPREAD_MS = 5_000;

export type LobbyEvent =
  /** There is a session with the server. */
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected' }
  /** We are in the room under the nickname. */
  | { readonly kind: 'joined'; readonly nick: string }
  /** Somebody else has the nickname. */
  | { readonly kind: 'taken' }
  /** How many members this node knows of, itself among them. */
  | { readonly kind: 'members'; readonly count: number }
  /** Somebody else is in the room, by its own word in an overlay of so many members. */
  | { readonly kind: 'occupant'; readonly nick: string; readonly nodeId: NodeId; readonly members: number | undefined }
  | { readonly kind: 'left'; readonly nick: string }
  /** All peers with a live tunnel, and whether those beside us on the ring are among them. */
  | { readonly kind: 'ring'; readonly peers: readonly NodeId[]; readonly complete: boolean }
  /** A greeter told us who stands beside us. */
  | { readonly kind: 'welcomed'; readonly by: NodeId }
  /** Nobody is left that we do not know of. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'deadline' };

export type LobbyAction =
  /** Presence under this nickname, which joins the room, changes the name, or says again who we are. */
  | { readonly kind: 'enter'; readonly nick: string; readonly members: number | undefined }
  | { readonly kind: 'leave' }
  /** Connected, and not in the room for good reasons. */
  | { readonly kind: 'outside' }
  | { readonly kind: 'introduce'; readonly to: NodeId }
  /** Whom this node has to hear of at first it has heard of. `whole`: all are among them. */
  | { readonly kind: 'heard-of'; readonly whole: boolean };

type State =
  /** No session. */
  | 'off'
  /** To enter at `#at`. */
  | 'waiting'
  /** Presence was sent. */
  | 'entering'
  | 'resident'
  | 'outside';

export interface LobbyOptions {
  readonly self: NodeId;
  readonly random: Random;
  readonly greeting?: Greeting | undefined;
  /** There are few nodes (SMALL_AGAIN of `above`) that may say so of themselves: one of the first ones. */
  readonly early?: boolean | undefined;
}

export const isSeat = (nick: string): boolean => SEAT.test(nick);

export class Lobby implements Machine<LobbyEvent, LobbyAction> {
  readonly #self: NodeId;
  readonly #random: Random;
  readonly #greeting: Greeting;
  readonly #early: boolean;
  #state: State = 'off';
  /** When the state is to be thought over. */
  #at: Instant | undefined;
  #nick: string | undefined;
  /** To be entered under next. */
  #as: 'seat' | 'own' = 'seat';
  #members = 1;
  #large = false;
  /** Somebody in the room says that there are many; true until all are known. */
  #told = false;
  readonly #occupants = new Map<string, NodeId>();
  #peers: readonly NodeId[] = [];
  #complete = false;
  /** Since when there is no tunnel, or a neighbour on the ring is missing. */
  #lackSince: Instant | undefined;
  /** Was in the room of a small overlay under its own name before. */
  #known = false;
  /** Has found its way in by a greeter before. */
  #introduced = false;
  readonly #asked = new Set<NodeId>();
  /** Greeters that were seen, and may be asked when the others do not answer. */
  #unasked: NodeId[] = [];
  /** When the next one is asked; undefined: welcomed, or nobody is left. */
  #askNextAt: Instant | undefined;
  #seatlessSince: Instant | undefined;
  #askedAt: Instant = 0;
  #heardOf = false;
  /** All members are known, so their number is. */
  #knowsAll = false;
  /** The last presence said that the overlay is large. */
  #announced = false;
  #mayLeaveAt: Instant | undefined;
  #ownAgainAt: Instant = 0;

  constructor({ self, random, greeting = GREETING, early = false }: LobbyOptions) {
    this.#self = self;
    this.#random = random;
    this.#greeting = greeting;
    this.#early = early;
  }

  /** What our presence in the room is, or is to be; undefined: none. */
  get presence(): { readonly nick: string; readonly members: number | undefined } | undefined {
    if (this.#nick === undefined || (this.#state !== 'entering' && this.#state !== 'resident')) return undefined;
    return { nick: this.#nick, members: this.#large ? this.#members : undefined };
  }

  /** More members than a room takes. */
  get large(): boolean {
    return this.#large || this.#told;
  }

  /** Whether this node owns a place of the greeters, as far as its tunnels tell. */
  get greets(): boolean {
    return this.#peers.length > 0 && this.#owns(this.#peers);
  }

  /** Whether a greeter's place lies between this node and whoever of these comes before it. */
  #owns(others: readonly NodeId[]): boolean {
    const own = labelOf(this.#self);
    let gap: bigint | undefined;
    for (const peer of others) {
      const distance = ringDistance(labelOf(peer), own);
      if (distance > 0n && (gap === undefined || distance < gap)) gap = distance;
    }
    if (gap === undefined) return true;
    const { greeters } = this.#greeting;
    for (let i = 0n; i < BigInt(greeters); i++) if (ringDistance((i << 64n) / BigInt(greeters), own) < gap) return true;
    return false;
  }

  deadline(): Instant | undefined {
    return this.#at;
  }

  handle(event: LobbyEvent, now: Instant): readonly LobbyAction[] {
    switch (event.kind) {
      case 'connected':
        return this.#connected(now);
      case 'disconnected':
        this.#rest('off', undefined);
        this.#occupants.clear();
        this.#nick = undefined;
        this.#askNextAt = undefined;
        return [];
      case 'joined':
        return this.#joined(event.nick, now);
      case 'taken':
        return this.#taken(now);
      case 'members':
        return this.#grown(now, () => {
          this.#members = event.count;
        });
      case 'occupant':
        this.#occupants.set(event.nick, event.nodeId);
        if (this.#state === 'resident' && this.large) return this.#asResident(now);
        if (this.#told || this.#knowsAll || (event.members ?? 0) <= this.#greeting.above) return [];
        return this.#grown(now, () => {
          this.#told = true;
        });
      case 'left':
        this.#occupants.delete(event.nick);
        return this.#state === 'resident' && this.large ? this.#asResident(now) : [];
      case 'ring':
        return this.#ringIs(event.peers, event.complete, now);
      case 'welcomed':
        return this.#welcomed(event.by, now);
      case 'whole':
        // From here on the own count says how large the overlay is.
        return [
          ...this.#grown(now, () => {
            this.#told = false;
            this.#knowsAll = true;
          }),
          ...this.#tellHeardOf(true),
        ];
      case 'deadline':
        return this.#at !== undefined && now >= this.#at ? this.#due(now) : [];
    }
  }

  #rest(state: State, at: Instant | undefined): void {
    this.#state = state;
    this.#at = at;
  }

  #spread(ms: number): number {
    return ms * this.#random();
  }

  // Coming.

  #connected(now: Instant): readonly LobbyAction[] {
    this.#seatlessSince = undefined;
    if (!this.large) {
      // Who has not been here yet cannot know that it is small.
      this.#as = this.#known || this.#early ? 'own' : 'seat';
      return this.#enter(now);
    }
    if (!this.#connectedWell) return this.#enterLater('seat', now + this.#spread(RETURN_SPREAD_MS));
    if (this.greets) return this.#enterLater('own', now + this.#spread(RETURN_SPREAD_MS));
    return this.#goOutside(now);
  }

  get #connectedWell(): boolean {
    return this.#peers.length > 0 && this.#complete;
  }

  #enterLater(as: 'seat' | 'own', at: Instant): readonly LobbyAction[] {
    this.#as = as;
    this.#rest('waiting', at);
    return [];
  }

  #enter(now: Instant): readonly LobbyAction[] {
    this.#askNextAt = undefined;
    this.#seatlessSince ??= now;
    const seatless = now - this.#seatlessSince >= SEATLESS_MS;
    const nick = this.#as === 'own' || seatless ? this.#self : `guest-${Math.floor(this.#random() * SEATS)}`;
    this.#nick = nick;
    this.#askedAt = now;
    this.#rest('entering', now + SEATLESS_MS);
    return [this.#presence()];
  }

  #presence(): LobbyAction {
    this.#announced = this.#large;
    return { kind: 'enter', nick: this.#nick ?? this.#self, members: this.#large ? this.#members : undefined };
  }

  #taken(now: Instant): readonly LobbyAction[] {
    if (this.#state !== 'entering') return [];
    const [waited, answered] = [now - (this.#seatlessSince ?? now), now - this.#askedAt];
    const most = Math.min(Math.max(SEAT_RETRY_MS, waited / 5, 4 * answered), SEAT_RETRY_MAX_MS);
    return this.#enterLater(this.#as, now + most * (0.5 + this.#random() / 2));
  }

  #joined(nick: string, now: Instant): readonly LobbyAction[] {
    if (this.#state === 'off') return [];
    this.#nick = nick;
    this.#seatlessSince = undefined;
    this.#occupants.delete(nick);
    // Under its own name into an overlay that turns out to be large: it needs an introduction as any guest does.
    const unknown = this.large && !this.#heardOf && !this.#connectedWell;
    return nick === this.#self && !unknown ? this.#reside(now) : this.#asGuest(now);
  }

  #reside(now: Instant): readonly LobbyAction[] {
    this.#rest('resident', undefined);
    this.#mayLeaveAt = undefined;
    this.#askNextAt = undefined;
    this.#known = true;
    return [...this.#tellHeardOf(true), ...this.#thinkOver(now)];
  }

  /** In a seat: on as soon as possible. */
  #asGuest(now: Instant): readonly LobbyAction[] {
    // Until it is known how many there are, a room that fills up is taken for that of a large overlay.
    if (!this.#knowsAll && this.#greeters.length >= this.#greeting.above / 2) this.#told = true;
    if (!this.large) return this.#takeOwnName(now);
    const [next, ...others] = this.#greeters;
    // Of a large overlay that comes up anew somebody has to be the first.
    if (next === undefined) return this.#takeOwnName(now);
    // Who was introduced and is not connected yet is made known to all of them.
    const asked = this.#introduced ? [next, ...others] : [next];
    this.#unasked = this.#introduced ? [] : others;
    this.#asked.clear();
    for (const id of asked) this.#asked.add(id);
    this.#askNextAt = now + WELCOME_MS;
    return [...asked.map((to) => ({ kind: 'introduce', to }) as const), ...this.#leaveFor(now)];
  }

  /** From outside: nobody has welcomed this node yet. */
  #askNext(now: Instant): readonly LobbyAction[] {
    const next = this.#unasked.shift();
    if (next === undefined) {
      this.#askNextAt = undefined;
      return this.#asOutsider(now);
    }
    this.#asked.add(next);
    this.#askNextAt = now + WELCOME_MS;
    this.#at = this.#askNextAt;
    return [{ kind: 'introduce', to: next }];
  }

  #takeOwnName(now: Instant): readonly LobbyAction[] {
    const heardOf = this.#tellHeardOf(!this.large);
    if (this.#nick === this.#self) return [...heardOf, ...this.#reside(now)];
    this.#nick = this.#self;
    this.#rest('entering', now + SEATLESS_MS);
    return [...heardOf, this.#presence()];
  }

  /** Who is in the room under its own name, from this node on around the ring. */
  get #greeters(): readonly NodeId[] {
    const own = labelOf(this.#self);
    const residents = [...this.#occupants].flatMap(([nick, id]) => (nick === id && id !== this.#self ? [id] : []));
    const behind = (id: NodeId) => ringDistance(own, labelOf(id));
    return residents.sort((a, b) => (behind(a) < behind(b) ? -1 : 1));
  }

  #welcomed(by: NodeId, now: Instant): readonly LobbyAction[] {
    if (this.#state !== 'outside' || this.#askNextAt === undefined || !this.#asked.has(by)) return [];
    this.#askNextAt = undefined;
    if (!this.#connectedWell) this.#lackSince = now;
    return [...this.#tellHeardOf(false), ...this.#asOutsider(now)];
  }

  /** Whoever stands beside us writes to our account from here on. */
  #leaveFor(now: Instant): readonly LobbyAction[] {
    if (!this.#connectedWell) {
      this.#introduced = true;
      this.#lackSince = now;
    }
    return [{ kind: 'leave' }, ...this.#goOutside(now)];
  }

  #goOutside(now: Instant): readonly LobbyAction[] {
    this.#nick = undefined;
    this.#occupants.clear();
    this.#rest('outside', this.#lackSince);
    const heardOf = this.#connectedWell && this.#askNextAt === undefined ? this.#tellHeardOf(!this.#told) : [];
    return [{ kind: 'outside' }, ...heardOf, ...this.#asOutsider(now)];
  }

  #tellHeardOf(whole: boolean): readonly LobbyAction[] {
    if (this.#heardOf && !whole) return [];
    this.#heardOf = true;
    return [{ kind: 'heard-of', whole }];
  }

  // Staying and going.

  /** The overlay may have become large, or small. */
  #grown(now: Instant, learn: () => void): readonly LobbyAction[] {
    const { above } = this.#greeting;
    const before = this.large;
    learn();
    if (this.#members > above) this.#large = true;
    else if (this.#members <= above * SMALL_AGAIN) this.#large = false;
    return this.large === before && this.#announced === this.#large ? [] : this.#thinkOver(now);
  }

  #ringIs(peers: readonly NodeId[], complete: boolean, now: Instant): readonly LobbyAction[] {
    this.#peers = peers;
    this.#complete = complete;
    if (!this.#connectedWell) this.#lackSince ??= now;
    else {
      this.#lackSince = undefined;
      this.#introduced = false;
    }
    return this.#thinkOver(now);
  }

  #due(now: Instant): readonly LobbyAction[] {
    switch (this.#state) {
      case 'waiting':
        // What it was for may be over.
        if (this.large && !this.greets && (this.#connectedWell || this.#as === 'own')) return this.#goOutside(now);
        return this.#enter(now);
      case 'entering':
        return this.#enter(now);
      default:
        return this.#thinkOver(now);
    }
  }

  #thinkOver(now: Instant): readonly LobbyAction[] {
    if (this.#state === 'resident') return this.#asResident(now);
    return this.#state === 'outside' ? this.#asOutsider(now) : [];
  }

  #asResident(now: Instant): readonly LobbyAction[] {
    this.#at = undefined;
    if (this.large && !this.#owns(this.#greeters)) {
      this.#mayLeaveAt ??= now + LEAVE_MS * (0.25 + 0.75 * this.#random());
      this.#at = this.#mayLeaveAt;
      if (now < this.#mayLeaveAt) return [];
      this.#ownAgainAt = now + DISPLACED_MS;
      return this.#leaveFor(now);
    }
    this.#mayLeaveAt = undefined;
    // Who comes later sees by it how large the overlay is.
    return this.#announced === this.#large ? [] : [this.#presence()];
  }

  #asOutsider(now: Instant): readonly LobbyAction[] {
    this.#at = undefined;
    if (!this.large) return this.#enterLater('own', now + this.#spread(RETURN_SPREAD_MS));
    if (this.#connectedWell && this.greets) {
      if (now >= this.#ownAgainAt) return this.#enterLater('own', now + this.#spread(RETURN_SPREAD_MS));
      this.#at = this.#ownAgainAt;
    }
    if (this.#askNextAt !== undefined) {
      if (now >= this.#askNextAt) return this.#askNext(now);
      this.#at = this.#askNextAt;
      return [];
    }
    if (this.#lackSince === undefined) return [];
    const patience = this.#peers.length > 0 ? INCOMPLETE_MS : this.#introduced ? CONNECT_MS : CUT_OFF_MS;
    this.#at = this.#lackSince + patience;
    if (now < this.#at) return [];
    // All who are cut off at once shall not come at once.
    this.#lackSince = now;
    return this.#enterLater('seat', now + this.#spread(patience));
  }
}
