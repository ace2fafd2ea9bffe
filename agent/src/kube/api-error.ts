/** What came of a request to the API server when it did not work. */

/** From meta/v1 Status, or from HTTP alone. */
export class KubeError extends Error {
  /** HTTP status; undefined: no answer came. */
  readonly status: number | undefined;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number;

  /** `message` is one line: what was asked, and what was answered. */
  constructor(message: string, status?: number, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The resource version is too old to go on from (410 Gone): what there is has to be listed anew. */
export const GONE = 410;

const WORDS_MAX = 300;

/** The server's words for people, in one line of bounded length. */
export function serverWords(text: string): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
  return line.length <= WORDS_MAX ? line : `${line.slice(0, WORDS_MAX)}...`;
}

/** `Retry-After` in seconds (RFC 9110 §10.2.3); a date is not used by Kubernetes. At most five minutes. */
export function retryAfterMs(header: string | undefined): number {
  return header !== undefined && /^[0-9]{1,6}$/.test(header) ? Math.min(Number(header), 300) * 1_000 : 0;
}
