/**
 * By which time certificates are judged (docs/wire.md §2, "Time"): the machine's clock, as long as it can be right. A board may
 * start in 1970, or a hand may have set the year wrong; neither may keep a node out, and neither may let an expired one in.
 */
import type { Instant } from '../machine.ts';
import { CLOCK_LEEWAY_SECONDS } from '../wire/certificate.ts';
import type { NodeId } from '../wire/ids.ts';

/** When a certificate holds, in seconds since 1970. */
export interface Life {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What the node's clock is like, for people. */
export type ClockState =
  | { readonly kind: 'right' }
  /** Not credible; `known` is the time by which certificates are judged instead, if there is one. */
  | { readonly kind: 'behind' | 'ahead'; readonly wall: number; readonly known: number | undefined };

/** Members whose word is kept: the middle of so many is not moved by a few. */
const SAID_MAX = 64;

/** All times are seconds since 1970, kept as they were at monotonic zero. */
export class Clock {
  #own: Life;
  /** The latest time in any object whose signature verified. */
  #signed = 0;
  #wall = 0;
  /** By the machine's clock, when it was last credible. */
  #credible: number | undefined;
  /** By other members, the latest word of each. */
  readonly #said = new Map<NodeId, number>();

  constructor(own: Life) {
    this.#own = own;
    this.observe(own.notBefore);
  }

  /** The certificate was renewed. */
  setOwn(own: Life): void {
    this.#own = own;
    this.observe(own.notBefore);
  }

  /** The wall clock, told again now and then because it may be stepped. */
  setWall(wallSeconds: number, now: Instant): void {
    this.#wall = wallSeconds - now / 1000;
    if (this.#direction(now) === undefined) this.#credible = this.#wall;
  }

  /** A time that stands in an object whose signature verified. */
  observe(signedSeconds: number): void {
    this.#signed = Math.max(this.#signed, signedSeconds);
  }

  /** What a member whose certificate holds by it says the time is. */
  hear(nodeId: NodeId, saidSeconds: number, now: Instant): void {
    if (this.#said.size >= SAID_MAX && !this.#said.has(nodeId)) return;
    const zero = saidSeconds - now / 1000;
    // An old word may be shown again: of one member the latest counts.
    this.#said.set(nodeId, Math.max(zero, this.#said.get(nodeId) ?? Number.NEGATIVE_INFINITY));
  }

  /** The time to judge by. */
  seconds(now: Instant): number {
    return Math.max(this.known(now) ?? this.#wall + now / 1000, this.#signed);
  }

  /** As `seconds`; undefined when the clock is ahead and nobody said better. */
  known(now: Instant): number | undefined {
    const direction = this.#direction(now);
    if (direction === undefined) return Math.max(this.#wall + now / 1000, this.#signed);
    const zero = this.#credible ?? this.#middle();
    if (zero !== undefined) return Math.max(zero + now / 1000, this.#signed);
    return direction === 'behind' ? this.#signed : undefined;
  }

  /** What this node may say to others: its clock, if that is credible. */
  own(now: Instant): number | undefined {
    return this.#direction(now) === undefined ? this.#wall + now / 1000 : undefined;
  }

  state(now: Instant): ClockState {
    const kind = this.#direction(now);
    return kind === undefined ? { kind: 'right' } : { kind, wall: this.#wall + now / 1000, known: this.known(now) };
  }

  /** By a clock that is right our own certificate holds, or we are no member anyway. */
  #direction(now: Instant): 'behind' | 'ahead' | undefined {
    const wall = this.#wall + now / 1000;
    if (wall > this.#own.notAfter) return 'ahead';
    return wall + CLOCK_LEEWAY_SECONDS < Math.max(this.#own.notBefore, this.#signed) ? 'behind' : undefined;
  }

  /** The middle of what members say, of two the later: one that is wrong, or lies, moves nothing where two others speak. */
  #middle(): number | undefined {
    const said = [...this.#said.values()].sort((a, b) => a - b);
    return said[Math.floor(said.length / 2)];
  }
}

const day = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** One line for people, or undefined when there is nothing to say. `notAfter`: when the node's own certificate ends. */
export function clockProblem(state: ClockState, notAfter: number): string | undefined {
  if (state.kind === 'right') return undefined;
  const { kind, wall, known } = state;
  if (known !== undefined && known > notAfter) return undefined;
  if (kind === 'behind') {
    const off = span((known ?? wall) - wall);
    return `this machine's clock is at least ${off} behind (it says ${day(wall)}): set it; certificates are judged by ${day(known ?? wall)}`;
  }
  if (known !== undefined)
    return `this machine's clock is ${span(wall - known)} ahead (it says ${day(wall)}): set it; certificates are judged by ${day(known)}`;
  return (
    `this node's certificate ended at ${day(notAfter)} and this machine's clock says ${day(wall)}: ` +
    'renew it (evio node enroll --renew), or set the clock; what other members say the time is will be taken'
  );
}

/** As a person would say it: 3 minutes, 5 hours, 12 days, 5 years. */
export function span(seconds: number): string {
  const units: readonly (readonly [number, string])[] = [
    [365.25 * 86_400, 'year'],
    [86_400, 'day'],
    [3_600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ];
  const [size, word] = units.find(([size]) => Math.abs(seconds) >= 2 * size) ?? [1, 'second'];
  const count = Math.round(Math.abs(seconds) / size);
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
