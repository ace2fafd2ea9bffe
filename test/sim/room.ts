/** The overlay's room on the XMPP server: presence to all, messages to one, nothing of either while the server is away. */

import type { Random } from '../../agent/src/machine.ts';
import type { SignalEvent } from '../../agent/src/signal/signal.ts';
import type { Clock } from './clock.ts';
import type { Host, Internet } from './internet.ts';

/** How long a client that lost the server waits before it tries again. */
const RETRY_MS = 2_000;
/** From a client to the server, and back: always as long, so that what is sent on one stream comes in order. */
const DELAY_MS = 10;

export interface Occupant {
  readonly nick: string;
  readonly host: Host;
  signal(event: SignalEvent): void;
  joined(): void;
}

export class Room {
  readonly #clock: Clock;
  readonly #internet: Internet;
  readonly #random: Random;
  readonly #server: Host;
  readonly #inside = new Map<string, { readonly occupant: Occupant; hello: string }>();
  up = true;
  messages = 0;

  constructor(clock: Clock, internet: Internet, server: Host, random: Random) {
    this.#clock = clock;
    this.#internet = internet;
    this.#server = server;
    this.#random = random;
  }

  /** Calls the server until it answers; answers the function that hangs up. */
  connect(occupant: Occupant): () => void {
    let over = false;
    let connected = false;
    const look = () => {
      if (over) return;
      const reachable = this.up && this.#internet.connected(occupant.host, this.#server);
      if (reachable && !connected) occupant.signal({ kind: 'connected' });
      if (!reachable && connected) {
        this.leave(occupant);
        occupant.signal({ kind: 'disconnected' });
      }
      connected = reachable;
      this.#clock.after(connected ? 500 : RETRY_MS * (0.5 + this.#random()), look);
    };
    this.#clock.after(DELAY_MS * (1 + this.#random()), look);
    return () => {
      over = true;
      this.leave(occupant);
    };
  }

  presence(occupant: Occupant, hello: string): void {
    this.#clock.after(DELAY_MS, () => {
      if (!this.up || occupant.host.dead) return;
      const entering = !this.#inside.has(occupant.nick);
      this.#inside.set(occupant.nick, { occupant, hello });
      for (const [nick, other] of this.#inside) {
        this.#tell(other.occupant, { kind: 'presence', nick: occupant.nick, available: true, hello });
        if (entering && nick !== occupant.nick) {
          this.#tell(occupant, { kind: 'presence', nick, available: true, hello: other.hello });
        }
      }
      if (entering) this.#clock.after(30, () => occupant.joined());
    });
  }

  message(from: Occupant, nick: string, payload: string): void {
    this.messages++;
    this.#clock.after(DELAY_MS, () => {
      const to = this.#inside.get(nick);
      if (!this.up || !this.#inside.has(from.nick)) return;
      if (to === undefined) this.#tell(from, { kind: 'undeliverable', nick });
      else this.#tell(to.occupant, { kind: 'message', nick: from.nick, payload });
    });
  }

  leave(occupant: Occupant): void {
    if (this.#inside.get(occupant.nick)?.occupant !== occupant) return;
    this.#inside.delete(occupant.nick);
    for (const other of this.#inside.values()) {
      this.#tell(other.occupant, { kind: 'presence', nick: occupant.nick, available: false });
    }
  }

  #tell(occupant: Occupant, event: SignalEvent): void {
    this.#clock.after(DELAY_MS, () => {
      if (this.up && this.#internet.connected(occupant.host, this.#server)) occupant.signal(event);
    });
  }
}
