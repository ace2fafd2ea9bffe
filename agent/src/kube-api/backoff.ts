/** Pauses between attempts that fail in a row: doubled each time, and drawn at random, so that a cluster's nodes do not ask in step. */
import type { Random } from '../machine.ts';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly random: Random;
}

/**
 * How long to wait in milliseconds after an attempt that failed, where `failures` before it have failed in a row: between half of the
 * step and all of it, and no less than the server asked for.
 */
export function pauseAfter(failures: number, options: BackoffOptions, atLeastMs = 0): number {
  const step = Math.min(options.maxMs, options.firstMs * 2 ** failures);
  return Math.max(atLeastMs, step * (0.5 + options.random() / 2));
}

/** The same for who counts nothing else by the failures. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** It failed: how long to wait now, and no less than `atLeastMs`. */
  pauseMs(atLeastMs = 0): number {
    return pauseAfter(this.#failures++, this.#options, atLeastMs);
  }

  /** It worked. */
  reset(): void {
    this.#failures = 0;
  }
}
