/**
 * Traces that begin on another node than the one that is asked: the agent there is asked over the overlay to send the frames, and tells
 * what became of them. Pure. `Asking` is the side that asks, `Hosting` decides what the other side does for whom.
 *
 *     trace-begin, again every second  ->
 *                                      <-  trace-begun          it runs
 *                                      <-  trace-station (each), trace-ended
 *
 * Messages may be lost: what is asked again is answered again, also when it is over.
 */
import { earliest, type Instant, type Machine } from '../machine.ts';
import { Share } from '../share.ts';
import type { Body, BodyOf } from '../wire/bodies.ts';
import type { NodeId } from '../wire/ids.ts';
import type { Outcome, Station } from './machine.ts';

export const ASK_AGAIN_MS = 1_000;
/** Its agent is away, or of a version that begins no traces for others. */
export const SILENT_AFTER_MS = 5_000;
/** Sixteen stations that are silent, each asked for two seconds, and the frames. */
export const OVER_AFTER_MS = 45_000;

/** What the other side says. */
export type Said = BodyOf<'trace-begun' | 'trace-station' | 'trace-ended' | 'trace-refused'>;

export type AskingEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'said'; readonly body: Said }
  | { readonly kind: 'deadline' };

export type AskingAction = { readonly kind: 'ask' } | { readonly kind: 'done'; readonly answer: Answer };

export type Answer =
  | { readonly kind: 'over'; readonly outcome: Outcome; readonly bytes: number; readonly ovs: boolean }
  | { readonly kind: 'refused'; readonly reason: BodyOf<'trace-refused'>['reason'] }
  /** `begun`: it had said that it runs. */
  | { readonly kind: 'silent'; readonly begun: boolean };

export class Asking implements Machine<AskingEvent, AskingAction> {
  readonly #stations = new Map<number, Station>();
  #ended: BodyOf<'trace-ended'> | undefined;
  #begun = false;
  #done = false;
  #againAt: Instant | undefined;
  #silentAt: Instant | undefined;
  #overAt: Instant | undefined;

  deadline(): Instant | undefined {
    return this.#done ? undefined : earliest(this.#againAt, this.#silentAt, this.#overAt);
  }

  handle(event: AskingEvent, now: Instant): readonly AskingAction[] {
    if (this.#done) return [];
    switch (event.kind) {
      case 'start':
        this.#overAt = now + OVER_AFTER_MS;
        this.#silentAt = now + SILENT_AFTER_MS;
        return this.#ask(now);
      case 'said':
        this.#silentAt = now + SILENT_AFTER_MS;
        return this.#said(event.body);
      case 'deadline':
        if (now >= (this.#silentAt ?? now) || now >= (this.#overAt ?? now))
          return this.#answer({ kind: 'silent', begun: this.#begun });
        return now >= (this.#againAt ?? now) ? this.#ask(now) : [];
    }
  }

  #ask(now: Instant): readonly AskingAction[] {
    this.#againAt = now + ASK_AGAIN_MS;
    return [{ kind: 'ask' }];
  }

  #said(body: Said): readonly AskingAction[] {
    switch (body.type) {
      case 'trace-begun':
        this.#begun = true;
        return [];
      case 'trace-refused':
        return this.#answer({ kind: 'refused', reason: body.reason });
      case 'trace-station': {
        const { at, id, said, next, told, refused } = body;
        this.#stations.set(at, {
          id,
          next: said ? next : undefined,
          told: told ?? undefined,
          refused: refused ?? undefined,
        });
        break;
      }
      case 'trace-ended':
        this.#ended = body;
        break;
    }
    const ended = this.#ended;
    if (ended === undefined) return [];
    const stations = Array.from({ length: ended.stations }, (_, at) => this.#stations.get(at));
    if (!stations.every((one) => one !== undefined)) return [];
    const { frames, unsendable, bytes, ovs } = ended;
    return this.#answer({
      kind: 'over',
      outcome: { stations, frames, unsendable: unsendable ?? undefined },
      bytes,
      ovs,
    });
  }

  #answer(answer: Answer): readonly AskingAction[] {
    this.#done = true;
    return [{ kind: 'done', answer }];
  }
}

/** One line for people. */
export function whyNot(
  begin: string,
  to: { readonly address: string },
  answer: Exclude<Answer, { kind: 'over' }>,
): string {
  if (answer.kind === 'silent')
    return answer.begun
      ? `${begin} began the trace and has not told how it ended: run it there`
      : `${begin} does not answer: its agent is away or not reached, or of a version that begins no traces for others; run it there`;
  switch (answer.reason) {
    case 'busy':
      return `${begin} begins no trace for this node now: it has begun enough; try again in ten seconds, or run it there`;
    case 'unknown':
      return `${begin} does not know ${to.address}, or it is its own: it may have other news of the members; see evio peers there`;
    case 'old':
    case 'away':
      return `tincan of ${begin} does not answer its agent: evio status there`;
  }
}

/** What an outcome is told by. */
export function tellingOf(
  trace: string,
  outcome: Outcome,
  { bytes, ovs }: { readonly bytes: number; readonly ovs: boolean },
): readonly Body[] {
  const stations = outcome.stations.map(({ id, next, told, refused }, at) => ({
    ...{ type: 'trace-station' as const, trace, at, id, said: next !== undefined, next: next ?? null },
    ...{ told: told === undefined ? null : plain(told), refused: refused ?? null },
  }));
  const unsendable = outcome.unsendable?.replace(/[^\x20-\x7e]/g, '?').slice(0, 200) || null;
  const { frames } = outcome;
  return [...stations, { type: 'trace-ended', trace, frames, bytes, stations: stations.length, unsendable, ovs }];
}

/** Only what a body may have. */
const plain = ({ there, back, kernel }: NonNullable<Station['told']>) => ({ there, back, kernel });

/** A member may have one at once, and three and then one in ten seconds: it makes this node send. */
const OF_ONE = { perSecond: 1 / 10, burst: 3 };
const OF_ALL = { perSecond: 1 / 2, burst: 6 };
export const HOSTED_MAX = 2;
/** For who did not hear it. */
export const KEPT_MS = 30_000;

interface Hosted {
  readonly by: NodeId;
  /** Undefined: it runs. */
  over: { readonly at: Instant; readonly telling: readonly Body[] } | undefined;
}

export class Hosting {
  readonly #hosted = new Map<string, Hosted>();
  readonly #ofOne = new Share(OF_ONE);
  readonly #ofAll = new Share(OF_ALL);

  /** `begin`: to be begun now, and told to `over` once; else what is to be said. */
  asked(from: NodeId, trace: string, now: Instant): 'begin' | readonly Body[] {
    for (const [one, { over }] of this.#hosted)
      if (over !== undefined && now - over.at >= KEPT_MS) this.#hosted.delete(one);
    const busy: readonly Body[] = [{ type: 'trace-refused', trace, reason: 'busy' }];
    const known = this.#hosted.get(trace);
    if (known !== undefined) {
      if (known.by !== from) return busy;
      return known.over?.telling ?? [{ type: 'trace-begun', trace }];
    }
    const running = [...this.#hosted.values()].filter(({ over }) => over === undefined);
    if (running.length >= HOSTED_MAX || running.some(({ by }) => by === from)) return busy;
    if (!this.#ofOne.take(from, now) || !this.#ofAll.take('', now)) return busy;
    this.#hosted.set(trace, { by: from, over: undefined });
    return 'begin';
  }

  over(trace: string, telling: readonly Body[], now: Instant): void {
    const hosted = this.#hosted.get(trace);
    if (hosted !== undefined) hosted.over = { at: now, telling };
  }
}
