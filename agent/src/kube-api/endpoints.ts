/**
 * Where the API server is asked: one of several addresses, the one that answered last first. Those that ever answered are remembered over
 * a restart, because the list a pod is given may be wrong on the day it is read.
 */

/** Remembered at most. */
const GOOD_MAX = 8;

export class Endpoints {
  readonly #urls: readonly string[];
  #good: readonly string[];
  #at = 0;

  /** URLs as `apiServerUrl` gives them; `good` are those remembered, the last one that answered first. */
  constructor(configured: readonly string[], good: readonly string[]) {
    this.#urls = [...new Set([...good.filter((url) => configured.includes(url)), ...configured, ...good])];
    this.#good = good.slice(0, GOOD_MAX);
  }

  get current(): string {
    return this.#urls[this.#at] ?? '';
  }

  get count(): number {
    return this.#urls.length;
  }

  /** To be remembered: the last one that answered first. */
  get good(): readonly string[] {
    return this.#good;
  }

  /** Nothing came from there: the next one is asked from now on, unless somebody has moved on already. */
  failed(url: string): void {
    if (url === this.current) this.#at = (this.#at + 1) % this.#urls.length;
  }

  /** It answered; whether what is to be remembered has changed. */
  answered(url: string): boolean {
    if (this.#good[0] === url) return false;
    this.#good = [url, ...this.#good.filter((one) => one !== url)].slice(0, GOOD_MAX);
    return true;
  }
}

/** `https://HOST[:PORT]` in one spelling; undefined for anything else: a token is sent there, and never in the clear. */
export function apiServerUrl(text: string): string | undefined {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    return undefined;
  }
  const bare =
    url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  return url.protocol === 'https:' && bare ? url.origin : undefined;
}
