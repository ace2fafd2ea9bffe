/** What a series of pings showed. Pure. */

import type { PathName, PingResult } from '../../agent/src/api.ts';

export interface PathChange {
  readonly seq: number;
  readonly from: PathName;
  readonly to: PathName;
}

export interface PingSummary {
  readonly to: string;
  readonly name: string;
  readonly sent: number;
  readonly received: number;
  readonly rttMs: { readonly min: number; readonly avg: number; readonly p99: number; readonly max: number } | null;
  /** Answers by path. */
  readonly paths: Readonly<Partial<Record<PathName, number>>>;
  readonly changes: readonly PathChange[];
}

export class PingStatistics {
  readonly #target: { readonly id: string; readonly name: string };
  readonly #rtts: number[] = [];
  readonly #paths = new Map<PathName, number>();
  readonly #changes: PathChange[] = [];
  #path: PathName | undefined;
  #sent = 0;

  constructor(target: { readonly id: string; readonly name: string }) {
    this.#target = target;
  }

  lost(): void {
    this.#sent++;
  }

  /** The change of path this answer shows, if any. */
  answered(result: PingResult): PathChange | undefined {
    this.#sent++;
    this.#rtts.push(result.rttMs);
    this.#paths.set(result.path, (this.#paths.get(result.path) ?? 0) + 1);
    const from = this.#path;
    this.#path = result.path;
    if (from === undefined || from === result.path) return undefined;
    const change = { seq: this.#sent, from, to: result.path };
    this.#changes.push(change);
    return change;
  }

  summary(): PingSummary {
    return {
      to: this.#target.id,
      name: this.#target.name,
      sent: this.#sent,
      received: this.#rtts.length,
      rttMs: spread(this.#rtts),
      paths: Object.fromEntries(this.#paths),
      changes: this.#changes,
    };
  }
}

/** p99 by nearest rank: a value that was measured, not one between two. */
export function spread(values: readonly number[]): PingSummary['rttMs'] {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (rank: number): number => sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] as number;
  return {
    min: at(1),
    avg: values.reduce((a, b) => a + b, 0) / values.length,
    p99: at(Math.ceil(values.length * 0.99)),
    max: at(values.length),
  };
}

export function summaryText(s: PingSummary): string {
  const lostPercent = s.sent === 0 ? 0 : ((s.sent - s.received) / s.sent) * 100;
  const paths = Object.entries(s.paths).map(([path, n]) => `${path} ${n}`);
  const lines = [
    `--- ${s.name} ---`,
    `${s.sent} sent, ${s.received} answered, ${lostPercent.toFixed(lostPercent % 1 === 0 ? 0 : 1)} % lost`,
  ];
  if (s.rttMs !== null) {
    const { min, avg, p99 } = s.rttMs;
    lines.push(`round trip min/avg/p99 = ${[min, avg, p99].map((ms) => ms.toFixed(3)).join('/')} ms`);
    lines.push(`path: ${paths.join(', ')}; changes: ${s.changes.length}`);
  }
  return `${lines.join('\n')}\n`;
}
