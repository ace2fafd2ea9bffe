/** Of `evio connectivity perf`: what pods measured, and the table of it. Pure. */
import { isObject } from '../../../agent/src/io/json-lines.ts';
import { columns } from '../output.ts';
import { MESSAGE_MAX, packed } from './report.ts';

/** What one pod of node `from` sent to one of node `to`, and round trips between the two. */
export interface Measured {
  readonly from: string;
  readonly to: string;
  /** By one TCP flow, of payload. */
  readonly mbitPerSecond?: number;
  /** Of UDP datagrams of 64 bytes, one after the other; milliseconds. */
  readonly rttMedianMs?: number;
  readonly rttP99Ms?: number;
  readonly lost?: number;
  /** Why figures are missing. */
  readonly why?: string;
}

/** The last ones fall away when there is no room for all. */
export function measuredMessage(all: readonly Measured[]): string {
  for (let count = all.length; ; count--) {
    const text = packed(all.slice(0, count));
    if (text.length <= MESSAGE_MAX) return text;
  }
}

export function measuredOf(values: readonly unknown[]): readonly Measured[] {
  return values.filter((value): value is Measured => {
    if (!isObject(value)) return false;
    const { from, to, mbitPerSecond, rttMedianMs, rttP99Ms, lost, why } = value;
    return (
      typeof from === 'string' &&
      typeof to === 'string' &&
      [mbitPerSecond, rttMedianMs, rttP99Ms, lost].every((n) => n === undefined || Number.isFinite(n)) &&
      (why === undefined || typeof why === 'string')
    );
  });
}

/** `part` of the sorted values are at or below the result; undefined of nothing. */
export function quantile(values: readonly number[], part: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

export function measuredText(all: readonly Measured[]): string {
  const figure = (value: number | undefined, digits: number): string => value?.toFixed(digits) ?? '-';
  return columns([
    ['FROM', 'TO', 'MBIT/S', 'RTT MS', 'P99 MS', 'LOST', ''],
    ...all.map(({ from, to, mbitPerSecond, rttMedianMs, rttP99Ms, lost, why }) => [
      ...[from, to, figure(mbitPerSecond, 0), figure(rttMedianMs, 2), figure(rttP99Ms, 2)],
      ...[lost === undefined ? '-' : String(lost), why ?? ''],
    ]),
  ]);
}
