/**
 * The overlay's room on the XMPP server, and the server itself: presence to all who are in the room, messages to one of them or to an
 * account, nothing of it while the server is away.
 */

import type { Random } from '../../agent/src/machine.ts';
import type { RoomAction, SignalEvent } from '../../agent/src/signal/signal.ts';
import type { Clock } from './clock.ts';
import type { Host, Internet } from './internet.ts';

/** How long a client that lost the server waits before it tries again. */
const RETRY_MS = 2_000;
/** From a client to the server, and back: always as long, so that what is sent on one stream comes in order. */
const DELAY_MS = 10;

export interface Occupant {
  /** The name of its account, and its own in the room. */
  readonly nick: string;
  readonly host: Host;
  signal(event: SignalEvent): void;
}

type Presence = Extract<RoomAction, { kind: 'send-presence' }>;
type Direct = Extract<RoomAction, { kind: 'send-direct' }>;

interface Shown {
  readonly occupant: Occupant;
  presence: Presence;
}

export class Room {
  readonly #clock: Clock;
  readonly #internet: Internet;
  readonly #random: Random;
  readonly #server: Host;
  /** By nickname. */
  readonly #inside = new Map<string, Shown>();
  readonly #sessions = new Map<string, Occupant>();
  up = true;
  messages = 0;
  /** Messages to accounts. */
  directs = 0;

  constructor(clock: Clock, internet: Internet, server: Host, random: Random) {
    this.#clock = clock;
    this.#internet = internet;
    this.#server = server;
    this.#random = random;
  }

  /** Nicknames of those in the room. */
  get nicks(): readonly string[] {
    return [...this.#inside.keys()];
  }

  /** Calls the server until it answers; answers the function that hangs up. */
  connect(occupant: Occupant): () => void {
    let over = false;
    let connected = false;
    const look = () => {
      if (over) return;
      const reachable = this.up && this.#internet.connected(occupant.host, this.#server);
      if (reachable && !connected) {
        this.#sessions.set(occupant.nick, occupant);
        occupant.signal({ kind: 'connected' });
      }
      if (!reachable && connected) {
        this.#end(occupant);
        occupant.signal({ kind: 'disconnected' });
      }
      connected = reachable;
      this.#clock.after(connected ? 500 : RETRY_MS * (0.5 + this.#random()), look);
    };
    this.#clock.after(DELAY_MS * (1 + this.#random()), look);
    return () => {
      over = true;
      this.#end(occupant);
    };
  }

  presence(occupant: Occupant, presence: Presence): void {
    this.#clock.after(DELAY_MS, () => {
      if (!this.up || occupant.host.dead) return;
      const nick = presence.nick ?? occupant.nick;
      const there = this.#inside.get(nick);
      if (there !== undefined && there.occupant.nick !== occupant.nick) {
        this.#tell(occupant, { kind: 'nick-taken' });
        return;
      }
      const before = this.#nickOf(occupant);
      const entering = before === undefined;
      if (before !== undefined && before !== nick) {
        this.#inside.delete(before);
        this.#tellOthers(nick, { kind: 'renamed', nick: before, to: nick });
      }
      this.#inside.set(nick, { occupant, presence });
      if (entering)
        for (const [name, other] of this.#inside) if (name !== nick) this.#tell(occupant, shown(name, other));
      const event = shown(nick, { occupant, presence });
      this.#tellOthers(nick, event);
      this.#tell(occupant, event);
      if (before !== nick) this.#tell(occupant, { kind: 'joined', nick });
    });
  }

  message(from: Occupant, nick: string, payload: string): void {
    this.messages++;
    this.#clock.after(DELAY_MS, () => {
      const to = this.#inside.get(nick);
      const sender = this.#nickOf(from);
      if (!this.up || sender === undefined) return;
      if (to === undefined) this.#tell(from, { kind: 'undeliverable', nick });
      else this.#tell(to.occupant, { kind: 'message', nick: sender, payload });
    });
  }

  direct(from: Occupant, { account, payload, hello }: Direct): void {
    this.directs++;
    this.#clock.after(DELAY_MS, () => {
      const to = this.#sessions.get(account);
      if (!this.up) return;
      if (to === undefined) this.#tell(from, { kind: 'account-away', account });
      else this.#tell(to, { kind: 'direct', account: from.nick, payload, hello });
    });
  }

  leave(occupant: Occupant): void {
    this.#clock.after(DELAY_MS, () => this.#leave(occupant));
  }

  #end(occupant: Occupant): void {
    if (this.#sessions.get(occupant.nick) === occupant) this.#sessions.delete(occupant.nick);
    this.#leave(occupant);
  }

  #leave(occupant: Occupant): void {
    const nick = this.#nickOf(occupant);
    if (nick === undefined || this.#inside.get(nick)?.occupant !== occupant) return;
    this.#inside.delete(nick);
    this.#tellOthers(nick, { kind: 'presence', nick, available: false });
  }

  #nickOf({ nick }: Occupant): string | undefined {
    for (const [name, { occupant }] of this.#inside) if (occupant.nick === nick) return name;
    return undefined;
  }

  #tellOthers(nick: string, event: SignalEvent): void {
    for (const [name, { occupant }] of this.#inside) if (name !== nick) this.#tell(occupant, event);
  }

  #tell(occupant: Occupant, event: SignalEvent): void {
    this.#clock.after(DELAY_MS, () => {
      if (this.up && this.#internet.connected(occupant.host, this.#server)) occupant.signal(event);
    });
  }
}

const shown = (nick: string, { occupant, presence: { hello, members } }: Shown): SignalEvent => ({
  kind: 'presence',
  nick,
  available: true,
  hello,
  members,
  account: occupant.nick,
});
