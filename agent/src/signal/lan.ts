/**
 * Finding nodes of the same local network without a server (docs/wire.md §8): a hello by multicast on start and on change, then at
 * doubling intervals up to every 30 s, and in answer to the first hellos of a boot. Multicast is not repeated by any layer below, and a
 * network whose link has just come up loses the first ones, so neither an announcement nor an answer rests on one datagram (as
 * RFC 6762 §8.3 has it for mDNS).
 */
import { isDeepStrictEqual } from 'node:util';
import { earliest, type Instant, type Machine, type Random } from '../machine.ts';
import type { Endpoint } from '../wire/address.ts';
import { LAN_PREFIX } from '../wire/hello.ts';
import type { OwnBoot } from './own-boot.ts';

export const LAN_INTERVAL_MS = 30_000;
/** The first repetition after a start or a change. */
export const LAN_REPEAT_MS = 1_000;
/** An answer comes within this, at a random moment, so that a crowd does not answer at once. */
export const LAN_ANSWER_MS = 1_000;
/** Candidates come one by one while a node starts; they go out together. */
export const LAN_COLLECT_MS = 200;
/** Hellos of one boot that are answered. */
export const LAN_ANSWERS = 3;
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
  /** How many hellos of a boot were answered. */
  readonly #answered = new Map<string, number>();
  #candidates: readonly Endpoint[] | undefined;
  #regularAt: Instant | undefined;
  #soonAt: Instant | undefined;
  #intervalMs = LAN_REPEAT_MS;

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
        // The first ones are news even when there are none: the socket is there.
        if (this.#candidates !== undefined && isDeepStrictEqual(this.#candidates, event.candidates)) return [];
        this.#candidates = event.candidates;
        this.#intervalMs = LAN_REPEAT_MS;
        this.#soon(now + LAN_COLLECT_MS);
        return [];
      case 'heard': {
        const answered = this.#answered.get(event.boot) ?? 0;
        if (answered >= LAN_ANSWERS) return [];
        if (this.#answered.size >= SEEN_MAX) this.#answered.clear();
        this.#answered.set(event.boot, answered + 1);
        this.#soon(now + LAN_ANSWER_MS * this.#random());
        return [];
      }
      case 'deadline':
        return (this.deadline() ?? Number.POSITIVE_INFINITY) <= now ? this.#announce(now) : [];
    }
  }

  #soon(at: Instant): void {
    this.#soonAt = Math.min(this.#soonAt ?? Number.POSITIVE_INFINITY, at);
  }

  #announce(now: Instant): readonly LanAction[] {
    this.#soonAt = undefined;
    this.#regularAt = now + this.#intervalMs;
    this.#intervalMs = Math.min(LAN_INTERVAL_MS, 2 * this.#intervalMs);
    return [{ kind: 'multicast', datagram: Buffer.concat([LAN_PREFIX, this.#own.hello(this.#candidates ?? [], now)]) }];
  }
}
