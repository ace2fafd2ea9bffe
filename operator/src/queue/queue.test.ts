import { expect } from 'chai';
import fc from 'fast-check';
import { seeded } from '../../../test/sim/random.ts';
import { AFTER_FAILURE_MS, BACKOFF_MAX_MS, BACKOFF_MIN_MS, type QueueAction, WorkQueue } from './queue.ts';

function started(concurrency = 1) {
  const queue = new WorkQueue({ concurrency, random: () => 1 });
  queue.handle({ kind: 'start' }, 0);
  return queue;
}
const run = (key: string, waitedMs = 0) => ({ kind: 'run', key, waitedMs });
const done = (key: string) => ({ kind: 'done', key, failed: false }) as const;
const failed = (key: string) => ({ kind: 'done', key, failed: true }) as const;

describe('a work queue', () => {
  it('only collects until it is started', () => {
    const queue = new WorkQueue({ concurrency: 2, random: () => 1 });
    expect(queue.handle({ kind: 'add', key: 'a' }, 0)).to.deep.equal([]);
    expect(queue.handle({ kind: 'add', key: 'a' }, 1)).to.deep.equal([]);
    expect(queue.depth).to.equal(1);
    expect(queue.handle({ kind: 'start' }, 5)).to.deep.equal([run('a', 5)]);
  });

  it('never works on a key twice at once, and once more when it was added meanwhile', () => {
    const queue = started(4);
    expect(queue.handle({ kind: 'add', key: 'a' }, 0)).to.deep.equal([run('a')]);
    expect(queue.handle({ kind: 'add', key: 'a' }, 1)).to.deep.equal([]);
    expect(queue.handle({ kind: 'add', key: 'a' }, 2)).to.deep.equal([]);
    expect(queue.handle(done('a'), 3)).to.deep.equal([run('a')]);
    expect(queue.handle(done('a'), 4)).to.deep.equal([]);
    expect(queue.size).to.equal(0);
  });

  it('serves keys in the order they came, also one that comes again and again', () => {
    const queue = started(1);
    queue.handle({ kind: 'add', key: 'busy' }, 0);
    queue.handle({ kind: 'add', key: 'busy' }, 1);
    queue.handle({ kind: 'add', key: 'b' }, 2);
    queue.handle({ kind: 'add', key: 'c' }, 3);
    expect(queue.handle(done('busy'), 4)).to.deep.equal([run('b', 2)]);
    expect(queue.handle(done('b'), 5)).to.deep.equal([run('c', 2)]);
    expect(queue.handle(done('c'), 6)).to.deep.equal([run('busy', 2)]);
  });

  it('waits longer after each failure, up to a limit, and forgets them after a success', () => {
    const queue = started();
    let now = 0;
    const waits: number[] = [];
    queue.handle({ kind: 'add', key: 'a' }, now);
    for (let n = 0; n < 14; n++) {
      queue.handle(failed('a'), now);
      const at = queue.deadline() ?? 0;
      waits.push(at - now);
      expect(queue.handle({ kind: 'deadline' }, at - 1)).to.deep.equal([]);
      now = at;
      expect(queue.handle({ kind: 'deadline' }, now)).to.deep.equal([run('a')]);
    }
    expect(waits.slice(0, 4)).to.deep.equal([1, 2, 4, 8].map((times) => times * BACKOFF_MIN_MS));
    expect(waits.at(-1)).to.equal(BACKOFF_MAX_MS);
    queue.handle(done('a'), now);
    expect(queue.size).to.equal(0);
    queue.handle({ kind: 'add', key: 'a' }, now);
    queue.handle(failed('a'), now);
    expect(queue.deadline()).to.equal(now + BACKOFF_MIN_MS);
  });

  it('lets a change bring a key that failed forward, but not as fast as it can fail', () => {
    const queue = started();
    queue.handle({ kind: 'add', key: 'a' }, 0);
    let now = 0;
    for (let n = 0; n < 8; n++) {
      queue.handle(failed('a'), now);
      now = queue.deadline() ?? 0;
      queue.handle({ kind: 'deadline' }, now);
    }
    queue.handle(failed('a'), now);
    expect(queue.deadline()).to.be.greaterThan(now + 10_000);
    expect(queue.handle({ kind: 'add', key: 'a' }, now + 1)).to.deep.equal([]);
    expect(queue.deadline()).to.equal(now + AFTER_FAILURE_MS);
    expect(queue.handle({ kind: 'deadline' }, now + AFTER_FAILURE_MS)).to.deep.equal([run('a')]);
  });

  it('waits at least as long as the server asked', () => {
    const queue = started();
    queue.handle({ kind: 'add', key: 'a' }, 0);
    queue.handle({ kind: 'done', key: 'a', failed: true, againAfterMs: 9_000 }, 100);
    expect(queue.deadline()).to.equal(9_100);
  });

  it('comes back to a key after the time its reconcile asked for, or earlier with a change', () => {
    const queue = started();
    queue.handle({ kind: 'add', key: 'a' }, 0);
    queue.handle({ kind: 'done', key: 'a', failed: false, againAfterMs: 60_000 }, 10);
    expect(queue.deadline()).to.equal(60_010);
    expect(queue.handle({ kind: 'add', key: 'a' }, 1_000)).to.deep.equal([run('a')]);
    queue.handle(done('a'), 2_000);
    expect(queue.deadline()).to.equal(undefined);
  });

  it('begins nothing more when it is stopped, and says when all that ran is done', () => {
    const queue = started(2);
    for (const key of ['a', 'b', 'c']) queue.handle({ kind: 'add', key }, 0);
    expect(queue.handle({ kind: 'stop' }, 1)).to.deep.equal([]);
    expect(queue.handle({ kind: 'add', key: 'd' }, 2)).to.deep.equal([]);
    expect(queue.handle(failed('a'), 3)).to.deep.equal([]);
    expect(queue.handle(done('b'), 4)).to.deep.equal([{ kind: 'stopped' }]);
    expect(queue.deadline()).to.equal(undefined);
    expect(started().handle({ kind: 'stop' }, 0)).to.deep.equal([{ kind: 'stopped' }]);
  });

  it('reconciles each key after its last change, whatever the order of things', () => {
    const keys = ['a', 'b', 'c', 'd', 'e'];
    const step = fc.record({
      key: fc.constantFrom(...keys),
      what: fc.constantFrom('add', 'add', 'add', 'later', 'finish', 'finish', 'fail'),
      ms: fc.integer({ min: 0, max: 3_000 }),
    });
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 3 }),
        fc.array(step, { maxLength: 80 }),
        (seed, concurrency, story) => {
          const queue = new WorkQueue({ concurrency, random: seeded(seed) });
          let now = 0;
          const running = new Map<string, number>();
          const changedAt = new Map<string, number>();
          const begunAt = new Map<string, number>();
          let order = 0;
          const take = (actions: readonly QueueAction[]) => {
            for (const action of actions) {
              if (action.kind !== 'run') continue;
              expect(running.has(action.key)).to.equal(false);
              running.set(action.key, ++order);
              begunAt.set(action.key, order);
            }
            expect(running.size).to.be.at.most(concurrency);
          };
          const tick = (until: number) => {
            for (let at = queue.deadline(); at !== undefined && at <= until; at = queue.deadline()) {
              now = Math.max(now, at);
              take(queue.handle({ kind: 'deadline' }, now));
            }
            now = until;
          };
          take(queue.handle({ kind: 'start' }, now));
          for (const { key, what, ms } of story) {
            tick(now + ms);
            if (what === 'add' || what === 'later') {
              changedAt.set(key, ++order);
              take(queue.handle({ kind: 'add', key, afterMs: what === 'later' ? ms : 0 }, now));
            } else if (running.delete(key)) {
              // What failed has not seen its change through.
              if (what === 'fail') changedAt.set(key, ++order);
              take(queue.handle({ kind: 'done', key, failed: what === 'fail' }, now));
            }
          }
          for (let n = 0; n < 100; n++) {
            for (const key of [...running.keys()]) {
              running.delete(key);
              take(queue.handle(done(key), now));
            }
            tick(now + 10_000);
          }
          for (const [key, at] of changedAt) expect(begunAt.get(key), key).to.be.greaterThan(at);
          // Nothing is left of keys that are done with.
          expect(queue.size).to.equal(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});
