/**
 * When to connect, when to wait, and when a silent connection counts as dead. No state is final: a wrong password is
 * tried again too, because somebody may put it right on the server.
 *
 *     waiting ──deadline──► connecting ──online──► online
 *        ▲                      │ failed             │ closed, or silent
 *        └──────────────────────┴────────────────────┘
 */
import type { Instant, Machine, Random } from '../machine.ts';

export const BACKOFF_MIN_MS = 500;
export const BACKOFF_MAX_MS = 30_000;
/** From the first packet to the presence in the room. */
export const CONNECT_TIMEOUT_MS = 15_000;
/** A connection that held this long was a good one: the next attempt comes at once. */
export const STABLE_AFTER_MS = 10_000;
/** Silence after which a ping asks whether the server is there (XEP-0199, XEP-0410). */
export const PING_IDLE_MS = 30_000;
/** After we sent something that should show an effect, we ask sooner. */
export const PING_AFTER_SEND_MS = 2_000;
export const PING_TIMEOUT_MS = 10_000;

export type ReconnectEvent =
  | { readonly kind: 'start' }
  /** Connected, authenticated and in the room. */
  | { readonly kind: 'online' }
  /** The attempt failed. `lasting`: for a reason that does not go away by itself soon, such as a wrong password. */
  | { readonly kind: 'failed'; readonly lasting: boolean }
  | { readonly kind: 'closed' }
  /** Anything came from the server. */
  | { readonly kind: 'received' }
  | { readonly kind: 'sent' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'deadline' };

export type ReconnectAction =
  | { readonly kind: 'connect' }
  | { readonly kind: 'ping' }
  /** Drop the connection without a farewell: the server does not answer. */
  | { readonly kind: 'abort'; readonly reason: string };

/** How patient to be with a server: what is far away and shared by many is not asked as often as what runs on this machine. */
export interface Patience {
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly pingIdleMs: number;
  readonly pingTimeoutMs: number;
}

const FAR: Patience = {
  backoffMinMs: BACKOFF_MIN_MS,
  backoffMaxMs: BACKOFF_MAX_MS,
  pingIdleMs: PING_IDLE_MS,
  pingTimeoutMs: PING_TIMEOUT_MS,
};

type State = 'stopped' | 'waiting' | 'connecting' | 'online';

export class Reconnect implements Machine<ReconnectEvent, ReconnectAction> {
  readonly #random: Random;
  readonly #patience: Patience;
  #state: State = 'stopped';
  #failures = 0;
  #deadline: Instant | undefined;
  #onlineSince: Instant = 0;
  /** When the ping that waits for its answer was sent. */
  #pingedAt: Instant | undefined;

  constructor(random: Random, patience: Patience = FAR) {
    this.#random = random;
    this.#patience = patience;
  }

  get state(): State {
    return this.#state;
  }

  deadline(): Instant | undefined {
    return this.#deadline;
  }

  handle(event: ReconnectEvent, now: Instant): readonly ReconnectAction[] {
    switch (event.kind) {
      case 'start':
        return this.#state === 'stopped' ? this.#connect(now) : [];
      case 'stop':
        this.#state = 'stopped';
        this.#deadline = undefined;
        return [];
      case 'online':
        if (this.#state !== 'connecting') return [];
        this.#state = 'online';
        this.#onlineSince = now;
        this.#listen(now);
        return [];
      case 'failed':
        return this.#state === 'connecting' ? this.#wait(now, event.lasting) : [];
      case 'closed':
        return this.#onClosed(now);
      case 'received':
        if (this.#state === 'online') this.#listen(now);
        return [];
      case 'sent':
        if (this.#state === 'online' && this.#pingedAt === undefined)
          this.#deadline = Math.min(this.#deadline ?? Number.POSITIVE_INFINITY, now + PING_AFTER_SEND_MS);
        return [];
      case 'deadline':
        return this.#deadline !== undefined && now >= this.#deadline ? this.#onDeadline(now) : [];
    }
  }

  #connect(now: Instant): readonly ReconnectAction[] {
    this.#state = 'connecting';
    this.#deadline = now + CONNECT_TIMEOUT_MS;
    return [{ kind: 'connect' }];
  }

  #listen(now: Instant): void {
    this.#pingedAt = undefined;
    this.#deadline = now + this.#patience.pingIdleMs;
  }

  /** Jitter over the upper half, so that a restarted server is not met by all nodes in one moment. */
  #wait(now: Instant, lasting: boolean): readonly ReconnectAction[] {
    const { backoffMinMs, backoffMaxMs } = this.#patience;
    const ceiling = lasting ? backoffMaxMs : Math.min(backoffMaxMs, 2 * backoffMinMs * 2 ** this.#failures);
    // Capped, because 2^1075 is no number any more.
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#state = 'waiting';
    this.#deadline = now + ceiling * (0.5 + 0.5 * this.#random());
    return [];
  }

  #onClosed(now: Instant): readonly ReconnectAction[] {
    if (this.#state !== 'online' && this.#state !== 'connecting') return [];
    if (this.#state === 'online' && now - this.#onlineSince >= STABLE_AFTER_MS) this.#failures = 0;
    return this.#wait(now, false);
  }

  #onDeadline(now: Instant): readonly ReconnectAction[] {
    switch (this.#state) {
      case 'stopped':
        return [];
      case 'waiting':
        return this.#connect(now);
      case 'connecting':
        this.#wait(now, false);
        return [{ kind: 'abort', reason: `no connection within ${CONNECT_TIMEOUT_MS / 1000} s` }];
      case 'online':
        if (this.#pingedAt === undefined) {
          this.#pingedAt = now;
          this.#deadline = now + this.#patience.pingTimeoutMs;
          return [{ kind: 'ping' }];
        }
        this.#onClosed(now);
        return [{ kind: 'abort', reason: `the server did not answer for ${this.#patience.pingTimeoutMs / 1000} s` }];
    }
  }
}
