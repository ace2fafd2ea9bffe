/** Who has to hear what about the node's time: its own hellos, tincan, and people. */
import type { Instant } from '../machine.ts';
import { type Clock, clockProblem } from './clock.ts';
import type { OwnBoot } from './own-boot.ts';
import type { SignalAction } from './types.ts';

/** tincan's time is set anew when it is off by more than this. */
const STEP_SECONDS = 2;

export class ClockWatch {
  readonly #clock: Clock;
  readonly #own: OwnBoot;
  /** What tincan was told last, at monotonic zero. */
  #toTincan: number | undefined;
  #toPeople = '';

  constructor(clock: Clock, own: OwnBoot) {
    this.#clock = clock;
    this.#own = own;
  }

  /** After the clock was read, or somebody said the time. tincan has the same clock and hears no hellos; people are told once a change. */
  changed(now: Instant): readonly SignalAction[] {
    const [own, known, state] = [this.#clock.own(now), this.#clock.known(now), this.#clock.state(now)];
    this.#own.setTime(own, now);
    return [...this.#tellTincan(own === undefined ? known : undefined, now), ...this.#tellPeople(state, own, known)];
  }

  #tellTincan(seconds: number | undefined, now: Instant): readonly SignalAction[] {
    const before = this.#toTincan;
    this.#toTincan = seconds === undefined ? undefined : seconds - now / 1000;
    if (seconds === undefined || this.#toTincan === undefined) return [];
    return Math.abs(this.#toTincan - (before ?? 0)) > STEP_SECONDS ? [{ kind: 'time', seconds }] : [];
  }

  #tellPeople(
    state: ReturnType<Clock['state']>,
    own: number | undefined,
    known: number | undefined,
  ): readonly SignalAction[] {
    const problem = clockProblem(state, this.#own.certificate.notAfter);
    const told = problem === undefined ? '' : `${state.kind} ${known === undefined}`;
    if (told === this.#toPeople) return [];
    this.#toPeople = told;
    if (problem !== undefined) return [{ kind: 'report', message: problem }];
    return own === undefined ? [] : [{ kind: 'report', message: "this machine's clock is right again" }];
  }
}
