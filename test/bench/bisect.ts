/** Looks for the highest rate that still works, by trials: pure, so that the trials can be anything. */

export interface Search {
  /** Works; 0 while nothing did. */
  readonly low: number;
  /** Does not. */
  readonly high: number;
}

export const UNKNOWN: Search = { low: 0, high: Number.POSITIVE_INFINITY };

/** Below this nothing is worth being called a rate. */
const LEAST = 500;
/** The two ends are near enough. */
const NEAR = 1.06;

/** The rate to try next, or undefined once the answer is known to a few percent: `search.low`. */
export function nextRate(search: Search, first: number): number | undefined {
  const { low, high } = search;
  if (low === 0) {
    if (high === Number.POSITIVE_INFINITY) return first;
    return high / 2 < LEAST ? undefined : Math.round(high / 2);
  }
  if (high === Number.POSITIVE_INFINITY) return low * 2;
  return high / low <= NEAR ? undefined : Math.round(Math.sqrt(low * high));
}

/** What a trial at `rate` showed: it worked at `reached` (a sender may not get as far as it was asked), or did not. */
export function learned(
  search: Search,
  rate: number,
  trial: { readonly ok: boolean; readonly reached: number },
): Search {
  if (!trial.ok) return { low: search.low, high: Math.min(search.high, rate) };
  const low = Math.max(search.low, Math.min(rate, trial.reached));
  // The sender's own limit: asking for more gives no more.
  const high = trial.reached < rate * 0.95 ? Math.min(search.high, low) : search.high;
  return { low, high: Math.max(high, low) };
}
