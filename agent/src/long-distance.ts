/** How many long-distance links a node makes: a number, `auto` (as many as the overlay's size asks for), or `auto:8` (those, but at most 8). */

export type LongDistance = number | 'auto' | `auto:${number}`;

export const LONG_DISTANCE_MAX = 64;
const BOUNDED = /^auto:([0-9]{1,2})$/;
/** docs/wire.md §2, type 10. */
const AUTO_CODE = 255;
const BOUNDED_CODE = 128;

/** What a person wrote; undefined when it is none. */
export function parseLongDistance(text: string): LongDistance | undefined {
  if (text === 'auto') return 'auto';
  const bounded = BOUNDED.exec(text)?.[1];
  const links = Number(bounded ?? (/^[0-9]{1,2}$/.test(text) ? text : Number.NaN));
  if (!(links <= LONG_DISTANCE_MAX)) return undefined;
  return bounded === undefined ? links : `auto:${links}`;
}

/** Links of a node in an overlay of n: `auto` is ceil(log2 n). */
export function linksAmong(longDistance: LongDistance, n: number): number {
  if (typeof longDistance === 'number') return longDistance;
  return Math.min(n < 2 ? 0 : Math.ceil(Math.log2(n)), boundOf(longDistance));
}

export function encodeLongDistance(longDistance: LongDistance): number {
  if (longDistance === 'auto') return AUTO_CODE;
  return typeof longDistance === 'number' ? longDistance : BOUNDED_CODE + boundOf(longDistance);
}

/** Undefined for a code that stands for nothing. */
export function decodeLongDistance(code: number): LongDistance | undefined {
  if (code === AUTO_CODE) return 'auto';
  if (code < BOUNDED_CODE) return code;
  return code <= BOUNDED_CODE + LONG_DISTANCE_MAX ? `auto:${code - BOUNDED_CODE}` : undefined;
}

const boundOf = (longDistance: 'auto' | `auto:${number}`): number =>
  longDistance === 'auto' ? Number.POSITIVE_INFINITY : Number(longDistance.slice('auto:'.length));
