/**
 * What every pure machine of the agent agrees on: events and the time go in, actions come out.
 *
 * A machine never asks for the time, never draws a random number by itself and never touches a socket, so a test can hold a
 * whole overlay of them and jump three minutes ahead in one line.
 */

/** Milliseconds of a monotonic clock; its zero has no meaning. */
export type Instant = number;

export interface Machine<E, A> {
  /** When `handle` wants to be called with a `deadline` event; undefined while nothing is pending. */
  deadline(): Instant | undefined;
  handle(event: E, now: Instant): readonly A[];
}

/** Uniform in [0, 1): injected, so that a simulated world can be replayed from its seed. */
export type Random = () => number;

/** The earliest of some deadlines. */
export function earliest(...deadlines: readonly (Instant | undefined)[]): Instant | undefined {
  let first: Instant | undefined;
  for (const at of deadlines) if (at !== undefined && (first === undefined || at < first)) first = at;
  return first;
}
