/** A line that would be said again and again is said at most once a minute, with how often it was meant meanwhile. */
import type { Instant } from './machine.ts';

const QUIET_MS = 60_000;
/** Different lines that are remembered; with more of them all are forgotten. */
const LINES_MAX = 64;

export class Seldom {
  readonly #said = new Map<string, { readonly at: Instant; again: number }>();

  /** The line to say now, if any. */
  line(line: string, now: Instant): string | undefined {
    const known = this.#said.get(line);
    if (known !== undefined && now < known.at + QUIET_MS) {
      known.again++;
      return undefined;
    }
    if (this.#said.size >= LINES_MAX) this.#said.clear();
    this.#said.set(line, { at: now, again: 0 });
    return known === undefined || known.again === 0
      ? line
      : `${line}; ${known.again} times more since this was last said`;
  }
}
