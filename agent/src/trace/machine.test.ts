import { expect } from 'chai';
import {
  ASK_AGAIN_MS,
  FRAME_EVERY_MS,
  LATE_AFTER_MS,
  LOOK_EVERY_MS,
  type Outcome,
  SILENT_AFTER_MS,
  STATIONS_MAX,
  Trace,
  type TraceAction,
  type TraceEvent,
} from './machine.ts';
import type { Counted, Hop, NextAnswer, ToldAnswer } from './types.ts';

const NOTHING: Counted = { counts: {}, cameBy: null, leftBy: null };
const hop = (peer: string): Hop => ({ peer, path: 'direct', relayed: false });
const next = (peer: string | null): NextAnswer => ({ next: peer === null ? null : hop(peer) });
const told = (delivered: number): ToldAnswer => ({
  there: NOTHING,
  back: { ...NOTHING, counts: { delivered } },
  kernel: null,
});

/** Simulated time: stations answer at once what they are given to say; undefined: they are silent. */
class World {
  readonly trace: Trace;
  readonly asked: string[] = [];
  readonly sentAt: number[] = [];
  now = 1_000;
  outcome: Outcome | undefined;
  readonly #next: Readonly<Record<string, NextAnswer | undefined>>;
  readonly #told: (station: string, now: number) => ToldAnswer | undefined;

  constructor(
    nexts: Readonly<Record<string, NextAnswer | undefined>>,
    tells: (station: string, now: number) => ToldAnswer | undefined,
    frames = 3,
  ) {
    this.trace = new Trace({ self: 'a', destination: 'z', frames });
    this.#next = nexts;
    this.#told = tells;
    this.give({ kind: 'start' });
  }

  give(event: TraceEvent): void {
    for (const action of this.trace.handle(event, this.now)) this.#do(action);
  }

  #do(action: TraceAction): void {
    switch (action.kind) {
      case 'ask-next': {
        this.asked.push(`next ${action.station}${action.cameBy === undefined ? '' : ` from ${action.cameBy}`}`);
        const answer = this.#next[action.station];
        if (answer !== undefined) this.give({ kind: 'next', station: action.station, answer });
        return;
      }
      case 'ask-told': {
        const answer = this.#told(action.station, this.now);
        if (answer !== undefined) this.give({ kind: 'told', station: action.station, answer });
        return;
      }
      case 'send':
        this.sentAt.push(this.now);
        return;
      case 'done':
        this.outcome = action.outcome;
        return;
    }
  }

  run(): Outcome {
    for (let i = 0; i < 1_000 && this.outcome === undefined; i++) {
      const at = this.trace.deadline();
      if (at === undefined) throw new Error('a trace that is not done waits for nothing');
      this.now = Math.max(this.now, at);
      this.give({ kind: 'deadline' });
    }
    if (this.outcome === undefined) throw new Error('a trace without end');
    expect(this.trace.deadline()).to.equal(undefined);
    return this.outcome;
  }
}

const stationsOf = (outcome: Outcome): readonly string[] => outcome.stations.map(({ id }) => id);

describe('a trace', () => {
  it('asks station after station by whom they send on, then sends, and is done once all came back', () => {
    const world = new World({ a: next('m'), m: next('z'), z: next(null) }, () => told(3));
    const outcome = world.run();
    expect(world.asked).to.deep.equal(['next a', 'next m from a', 'next z from m']);
    expect(stationsOf(outcome)).to.deep.equal(['a', 'm', 'z']);
    expect(world.sentAt).to.deep.equal([1_000, 1_000 + FRAME_EVERY_MS, 1_000 + 2 * FRAME_EVERY_MS]);
    expect(world.now).to.equal(1_000 + 2 * FRAME_EVERY_MS + LOOK_EVERY_MS);
    expect(outcome.stations.every((one) => one.told !== undefined)).to.equal(true);
  });

  it('waits for answers that are late, but not for ever', () => {
    const late = new World({ a: next('z'), z: next(null) }, (_, now) => told(now >= 1_900 ? 3 : 1));
    late.run();
    expect(late.now).to.be.within(1_900, 1_900 + LOOK_EVERY_MS);
    const never = new World({ a: next('z'), z: next(null) }, () => told(0));
    never.run();
    expect(never.now).to.equal(1_000 + 2 * FRAME_EVERY_MS + LATE_AFTER_MS);
  });

  it('asks a station that does not answer again, and goes on to the destination without it', () => {
    const world = new World({ a: next('m'), z: next(null) }, () => told(3));
    const outcome = world.run();
    const again = Math.ceil(SILENT_AFTER_MS / ASK_AGAIN_MS);
    expect(world.asked.filter((one) => one === 'next m from a')).to.have.length(again);
    expect(world.asked.at(-1)).to.equal('next z');
    expect(stationsOf(outcome)).to.deep.equal(['a', 'm', 'z']);
    expect(outcome.stations[1]).to.deep.equal({ id: 'm', next: undefined, told: undefined, refused: undefined });
  });

  it('ends in bounded time when nobody but our own tincan says anything', () => {
    const world = new World({ a: next('z') }, (station) => (station === 'a' ? told(0) : undefined));
    const outcome = world.run();
    expect(world.now - 1_000).to.be.below(SILENT_AFTER_MS + LATE_AFTER_MS + 200);
    expect(outcome.stations[1]?.told).to.equal(undefined);
  });

  it('ends in bounded time when not even that does', () => {
    const world = new World({}, () => undefined);
    expect(stationsOf(world.run())).to.deep.equal(['a', 'z']);
    expect(world.now - 1_000).to.be.below(2 * SILENT_AFTER_MS + LATE_AFTER_MS + 200);
  });

  it('asks one that stopped answering meanwhile for so long and no longer', () => {
    const world = new World({ a: next('m'), m: next('z'), z: next(null) }, (station) =>
      station === 'm' ? undefined : told(3),
    );
    const outcome = world.run();
    expect(outcome.stations.map(({ told: said }) => said !== undefined)).to.deep.equal([true, false, true]);
    expect(world.now).to.equal(1_000 + 2 * FRAME_EVERY_MS + LOOK_EVERY_MS + SILENT_AFTER_MS);
  });

  it('goes to the destination at once where nobody leads on', () => {
    const world = new World({ a: next(null), z: next(null) }, () => told(0));
    expect(stationsOf(world.run())).to.deep.equal(['a', 'z']);
  });

  it('does not walk in a circle, nor further than so many stations', () => {
    const circle = new World({ a: next('m'), m: next('n'), n: next('m'), z: next(null) }, () => told(3));
    expect(stationsOf(circle.run())).to.deep.equal(['a', 'm', 'n', 'z']);
    const names = Array.from({ length: 40 }, (_, i) => `m${i}`);
    const line = Object.fromEntries(names.map((name, i) => [name, next(names[i + 1] ?? 'z')]));
    const far = stationsOf(new World({ a: next('m0'), ...line, z: next(null) }, () => told(3)).run());
    expect(far).to.have.length(STATIONS_MAX);
    expect(far.at(-1)).to.equal('z');
  });

  it('keeps why a station cannot say, and asks it no more', () => {
    const world = new World({ a: next('m'), m: { refused: 'old' }, z: next(null) }, (station) => {
      if (station === 'm') throw new Error('asked though it had refused');
      return told(3);
    });
    expect(world.run().stations[1]?.refused).to.equal('old');
  });

  it('stops sending when the switch cannot be reached, and says why', () => {
    const world = new World({ a: next('z'), z: next(null) }, () => told(0));
    world.give({ kind: 'unsendable', reason: 'the switch is away' });
    const outcome = world.run();
    expect(outcome).to.include({ frames: 1, unsendable: 'the switch is away' });
  });

  it('does not care for answers of those that it did not ask, or twice', () => {
    const world = new World({ a: next('z') }, () => told(0));
    world.give({ kind: 'next', station: 'x', answer: next('y') });
    world.give({ kind: 'told', station: 'x', answer: told(3) });
    world.give({ kind: 'next', station: 'a', answer: next('q') });
    expect(stationsOf(world.run())).to.deep.equal(['a', 'z']);
    world.give({ kind: 'deadline' });
    world.give({ kind: 'start' });
    expect(world.sentAt).to.have.length(3);
  });
});
