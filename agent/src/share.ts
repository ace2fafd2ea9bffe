/**
 * A token bucket for each key. Mostly what one member may make this agent do: that a message is genuine says who sent it, not that it
 * is meant well, and one member must not take the time of all others.
 */
import type { Instant } from './machine.ts';

export interface ShareOptions {
  readonly perSecond: number;
  /** At once, after a silence. */
  readonly burst: number;
}

interface Spent {
  owed: number;
  at: Instant;
}

/** Keys that owe nothing any more are forgotten once there are more than this. */
const KEYS_MAX = 1_024;

export class Share {
  readonly #options: ShareOptions;
  readonly #spent = new Map<string, Spent>();

  constructor(options: ShareOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#spent.size;
  }

  /** False when it is too much; that costs nothing. */
  take(key: string, now: Instant): boolean {
    const { burst } = this.#options;
    const spent = this.#spent.get(key);
    const owed = (spent === undefined ? 0 : this.#owes(spent, now)) + 1;
    if (owed > burst) return false;
    if (spent === undefined && this.#spent.size >= KEYS_MAX) this.#sweep(now);
    this.#spent.set(key, { owed, at: now });
    return true;
  }

  #owes({ owed, at }: Spent, now: Instant): number {
    return Math.max(0, owed - (Math.max(0, now - at) / 1000) * this.#options.perSecond);
  }

  #sweep(now: Instant): void {
    for (const [key, spent] of this.#spent) if (this.#owes(spent, now) === 0) this.#spent.delete(key);
  }
}
