/**
 * Finding nodes of the same local network without a server (docs/wire.md §8): a hello by multicast on start, on change
 * and every 30 s, and once in answer to a hello not seen before.
 */
import { earliest, type Instant, type Machine, type Random } from '../machine.ts';
import type { Endpoint } from '../wire/address.ts';
import { LAN_PREFIX } from '../wire/hello.ts';
import type { OwnBoot } from './own-boot.ts';

export const LAN_INTERVAL_MS = 30_000;
/** An answer comes within this, at a random moment, so that a crowd does not answer at once. */
export const LAN_ANSWER_MS = 1_000;
/** Candidates come one by one while a node starts; they go out together. */
export const LAN_COLLECT_MS = 200;
/** Boots remembered as seen. Strangers can fill this, but only with hellos of their own. */
const SEEN_MAX = 256;

export type LanEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'candidates'; readonly candidates: readonly Endpoint[] }
  /** A hello of a member came: `boot` is its boot nonce in hex. */
  | { readonly kind: 'heard'; readonly boot: string }
  | { readonly kind: 'deadline' };

/** One datagram, to both groups on every interface with a private address. */
export interface LanAction {
  readonly kind: 'multicast';
  readonly datagram: Buffer;
}

export class Lan implements Machine<LanEvent, LanAction> {
  readonly #own: OwnBoot;
  readonly #random: Random;
  readonly #seen = new Set<string>();
  #candidates: readonly Endpoint[] = [];
  #regularAt: Instant | undefined;
  #soonAt: Instant | undefined;

  constructor(own: OwnBoot, random: Random) {
    this.#own = own;
    this.#random = random;
  }

  deadline(): Instant | undefined {
    return earliest(this.#regularAt, this.#soonAt);
  }

  handle(event: LanEvent, now: Instant): readonly LanAction[] {
    switch (event.kind) {
      case 'start':
        return this.#announce(now);
      case 'candidates':
        this.#candidates = event.candidates;
        this.#soon(now + LAN_COLLECT_MS);
        return [];
      case 'heard':
        if (this.#seen.has(event.boot)) return [];
        if (this.#seen.size >= SEEN_MAX) this.#seen.clear();
        this.#seen.add(event.boot);
        this.#soon(now + LAN_ANSWER_MS * this.#random());
        return [];
      case 'deadline':
        return (this.deadline() ?? Number.POSITIVE_INFINITY) <= now ? this.#announce(now) : [];
    }
  }

  #soon(at: Instant): void {
    this.#soonAt = Math.min(this.#soonAt ?? Number.POSITIVE_INFINITY, at);
  }

  #announce(now: Instant): readonly LanAction[] {
    this.#soonAt = undefined;
    this.#regularAt = now + LAN_INTERVAL_MS;
    return [{ kind: 'multicast', datagram: Buffer.concat([LAN_PREFIX, this.#own.hello(this.#candidates, now)]) }];
  }
}
