/**
 * When a node asks the authority of its overlay what is new: a certificate whose life is mostly over, parameters, a revocation list. An
 * authority that nobody runs is nothing unusual: it is news only once the certificate is about to end.
 */
import type { Instant, Machine, Random } from '../machine.ts';
import { Told } from '../told.ts';
import type { Certificate } from '../wire/certificate.ts';

export type Life = Pick<Certificate, 'notBefore' | 'notAfter'>;

/** Two thirds of a life are over: there is as much time again for half of that to get another. */
export const isDue = ({ notBefore, notAfter }: Life, now: number): boolean =>
  now >= notBefore + ((notAfter - notBefore) * 2) / 3;

export const ASK_EVERY_MS = 3_600_000;
/** Of a short life it is asked more often, so often in all of it. */
const ASKS_A_LIFE = 24;
/** After the start, and after the server was away; not all nodes at once. */
const FIRST_WITHIN_MS = 30_000;
/** After the authority has said that there is news. */
const NEWS_WITHIN_MS = 3_000;
/** Whoever says so how often: no sooner than so long after the last time. */
const NEWS_AFTER_MS = 5_000;
/** While the server is away. */
const OFFLINE_MS = 60_000;

export type RenewalEvent =
  /** The node runs with this certificate. */
  | { readonly kind: 'start'; readonly life: Life }
  /** The authority says that there is something new. */
  | { readonly kind: 'news' }
  /** The XMPP server is there, or there again: what the authority said meanwhile nobody heard. */
  | { readonly kind: 'online' }
  /** It has been asked, and what it said is in force. */
  | { readonly kind: 'answered' }
  /** `online`: somebody could have answered. `now` in seconds since 1970. */
  | { readonly kind: 'failed'; readonly why: string; readonly online: boolean; readonly now: number }
  | { readonly kind: 'deadline' }
  | { readonly kind: 'stop' };

export type RenewalAction = { readonly kind: 'ask' } | { readonly kind: 'warn'; readonly message: string };

export class Renewal implements Machine<RenewalEvent, RenewalAction> {
  readonly #random: Random;
  readonly #told = new Told();
  #life: Life | undefined;
  #asking = false;
  /** It came while we were asking. */
  #news = false;
  #askedAt: Instant = Number.NEGATIVE_INFINITY;
  #deadline: Instant | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  deadline(): Instant | undefined {
    return this.#deadline;
  }

  handle(event: RenewalEvent, now: Instant): readonly RenewalAction[] {
    switch (event.kind) {
      case 'start':
        this.#life = event.life;
        this.#asking = false;
        this.#deadline = now + this.#within(FIRST_WITHIN_MS);
        return [];
      case 'stop':
        this.#life = undefined;
        this.#deadline = undefined;
        return [];
      case 'news':
        this.#news = this.#asking;
        // Said again, it is not put off.
        if (this.#deadline !== undefined) this.#deadline = Math.min(this.#deadline, this.#soon(now));
        return [];
      case 'online':
        this.#news ||= this.#asking;
        if (this.#deadline !== undefined)
          this.#deadline = Math.min(this.#deadline, this.#notBefore(now) + this.#within(FIRST_WITHIN_MS));
        return [];
      case 'deadline':
        if (this.#deadline === undefined || now < this.#deadline) return [];
        this.#deadline = undefined;
        this.#asking = true;
        this.#askedAt = now;
        return [{ kind: 'ask' }];
      case 'answered':
        this.#told.well();
        this.#wait(now, ASK_EVERY_MS);
        return [];
      case 'failed':
        this.#wait(now, event.online ? ASK_EVERY_MS : OFFLINE_MS);
        return this.#complain(event.why, event.now);
    }
  }

  #wait(now: Instant, ms: number): void {
    if (!this.#asking || this.#life === undefined) return;
    this.#asking = false;
    this.#deadline = this.#news ? this.#soon(now) : now + this.#around(ms);
    this.#news = false;
  }

  #soon(now: Instant): Instant {
    return this.#notBefore(now) + this.#random() * NEWS_WITHIN_MS;
  }

  #notBefore(now: Instant): Instant {
    return Math.max(now, this.#askedAt + NEWS_AFTER_MS);
  }

  get #everyMs(): number {
    const { notBefore = 0, notAfter = 0 } = this.#life ?? {};
    return ((notAfter - notBefore) * 1000) / ASKS_A_LIFE;
  }

  #within(ms: number): number {
    return this.#random() * Math.min(ms, this.#everyMs);
  }

  /** Between half of it and all of it: nodes that were started at once do not ask in step for ever. */
  #around(ms: number): number {
    return Math.min(ms, this.#everyMs) * (0.5 + this.#random() / 2);
  }

  #complain(why: string, now: number): readonly RenewalAction[] {
    const life = this.#life;
    if (life === undefined || !isDue(life, now) || !this.#told.problem(why)) return [];
    const ends = new Date(life.notAfter * 1000).toISOString().replace('.000Z', 'Z');
    return [{ kind: 'warn', message: `the certificate, which ends at ${ends}, is not renewed: ${why}` }];
  }
}
