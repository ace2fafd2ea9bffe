import { expect } from 'chai';
import fc from 'fast-check';
import { Clock } from '../../../test/sim/clock.ts';
import { seeded } from '../../../test/sim/random.ts';
import {
  LEASE_MS,
  type LeaderAction,
  type LeaderEvent,
  LeaderMachine,
  type LeaseClaim,
  type LeaseState,
  RENEW_DEADLINE_MS,
  REQUEST_MS,
  RETRY_MS,
} from './machine.ts';

/** One Lease of an API server, and how requests get there. */
class LeaseServer {
  lease: LeaseState | undefined;
  reachable = true;
  #writtenAt = 0;
  #version = 100;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whoever was granted it leads no more, even if the answer is still on its way. */
  get expired(): boolean {
    return this.#clock.now - this.#writtenAt >= LEASE_MS;
  }

  write({ holder, durationMs, transitions, resourceVersion }: LeaseClaim): LeaseState | 'conflict' {
    if (resourceVersion !== this.lease?.resourceVersion) return 'conflict';
    this.lease = { holder, durationMs, transitions, resourceVersion: String(++this.#version) };
    this.#writtenAt = this.#clock.now;
    return this.lease;
  }
}

/** A process: may be paused, and hears everything late then; its clock starts anywhere and runs a little fast or slow. */
class Contender {
  readonly machine: LeaderMachine;
  paused = false;
  led = 0;
  over: string | undefined;
  readonly #clock: Clock;
  readonly #server: LeaseServer;
  readonly #random: () => number;
  readonly #zero: number;
  readonly #rate: number;
  #pending: LeaderEvent[] = [];
  #cancel = () => {};

  constructor(identity: string, clock: Clock, server: LeaseServer, random: () => number) {
    this.machine = new LeaderMachine({ identity, random });
    this.#clock = clock;
    this.#server = server;
    this.#random = random;
    this.#zero = random() * 1e9;
    this.#rate = 0.98 + 0.04 * random();
  }

  get now(): number {
    return this.#zero + this.#clock.now * this.#rate;
  }

  leads(): boolean {
    return this.machine.leads(this.now);
  }

  handle(event: LeaderEvent): void {
    if (this.paused) {
      this.#pending.push(event);
      return;
    }
    for (const action of this.machine.handle(event, this.now)) this.#do(action);
    this.#cancel();
    const deadline = this.machine.deadline();
    if (deadline === undefined) return;
    this.#cancel = this.#clock.after((deadline - this.now) / this.#rate, () => this.handle({ kind: 'deadline' }));
  }

  resume(): void {
    this.paused = false;
    const pending = this.#pending;
    this.#pending = [];
    for (const event of pending) this.handle(event);
  }

  #do(action: LeaderAction): void {
    if (action.kind === 'lead') this.led++;
    if (action.kind === 'lost') this.over = action.why;
    if (action.kind === 'stopped') this.over = 'stopped';
    if (action.kind !== 'read' && action.kind !== 'write') return;
    const { id } = action;
    this.#clock.after(this.#delay(), () => {
      if (!this.#server.reachable) return;
      const event = this.#ask(action);
      // The answer may be lost though the write was done.
      if (this.#random() < 0.05) return;
      this.#clock.after(this.#delay(), () =>
        this.handle(event ?? { kind: 'failed', id, message: 'the answer is bad' }),
      );
    });
  }

  /** Mostly some milliseconds, and now and then seconds. */
  #delay(): number {
    return this.#random() < 0.05 ? this.#random() * 6_000 : 1 + this.#random() * 50;
  }

  #ask(action: LeaderAction & { kind: 'read' | 'write' }): LeaderEvent | undefined {
    if (action.kind === 'read') return { kind: 'read', id: action.id, lease: this.#server.lease };
    const written = this.#server.write(action.claim);
    if (written === 'conflict') return { kind: 'conflict', id: action.id };
    return { kind: 'written', id: action.id, lease: written };
  }
}

const lease = (holder: string, resourceVersion: string, durationMs = LEASE_MS): LeaseState => ({
  holder,
  durationMs,
  transitions: 3,
  resourceVersion,
});
const candidate = (random = () => 0) => {
  const machine = new LeaderMachine({ identity: 'me', random });
  machine.handle({ kind: 'start' }, 0);
  return machine;
};
/** Leads since instant 10, by a lease of version 2. */
const leader = () => {
  const machine = candidate();
  machine.handle({ kind: 'read', id: 1, lease: undefined }, 10);
  expect(machine.handle({ kind: 'written', id: 2, lease: lease('me', '2') }, 20)).to.deep.equal([{ kind: 'lead' }]);
  return machine;
};

describe('leader election', () => {
  it('makes the lease when there is none, and leads when that is done', () => {
    const machine = candidate();
    expect(machine.handle({ kind: 'read', id: 1, lease: undefined }, 10)).to.deep.equal([
      {
        kind: 'write',
        id: 2,
        claim: { holder: 'me', durationMs: LEASE_MS, transitions: 0, acquired: true, resourceVersion: undefined },
      },
    ]);
    expect(machine.leads(11)).to.equal(false);
    expect(machine.handle({ kind: 'written', id: 2, lease: lease('me', '2') }, 20)).to.deep.equal([{ kind: 'lead' }]);
    expect(machine.leads(21)).to.equal(true);
  });

  it('takes over when the holder gave no sign for as long as its lease lasts, by its own clock', () => {
    const machine = candidate();
    let now = 5;
    let id = 1;
    const told: LeaderAction[] = [];
    for (; now < LEASE_MS + 5; now += RETRY_MS) {
      told.push(...machine.handle({ kind: 'read', id, lease: lease('other', '7') }, now));
      const next = machine.handle({ kind: 'deadline' }, now + RETRY_MS);
      expect(next).to.deep.equal([{ kind: 'read', id: ++id }]);
    }
    expect(told).to.deep.equal([{ kind: 'report', line: 'other leads; this process waits to take over' }]);
    const [action] = machine.handle({ kind: 'read', id, lease: lease('other', '7') }, now);
    expect(action).to.deep.include({ kind: 'write' });
    expect((action as { claim: LeaseClaim }).claim).to.include({
      acquired: true,
      transitions: 4,
      resourceVersion: '7',
    });
  });

  it('waits on while the holder renews', () => {
    const machine = candidate();
    let id = 1;
    for (let now = 5; now < 10 * LEASE_MS; now += RETRY_MS) {
      const actions = machine.handle({ kind: 'read', id, lease: lease('other', String(now)) }, now);
      expect(actions.filter(({ kind }) => kind === 'write')).to.deep.equal([]);
      machine.handle({ kind: 'deadline' }, now + RETRY_MS);
      id++;
    }
  });

  it('takes at once a lease that was given back', () => {
    const machine = candidate();
    const [action] = machine.handle({ kind: 'read', id: 1, lease: lease('', '7') }, 5);
    expect(action).to.include({ kind: 'write' });
  });

  it('renews every 2 s on the version it wrote last', () => {
    const machine = leader();
    expect(machine.deadline()).to.equal(20 + RETRY_MS);
    const [action] = machine.handle({ kind: 'deadline' }, 20 + RETRY_MS);
    expect((action as { claim: LeaseClaim }).claim).to.include({ acquired: false, resourceVersion: '2' });
  });

  it('counts its time from before it sent what was granted', () => {
    const machine = leader();
    expect(machine.leads(10 + RENEW_DEADLINE_MS - 1)).to.equal(true);
    expect(machine.leads(10 + RENEW_DEADLINE_MS)).to.equal(false);
  });

  it('is over when nothing could be renewed for 10 s, and does nothing any more', () => {
    const machine = leader();
    let now = 20;
    let last: readonly LeaderAction[] = [];
    for (let at = machine.deadline(); at !== undefined; at = machine.deadline()) {
      now = at;
      last = machine.handle({ kind: 'deadline' }, now);
    }
    expect(now).to.equal(10 + RENEW_DEADLINE_MS);
    expect(last).to.deep.equal([{ kind: 'lost', why: 'the lease could not be renewed for 10 s' }]);
    expect(machine.handle({ kind: 'written', id: 3, lease: lease('me', '9') }, now + 1)).to.deep.equal([]);
  });

  it('is over when another one wrote the lease', () => {
    const machine = leader();
    machine.handle({ kind: 'deadline' }, 20 + RETRY_MS);
    expect(machine.handle({ kind: 'conflict', id: 3 }, 2_100)).to.deep.equal([{ kind: 'read', id: 4 }]);
    expect(machine.handle({ kind: 'read', id: 4, lease: lease('other', '9') }, 2_200)).to.deep.equal([
      { kind: 'lost', why: 'other holds the lease now' },
    ]);
  });

  it('goes on when it was its own write whose answer was lost', () => {
    const machine = leader();
    machine.handle({ kind: 'deadline' }, 2_020);
    machine.handle({ kind: 'deadline' }, 2_020 + REQUEST_MS);
    expect(machine.handle({ kind: 'conflict', id: 4 }, 6_100)).to.deep.equal([{ kind: 'read', id: 5 }]);
    const [action] = machine.handle({ kind: 'read', id: 5, lease: lease('me', '3') }, 6_200);
    expect((action as { claim: LeaseClaim }).claim).to.include({ resourceVersion: '3' });
    machine.handle({ kind: 'written', id: 6, lease: lease('me', '4') }, 6_300);
    expect(machine.leads(6_200 + RENEW_DEADLINE_MS - 1)).to.equal(true);
  });

  it('knows after a pause, before anything else, that its time is over', () => {
    const machine = leader();
    expect(machine.leads(60_000)).to.equal(false);
    expect(machine.handle({ kind: 'deadline' }, 60_000)).to.deep.equal([
      { kind: 'lost', why: 'the lease could not be renewed for 10 s' },
    ]);
  });

  it('gives the lease back at the end, on the version of what was on its way', () => {
    const machine = leader();
    machine.handle({ kind: 'deadline' }, 2_020);
    expect(machine.handle({ kind: 'stop' }, 2_030)).to.deep.equal([]);
    const [action] = machine.handle({ kind: 'written', id: 3, lease: lease('me', '3') }, 2_040);
    expect((action as { claim: LeaseClaim }).claim).to.include({ holder: '', durationMs: 1_000, resourceVersion: '3' });
    expect(machine.leads(2_040)).to.equal(false);
    expect(machine.handle({ kind: 'written', id: 4, lease: lease('', '4') }, 2_050)).to.deep.equal([
      { kind: 'stopped' },
    ]);
  });

  it('ends also when the lease cannot be given back, or was never held', () => {
    const machine = leader();
    machine.handle({ kind: 'stop' }, 1_000);
    expect(machine.handle({ kind: 'deadline' }, 1_000 + REQUEST_MS)).to.deep.equal([{ kind: 'stopped' }]);
    expect(candidate().handle({ kind: 'stop' }, 5)).to.deep.equal([{ kind: 'stopped' }]);
  });

  it('never has two leaders, and always one again, whatever befalls processes, clocks and the API server', function () {
    this.timeout(60_000);
    const step = fc.record({
      who: fc.integer({ min: 0, max: 2 }),
      what: fc.constantFrom('wait', 'wait', 'pause', 'resume', 'stop', 'cut', 'mend', 'delete', 'forge'),
      ms: fc.integer({ min: 0, max: 40_000 }),
    });
    fc.assert(
      fc.property(fc.integer(), fc.array(step, { maxLength: 25 }), (seed, story) => {
        const clock = new Clock();
        const server = new LeaseServer(clock);
        const random = seeded(seed);
        let born = 0;
        const create = () => {
          const contender = new Contender(`operator-${born++}`, clock, server, random);
          contender.handle({ kind: 'start' });
          return contender;
        };
        const contenders = [create(), create(), create()];
        const look = () => {
          const leaders = contenders.filter((contender) => contender.leads());
          expect(leaders.length).to.be.at.most(1);
          // Who is over is started anew, as a kubelet does.
          for (const [n, { over }] of contenders.entries()) if (over !== undefined) contenders[n] = create();
        };
        const live = (ms: number, until = () => false) => {
          for (let left = ms; left > 0 && !until(); left -= 250) {
            clock.run(Math.min(left, 250));
            look();
          }
        };
        for (const { who, what, ms } of story) {
          const contender = contenders[who];
          if (contender === undefined) continue;
          if (what === 'pause') contender.paused = true;
          if (what === 'resume') contender.resume();
          if (what === 'stop') contender.handle({ kind: 'stop' });
          if (what === 'cut') server.reachable = false;
          if (what === 'mend') server.reachable = true;
          // A person with kubectl, who finds that nobody renews it.
          if (what === 'delete' && server.expired) server.lease = undefined;
          if (what === 'forge' && server.lease !== undefined)
            server.lease = { ...server.lease, resourceVersion: `${server.lease.resourceVersion}.1` };
          live(ms);
        }
        server.reachable = true;
        for (const contender of contenders) contender.resume();
        let led = false;
        live(5 * 60_000, () => {
          led ||= contenders.some((contender) => contender.leads());
          return led;
        });
        expect(led).to.equal(true);
      }),
      { numRuns: Number(process.env.EVIO_RUNS ?? 200) },
    );
  });
});
