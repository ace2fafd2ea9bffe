/** The timer of a machine: rings at its deadline. Moving the deadline back costs nothing; it is looked at again when the timer fires. */
import type { Instant } from '../machine.ts';

/** Node's timers take no more. */
const DELAY_MAX_MS = 2 ** 31 - 1;

export class Alarm {
  readonly #ring: () => void;
  readonly #clock: () => Instant;
  #timer: NodeJS.Timeout | undefined;
  #firesAt = Number.POSITIVE_INFINITY;
  #at: Instant | undefined;

  /** `clock` as the machine's; `ring` is called at its deadline, and has to set the next one. */
  constructor(clock: () => Instant, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  set(at: Instant | undefined): void {
    this.#at = at;
    if (at === undefined || at >= this.#firesAt) return;
    clearTimeout(this.#timer);
    this.#firesAt = at;
    this.#timer = setTimeout(() => this.#fired(), Math.min(DELAY_MAX_MS, Math.max(0, Math.ceil(at - this.#clock()))));
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#firesAt = Number.POSITIVE_INFINITY;
    this.#at = undefined;
  }

  #fired(): void {
    this.#firesAt = Number.POSITIVE_INFINITY;
    const at = this.#at;
    if (at === undefined) return;
    if (this.#clock() < at) this.set(at);
    else this.#ring();
  }
}
