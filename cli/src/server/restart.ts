/** When a server that ended is started again: at once, then ever later, and at once again when it had lived for a while. */

const FIRST_MS = 500;
const MAX_MS = 30_000;
/** A server that lived this long did not die of its configuration. */
const LIVED_MS = 60_000;

export class RestartDelay {
  #nextMs = FIRST_MS;

  /** How long to wait after a life of `livedMs`. */
  after(livedMs: number): number {
    if (livedMs >= LIVED_MS) this.#nextMs = FIRST_MS;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(this.#nextMs * 2, MAX_MS);
    return delayMs;
  }
}
