/** Echo requests by fping: what it prints, and what that says about an outage. */

export const PING_EVERY_MS = 10;
/** So long the answer to a request may be under way: a machine that is busy, or a slow line. */
export const ANSWER_MS = 1_500;

export interface Reply {
  readonly seq: number;
  readonly atMs: number;
  readonly rttMs: number;
}

export interface PingRun {
  readonly sent: number;
  readonly replies: readonly Reply[];
  /** Answers that came once more. */
  readonly duplicates: number;
}

/**
 * The command that asks many addresses at once, every `everyMs` each, `count` times or until it is interrupted. Not ping: that spins in the last 10 ms
 * before each request, and 42 of it take the processors away from what is to be watched.
 */
export const fping = (targets: readonly string[], everyMs: number, count?: number): readonly [string, ...string[]] => [
  'fping',
  ...(count === undefined ? ['-l'] : ['-c', String(count)]),
  ...['-D', '-p', String(everyMs), '-i', '1', '-t', String(ANSWER_MS)],
  ...targets,
];

/**
 * Lines `[1700000000.12345] 10.45.0.3 : [0], 64 bytes, 0.041 ms (0.041 avg, 0% loss)` and the summary that it writes in the end,
 * `10.45.0.3 : xmt/rcv/%loss = 100/99/1%, ...`, by address.
 */
export function parseFping(text: string): ReadonlyMap<string, PingRun> {
  const replies = new Map<string, Map<number, Reply>>();
  const duplicates = new Map<string, number>();
  for (const [, at, target = '', index, rtt] of text.matchAll(
    /^\[(\d+\.\d+)\] (\S+) +: \[(\d+)\], \d+ bytes, ([\d.]+) ms/gm,
  )) {
    const of = replies.get(target) ?? new Map<number, Reply>();
    replies.set(target, of);
    // Requests are counted from 0 there.
    const seq = Number(index) + 1;
    if (of.has(seq)) duplicates.set(target, (duplicates.get(target) ?? 0) + 1);
    else of.set(seq, { seq, atMs: Number(at) * 1000, rttMs: Number(rtt) });
  }
  for (const [, target = ''] of text.matchAll(/^(?:\[[\d.]+\] )?(\S+) +: duplicate for /gm))
    duplicates.set(target, (duplicates.get(target) ?? 0) + 1);
  const runs = new Map<string, PingRun>();
  for (const [, target = '', sent] of text.matchAll(/^(\S+) +: xmt\/rcv\/%loss = (\d+)\//gm))
    runs.set(target, {
      sent: Number(sent),
      replies: [...(replies.get(target)?.values() ?? [])],
      duplicates: duplicates.get(target) ?? 0,
    });
  return runs;
}

/** The last requests were still on their way when ping was told to stop: they do not count. */
export function trimmed(run: PingRun, everyMs = PING_EVERY_MS): PingRun {
  const sent = Math.max(0, run.sent - ANSWER_MS / everyMs);
  return { ...run, sent, replies: run.replies.filter((reply) => reply.seq <= sent) };
}

/** Echo requests without a reply. */
export const lost = (run: PingRun): number => run.sent - run.replies.length;

/**
 * The longest time without a reply, in ms, beyond the pace of the requests: a gap in the sequence counts, a slow reply alone
 * does not. Requests unanswered at the end count too.
 */
export function outageMs(run: PingRun, everyMs: number): number {
  if (run.replies.length === 0) return run.sent * everyMs;
  const ordered = [...run.replies].sort((a, b) => a.seq - b.seq);
  let longest = ((ordered[0]?.seq ?? 1) - 1) * everyMs;
  for (let i = 1; i < ordered.length; i++) {
    const missing = (ordered[i]?.seq ?? 0) - (ordered[i - 1]?.seq ?? 0) - 1;
    longest = Math.max(longest, missing * everyMs);
  }
  return Math.max(longest, (run.sent - (ordered.at(-1)?.seq ?? 0)) * everyMs);
}

/** Runs of requests without a reply, as [first, last] sequence numbers: when in a run the losses fell. */
export function gaps(run: PingRun): readonly (readonly [number, number])[] {
  const seen = new Set(run.replies.map((reply) => reply.seq));
  const found: [number, number][] = [];
  for (let seq = 1; seq <= run.sent; seq++) {
    if (seen.has(seq)) continue;
    const last = found.at(-1);
    if (last !== undefined && last[1] === seq - 1) last[1] = seq;
    else found.push([seq, seq]);
  }
  return found;
}

/** The value below which the share `q` of the sorted values lies; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);
