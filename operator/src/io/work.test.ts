import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Log } from '../../../agent/src/io/log.ts';
import { ApiFailure } from '../../../agent/src/kube-api/client.ts';
import type { Controller } from '../controller.ts';
import { Metrics } from './metrics.ts';
import { Worker } from './work.ts';

function worker(reconcile: Controller['reconcile'], options: Partial<Controller> = {}) {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const log: Log = { error: write, warn: write, info: write, debug: write };
  const metrics = new Metrics({ watches: () => [], queues: () => [], leads: () => true, conditions: () => [] });
  const made = new Worker({ name: 'node', watches: [], reconcile, ...options }, log, metrics);
  const count = async (result: string) =>
    (await metrics.registry.getSingleMetric('evio_operator_reconciles_total')?.get())?.values.find(
      ({ labels }) => labels.result === result,
    )?.value ?? 0;
  return { worker: made, lines, count };
}

describe('the work of a controller', () => {
  it('begins with the keys collected before, and comes back when it is asked to', async () => {
    const seen: string[] = [];
    const { worker: work, count } = worker(async (key) => {
      seen.push(key);
      return seen.length < 3 ? { againAfterMs: 10 } : undefined;
    });
    work.add('a');
    work.add('a');
    expect([work.depth, seen.length]).to.deep.equal([1, 0]);
    work.start();
    await sleep(80);
    await work.stop(1_000);
    expect(seen).to.deep.equal(['a', 'a', 'a']);
    expect([await count('again'), await count('success')]).to.deep.equal([2, 1]);
  });

  it('says what failed in one line, with the place when it was a fault of ours, and tries again', async () => {
    const errors = [
      new ApiFailure('cannot patch nodes a: somebody else changed it meanwhile', {
        verb: 'patch',
        resource: 'nodes',
        key: 'a',
        status: 409,
        reason: 'Conflict',
      }),
      new TypeError('x is undefined'),
    ];
    const {
      worker: work,
      lines,
      count,
    } = worker(async () => {
      const error = errors.shift();
      if (error !== undefined) throw error;
      return undefined;
    });
    work.start();
    work.add('a');
    await sleep(1_200);
    await work.stop(1_000);
    expect(lines).to.have.length(2);
    expect(lines[0]).to.equal('node a: cannot patch nodes a: somebody else changed it meanwhile');
    expect(lines[1]).to.match(/^node a: TypeError: x is undefined\n.*work\.test\.ts/s);
    expect([await count('error'), await count('success')]).to.deep.equal([2, 1]);
  });

  it('waits at the end for what runs, and tells it to hurry when that takes long', async () => {
    let ended = '';
    const { worker: work } = worker(async (_, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      ended = 'hurried';
      return undefined;
    });
    work.start();
    work.add('a');
    work.add('b');
    await work.stop(50);
    expect(ended).to.equal('hurried');
    expect(work.running).to.equal(0);
  });

  it('does not wait for ever for what does not end', async () => {
    const { worker: work, lines } = worker(() => new Promise(() => {}));
    work.start();
    work.add('a');
    await work.stop(30);
    expect(lines).to.deep.equal(['node: 1 reconciles did not end in time; they are left where they are']);
  });

  it('looks at every known key again now and then', async () => {
    const seen: string[] = [];
    const watching = {
      source: { synced: true, list: () => [], subscribe: () => {} },
      known: () => ['a', 'b'],
      start: () => {},
    };
    const { worker: work } = worker(
      async (key) => {
        seen.push(key);
        return undefined;
      },
      { watches: [watching], resyncMs: 40 },
    );
    work.start();
    await sleep(200);
    work.abort();
    expect(seen).to.include.members(['a', 'b']);
    expect(seen.length).to.be.within(4, 10);
  });
});
