/** Problems that come back with every attempt are told once each, until all is well again. */

/** A server may word each of its errors anew; beyond this many, one is told again. */
const REMEMBERED = 16;

export class Told {
  readonly #told = new Set<string>();

  /** Whether this problem is news. */
  problem(text: string): boolean {
    if (this.#told.has(text)) return false;
    if (this.#told.size >= REMEMBERED) this.#told.clear();
    this.#told.add(text);
    return true;
  }

  /** All is well; whether that is news. */
  well(): boolean {
    const news = this.#told.size > 0;
    this.#told.clear();
    return news;
  }
}

/** A connection that stood for less than this was not well: whatever ended it may end the next one at once. */
const WELL_MS = 10_000;

/** The same for a connection that comes and goes. */
export class ConnectionTold {
  readonly #told = new Told();
  #upSince: number | undefined;
  #upTold = false;

  /** It stands; whether that is news. */
  up(now: number): boolean {
    this.#upSince = now;
    const news = !this.#upTold;
    this.#upTold = true;
    return news;
  }

  /** It does not stand, for this reason; whether that is news. */
  down(problem: string, now: number): boolean {
    if (this.#upSince !== undefined && now - this.#upSince >= WELL_MS) this.#told.well();
    this.#upSince = undefined;
    const news = this.#told.problem(problem);
    if (news) this.#upTold = false;
    return news;
  }
}
