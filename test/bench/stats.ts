/** Numbers of rounds: what they say together, and one series against another of the same rounds. */
import { median } from '../demo/ping.ts';

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Undefined of nothing. */
export function summary(values: readonly number[]): Summary | undefined {
  const known = values.filter(Number.isFinite);
  if (known.length === 0) return undefined;
  return { median: middle(known), min: Math.min(...known), max: Math.max(...known), count: known.length };
}

/** The median; of an even number the mean of the two in the middle. */
function middle(values: readonly number[]): number {
  if (values.length % 2 === 1) return median(values);
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[values.length / 2 - 1] ?? Number.NaN) + (sorted[values.length / 2] ?? Number.NaN)) / 2;
}

/** A value by the number of its round. */
export type Series = ReadonlyMap<number, number>;

/** Combines two series round by round; a round that only one of them has says nothing. */
export function together(a: Series, b: Series, how: (a: number, b: number) => number): Series {
  const both = new Map<number, number>();
  for (const [round, value] of a) {
    const other = b.get(round);
    if (other !== undefined) both.set(round, how(value, other));
  }
  return both;
}

/** What a series is of another, round by round: a machine that was slow for a while was so for both. */
export const ratio = (a: Series, b: Series): Series => together(a, b, (x, y) => x / y);
export const difference = (a: Series, b: Series): Series => together(a, b, (x, y) => x - y);

/** The best of several series, round by round. */
export function best(all: readonly Series[]): Series {
  const most = new Map<number, number>();
  for (const one of all) {
    for (const [round, value] of one) most.set(round, Math.max(value, most.get(round) ?? Number.NEGATIVE_INFINITY));
  }
  return most;
}
