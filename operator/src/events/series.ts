/**
 * Which Events are written: the first note of its kind is made, the same again is counted in it (events.k8s.io/v1 `series`), and one
 * object, or all of them, cannot fill the API server.
 */

import type { Instant } from '../../../agent/src/machine.ts';
import { Share } from '../../../agent/src/share.ts';
import type { Note } from './recorder.ts';

export interface Noted extends Note {
  /** Of the object it is about. */
  readonly uid: string;
}

export type EventAction =
  | { readonly kind: 'create'; readonly id: string }
  /** The same note was meant `count` times by now. */
  | { readonly kind: 'count'; readonly id: string; readonly count: number }
  | { readonly kind: 'nothing' };

/** client-go counts on within 6 minutes of the last; Events are kept for an hour. */
export const SERIES_MS = 6 * 60_000;
/** A count is written at most this often. */
export const COUNT_MS = 60_000;
/** Of one object: client-go's spam filter. */
const EACH = { perSecond: 1 / 300, burst: 25 };
const ALL = { perSecond: 2, burst: 100 };
const SERIES_MAX = 2_000;

interface Series {
  readonly id: string;
  count: number;
  lastAt: Instant;
  writtenAt: Instant;
}

export class EventSeries {
  readonly #each = new Share(EACH);
  readonly #all = new Share(ALL);
  readonly #series = new Map<string, Series>();
  #dropped = 0;

  get dropped(): number {
    return this.#dropped;
  }

  /** `id` names the Event if one is made. */
  note(note: Noted, id: string, now: Instant): EventAction {
    const key = JSON.stringify([note.uid, note.type, note.reason, note.action, note.note]);
    const known = this.#series.get(key);
    if (known !== undefined && now - known.lastAt < SERIES_MS) {
      known.count++;
      known.lastAt = now;
      if (now - known.writtenAt < COUNT_MS || !this.#all.take('', now)) return { kind: 'nothing' };
      known.writtenAt = now;
      return { kind: 'count', id: known.id, count: known.count };
    }
    if (!this.#each.take(note.uid, now) || !this.#all.take('', now)) {
      this.#dropped++;
      return { kind: 'nothing' };
    }
    if (this.#series.size >= SERIES_MAX) this.#sweep(now);
    this.#series.delete(key);
    this.#series.set(key, { id, count: 1, lastAt: now, writtenAt: now });
    return { kind: 'create', id };
  }

  /** What is over goes; if nothing is, the oldest. */
  #sweep(now: Instant): void {
    for (const [key, { lastAt }] of this.#series) if (now - lastAt >= SERIES_MS) this.#series.delete(key);
    const [oldest] = this.#series.keys();
    if (this.#series.size >= SERIES_MAX && oldest !== undefined) this.#series.delete(oldest);
  }
}
