/** Which late requests were lost by the network, and which waited for a process that the machine gave no turn. */

/** Beginning and end, in microseconds of the monotonic clock, which is one for all nodes of one machine. */
export type Span = readonly [number, number];

/** As test/load says it of a request without an answer in time. */
export interface Late {
  readonly beganUs: number;
  readonly connectedUs: number | null;
  readonly takenUs: number | null;
  readonly answeredUs: number | null;
  readonly retransmitted: number;
  readonly error: string | null;
}
export interface Outcome {
  readonly sent: number;
  readonly answered: number;
  readonly slowestUs: number;
  readonly retransmitted: number;
  readonly late: readonly Late[];
}
/** What one of them found. */
export interface Found {
  readonly beganUs: number;
  readonly endedUs: number;
  /** By address. */
  readonly targets: Readonly<Record<string, Outcome>>;
  /** When it stood still itself. */
  readonly pauses: readonly Span[];
}

export const LATE_US = 1_000_000;

/** How much of `span` some of `pauses` cover; they may overlap. */
export function covered(span: Span, pauses: readonly Span[]): number {
  let sum = 0;
  let until = span[0];
  for (const [from, to] of pauses.toSorted((a, b) => a[0] - b[0])) {
    const end = Math.min(to, span[1]);
    const begin = Math.max(from, until);
    if (end <= begin) continue;
    sum += end - begin;
    until = end;
  }
  return sum;
}

/**
 * Lost unless the wait was the probes' own: an answer came, nothing had to be sent again, and without the time in which one of the
 * two ends stood still it would have been in time.
 */
export function isLost(late: Late, pauses: readonly Span[]): boolean {
  if (late.answeredUs === null || late.error !== null || late.retransmitted > 0) return true;
  const span: Span = [late.beganUs, late.answeredUs];
  return span[1] - span[0] - covered(span, pauses) > LATE_US;
}

/** One pair of nodes. */
export interface Pair {
  readonly pair: string;
  readonly nodes: readonly [string, string];
  readonly sent: number;
  readonly lost: readonly Late[];
  /** Late because an end stood still. */
  readonly paused: readonly Late[];
  readonly retransmitted: number;
  readonly slowestMs: number;
}

/** Who asked, what it found, and whose addresses it asked. */
export interface Asker {
  readonly node: string;
  readonly address: string;
  readonly found: Found;
}

export function pairsOf(askers: readonly Asker[]): readonly Pair[] {
  const byAddress = new Map(askers.map((asker) => [asker.address, asker]));
  return askers.flatMap(({ node, found }) =>
    Object.entries(found.targets).map(([address, outcome]) => {
      const other = byAddress.get(address);
      if (other === undefined) throw new Error(`${node} asked ${address}, which is nobody's`);
      if (outcome.answered + outcome.late.length !== outcome.sent)
        throw new Error(`${node} to ${other.node}: ${outcome.answered} + ${outcome.late.length} of ${outcome.sent}`);
      const pauses = [...found.pauses, ...other.found.pauses];
      const lost = outcome.late.filter((late) => isLost(late, pauses));
      return {
        pair: `${node} to ${other.node}`,
        nodes: [node, other.node] as const,
        sent: outcome.sent,
        lost,
        paused: outcome.late.filter((late) => !lost.includes(late)),
        retransmitted: outcome.retransmitted,
        slowestMs: Math.round(outcome.slowestUs / 1_000),
      };
    }),
  );
}

export interface Totals {
  readonly sent: number;
  readonly lost: number;
  readonly paused: number;
  readonly retransmitted: number;
}
export function totalsOf(pairs: readonly Pair[]): Totals {
  const sum = (of: (pair: Pair) => number): number => pairs.reduce((all, pair) => all + of(pair), 0);
  return {
    sent: sum((pair) => pair.sent),
    lost: sum((pair) => pair.lost.length),
    paused: sum((pair) => pair.paused.length),
    retransmitted: sum((pair) => pair.retransmitted),
  };
}

/** What a person wants to know of a late request: when, how long each step took (ms), what went wrong. */
export function described(late: Late, sinceUs: number): object {
  const after = (from: number | null, to: number | null): number | null =>
    from === null || to === null ? null : Math.round((to - from) / 1_000);
  return {
    at: after(sinceUs, late.beganUs),
    connected: after(late.beganUs, late.connectedUs),
    taken: after(late.beganUs, late.takenUs),
    answered: after(late.beganUs, late.answeredUs),
    ...(late.retransmitted > 0 ? { retransmitted: late.retransmitted } : {}),
    ...(late.error === null ? {} : { error: late.error }),
  };
}

/** How a process stood still in a time. */
export function stoodStill(
  pauses: readonly Span[],
  during: Span,
): { readonly longestMs: number; readonly share: number } {
  const within = pauses.filter(([from, to]) => to > during[0] && from < during[1]);
  return {
    longestMs: Math.round(Math.max(0, ...within.map(([from, to]) => to - from)) / 1_000),
    share: Number((covered(during, within) / (during[1] - during[0])).toFixed(3)),
  };
}
