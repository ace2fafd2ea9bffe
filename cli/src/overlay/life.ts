/** How long a certificate or a token holds, as the command line says it. */
import { UsageError } from '../failure.ts';

const DAY_SECONDS = 86_400;
const DAYS_MAX = 3_650;
const DAYS_DEFAULT = 365;
/** Shorter than this, a certificate would end before its node file has come to the node. */
const SECONDS_MIN = 60;
const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: DAY_SECONDS };

export function lifeSeconds(days: number | undefined, valid: string | undefined): number {
  if (valid === undefined) return wholeDays(days ?? DAYS_DEFAULT) * DAY_SECONDS;
  if (days !== undefined) throw new UsageError('give --days or --valid, not both');
  return durationSeconds('--valid', valid, SECONDS_MIN, DAYS_MAX);
}

/** `90s`, `30m`, `12h`, `7d`; `min` in seconds, `maxDays` in days. */
export function durationSeconds(option: string, text: string, min: number, maxDays: number): number {
  const [, number, unit = ''] = /^([0-9]{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(number) * (UNIT_SECONDS[unit] ?? Number.NaN);
  if (seconds >= min && seconds <= maxDays * DAY_SECONDS) return seconds;
  throw new UsageError(
    `${option}: "${text}" is not allowed; allowed: a whole number and s, m, h or d, from ${min}s to ${maxDays}d`,
  );
}

function wholeDays(days: number): number {
  if (Number.isInteger(days) && days >= 1 && days <= DAYS_MAX) return days;
  throw new UsageError(`--days: ${days} is not allowed; allowed: a whole number from 1 to ${DAYS_MAX}`);
}
