/** Pauses between attempts that fail: doubled each time, and drawn at random, so that a cluster's nodes do not ask in step. */
import type { Random } from '../machine.ts';

export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: Random;
  #nextMs: number;

  constructor(options: { readonly firstMs: number; readonly maxMs: number; readonly random: Random }) {
    this.#firstMs = options.firstMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random;
    this.#nextMs = options.firstMs;
  }

  /** How long to wait now: between half of the step and all of it, and no less than the server asked for. */
  pauseMs(atLeastMs = 0): number {
    const step = this.#nextMs;
    this.#nextMs = Math.min(step * 2, this.#maxMs);
    return Math.max(atLeastMs, step * (0.5 + this.#random() / 2));
  }

  /** It worked. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
