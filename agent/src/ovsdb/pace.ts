/** When to mend: soon, but ever later while somebody undoes it, and after errors. */
import type { Instant } from '../machine.ts';

/** Somebody's changes come in several transactions often: they are mended together. */
export const MEND_AFTER_MS = 50;
const MEND_MAX_MS = 10_000;
/** Who leaves us alone for so long has stopped undoing what we do. */
const CALM_MS = 15_000;
const ERROR_MIN_MS = 500;
const ERROR_MAX_MS = 30_000;

export class Pace {
  #undone = 0;
  #lastAt: Instant | undefined;
  #errors = 0;

  /** Somebody has changed something just now. */
  afterChange(now: Instant): Instant {
    const calm = this.#lastAt === undefined || now - this.#lastAt >= CALM_MS;
    this.#undone = calm ? 0 : Math.min(this.#undone + 1, 16);
    this.#lastAt = now;
    return now + Math.min(MEND_AFTER_MS * 2 ** this.#undone, MEND_MAX_MS);
  }

  afterError(now: Instant): Instant {
    const wait = Math.min(ERROR_MIN_MS * 2 ** this.#errors, ERROR_MAX_MS);
    this.#errors = Math.min(this.#errors + 1, 16);
    return now + wait;
  }

  well(): void {
    this.#errors = 0;
  }
}
