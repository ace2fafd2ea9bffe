/**
 * One trace: finds the stations from node to node, lets them count, sends the frames, and asks everybody what became of them. Pure: what
 * stations say and the time go in, questions and frames come out.
 *
 *     exploring   each station is asked by whom it would send on, and counts from then on; the destination always
 *     sending     the frames leave, one by one; until all came back, or it is too late for that
 *     asking      all stations are asked for their counts
 *
 * A question without an answer is asked again, which changes nothing at a station that has heard it.
 */
import { earliest, type Instant, type Machine } from '../machine.ts';
import { TRACE_STATIONS_MAX } from '../wire/bodies.ts';
import type { NodeId } from '../wire/ids.ts';
import type { Hop, NextAnswer, Refusal, Told, ToldAnswer } from './types.ts';

export const ASK_AGAIN_MS = 500;
/** A station that has not answered by then is silent. */
export const SILENT_AFTER_MS = 2_000;
export const FRAME_EVERY_MS = 50;
/** Our own tincan is asked so often whether the answers are in. */
export const LOOK_EVERY_MS = 100;
/** After the last frame. */
export const LATE_AFTER_MS = 1_500;
export const STATIONS_MAX = TRACE_STATIONS_MAX;

export interface TraceOptions {
  readonly self: NodeId;
  readonly destination: NodeId;
  readonly frames: number;
}

export type TraceEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'next'; readonly station: NodeId; readonly answer: NextAnswer }
  | { readonly kind: 'told'; readonly station: NodeId; readonly answer: ToldAnswer }
  /** A frame could not be given to the switch. */
  | { readonly kind: 'unsendable'; readonly reason: string }
  | { readonly kind: 'deadline' };

export type TraceAction =
  | { readonly kind: 'ask-next'; readonly station: NodeId; readonly cameBy: NodeId | undefined }
  | { readonly kind: 'send'; readonly sequence: number }
  | { readonly kind: 'ask-told'; readonly station: NodeId }
  | { readonly kind: 'done'; readonly outcome: Outcome };

export interface Station {
  readonly id: NodeId;
  /** By whom it said it would send on; null: by nobody. Undefined: it said nothing. */
  readonly next: Hop | null | undefined;
  /** Undefined: it did not answer in time. */
  readonly told: Told | undefined;
  readonly refused: Refusal | undefined;
}

export interface Outcome {
  /** In the order of the way there; the destination last, if anything leads to it or not. */
  readonly stations: readonly Station[];
  readonly frames: number;
  /** Our own switch cannot be reached, with the reason. */
  readonly unsendable: string | undefined;
}

interface Place {
  readonly id: NodeId;
  readonly cameBy: NodeId | undefined;
  next: Hop | null | undefined;
  told: Told | undefined;
  refused: Refusal | undefined;
}

export class Trace implements Machine<TraceEvent, TraceAction> {
  readonly #options: TraceOptions;
  readonly #places: Place[] = [];
  #phase: 'new' | 'exploring' | 'sending' | 'asking' | 'done' = 'new';
  #sent = 0;
  #unsendable: string | undefined;
  /** When to ask again, to send, or to look. */
  #againAt: Instant | undefined;
  #until: Instant | undefined;

  constructor(options: TraceOptions) {
    this.#options = options;
  }

  deadline(): Instant | undefined {
    return this.#phase === 'done' ? undefined : earliest(this.#againAt, this.#until);
  }

  handle(event: TraceEvent, now: Instant): readonly TraceAction[] {
    switch (event.kind) {
      case 'start':
        if (this.#phase !== 'new') return [];
        this.#phase = 'exploring';
        return this.#visit(this.#options.self, undefined, now);
      case 'next':
        return this.#next(event.station, event.answer, now);
      case 'told':
        return this.#told(event.station, event.answer, now);
      case 'unsendable':
        this.#unsendable ??= event.reason;
        return this.#phase === 'sending' ? this.#ask(now) : [];
      case 'deadline':
        return this.#due(now);
    }
  }

  #due(now: Instant): readonly TraceAction[] {
    const over = this.#until !== undefined && now >= this.#until;
    const again = this.#againAt !== undefined && now >= this.#againAt;
    switch (this.#phase) {
      case 'exploring': {
        const place = this.#places.at(-1);
        if (place === undefined) return [];
        if (over) return this.#explored(place, now);
        if (!again) return [];
        this.#againAt = now + ASK_AGAIN_MS;
        return [askNext(place)];
      }
      case 'sending':
        if (over) return this.#ask(now);
        return again ? this.#sendOrLook(now) : [];
      case 'asking':
        if (over) return this.#finish();
        if (!again) return [];
        this.#againAt = now + ASK_AGAIN_MS;
        return this.#open().map(({ id }) => ({ kind: 'ask-told', station: id }));
      case 'new':
      case 'done':
        return [];
    }
  }

  #visit(id: NodeId, cameBy: NodeId | undefined, now: Instant): readonly TraceAction[] {
    const place: Place = { id, cameBy, next: undefined, told: undefined, refused: undefined };
    this.#places.push(place);
    this.#againAt = now + ASK_AGAIN_MS;
    this.#until = now + SILENT_AFTER_MS;
    return [askNext(place)];
  }

  #next(station: NodeId, answer: NextAnswer, now: Instant): readonly TraceAction[] {
    const place = this.#places.at(-1);
    if (this.#phase !== 'exploring' || place?.id !== station) return [];
    if ('refused' in answer) place.refused = answer.refused;
    else place.next = answer.next;
    return this.#explored(place, now);
  }

  /** The last place has answered, or will not: where next? */
  #explored(place: Place, now: Instant): readonly TraceAction[] {
    const { destination } = this.#options;
    if (place.id === destination) return this.#begin(now);
    const known = (id: NodeId) => this.#places.some((one) => one.id === id);
    const next = place.next?.peer;
    // The destination is to count whatever lies between; its tincan takes the frames by any way.
    if (next === undefined || known(next) || this.#places.length >= STATIONS_MAX - 1)
      return this.#visit(destination, undefined, now);
    return this.#visit(next, place.id, now);
  }

  #begin(now: Instant): readonly TraceAction[] {
    this.#phase = 'sending';
    this.#until = undefined;
    return this.#sendOrLook(now);
  }

  #sendOrLook(now: Instant): readonly TraceAction[] {
    if (this.#sent < this.#options.frames) {
      this.#sent++;
      const last = this.#sent === this.#options.frames;
      this.#againAt = now + (last ? LOOK_EVERY_MS : FRAME_EVERY_MS);
      if (last) this.#until = now + LATE_AFTER_MS;
      return [{ kind: 'send', sequence: this.#sent }];
    }
    this.#againAt = now + LOOK_EVERY_MS;
    return [{ kind: 'ask-told', station: this.#options.self }];
  }

  #told(station: NodeId, answer: ToldAnswer, now: Instant): readonly TraceAction[] {
    const place = this.#places.find((one) => one.id === station);
    if (place === undefined) return [];
    if (this.#phase === 'sending') {
      const back = 'refused' in answer ? 0 : (answer.back.counts.delivered ?? 0);
      return back >= this.#options.frames ? this.#ask(now) : [];
    }
    if (this.#phase !== 'asking') return [];
    if ('refused' in answer) place.refused ??= answer.refused;
    else place.told = answer;
    return this.#open().length === 0 ? this.#finish() : [];
  }

  #ask(now: Instant): readonly TraceAction[] {
    this.#phase = 'asking';
    this.#againAt = now + ASK_AGAIN_MS;
    this.#until = now + SILENT_AFTER_MS;
    const open = this.#open();
    return open.length === 0 ? this.#finish() : open.map(({ id }) => ({ kind: 'ask-told', station: id }));
  }

  /** Who has not said it yet, and has said that it counts. Who is silent was asked four times already. */
  #open(): readonly Place[] {
    return this.#places.filter((one) => one.told === undefined && one.refused === undefined && one.next !== undefined);
  }

  #finish(): readonly TraceAction[] {
    this.#phase = 'done';
    const stations = this.#places.map(({ id, next, told, refused }) => ({ id, next, told, refused }));
    return [{ kind: 'done', outcome: { stations, frames: this.#sent, unsendable: this.#unsendable } }];
  }
}

function askNext({ id, cameBy }: Place): TraceAction {
  return { kind: 'ask-next', station: id, cameBy };
}
