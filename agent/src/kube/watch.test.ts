import { expect } from 'chai';
import fc from 'fast-check';
import { KubeError } from './api-error.ts';
import { IDLE_MS, ObjectWatch, type WatchAction, type WatchEvent } from './watch.ts';

interface Thing {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
}
const thing = (version: string | number, uid = 'u'): Thing => ({
  metadata: { name: 'a', uid, resourceVersion: String(version) },
});
const listed = (object: Thing | undefined, version: string | number): WatchEvent<Thing> => ({
  kind: 'listed',
  object,
  resourceVersion: String(version),
});
const line = (type: string, object: unknown): WatchEvent<Thing> => ({ kind: 'line', type, object });
const failed = (status?: number, retryAfterMs = 0): WatchEvent<Thing> => ({
  kind: 'failed',
  error: new KubeError('it failed', status, retryAfterMs),
});
const kinds = (actions: readonly WatchAction<Thing>[]) => actions.map((action) => action.kind);
const started = () => {
  const watch = new ObjectWatch<Thing>(() => 0.5);
  watch.handle({ kind: 'start' }, 0);
  return watch;
};
const watching = () => {
  const watch = started();
  watch.handle(listed(thing(7), 9), 0);
  return watch;
};

describe('a watched object', () => {
  it('is listed, told, and followed from the version of the list', () => {
    const watch = started();
    expect(watch.handle(listed(thing(7), 9), 0)).to.deep.equal([
      { kind: 'well' },
      { kind: 'object', object: thing(7) },
      { kind: 'watch', resourceVersion: '9', timeoutSeconds: 330 },
    ]);
    expect(watch.handle(line('MODIFIED', thing(12)), 1)).to.deep.equal([
      { kind: 'well' },
      { kind: 'object', object: thing(12) },
    ]);
    expect(watch.handle(line('DELETED', thing(13)), 2)).to.deep.equal([
      { kind: 'well' },
      { kind: 'object', object: undefined },
    ]);
  });

  it('that is not there is told so, and comes with the watch', () => {
    const watch = started();
    expect(kinds(watch.handle(listed(undefined, 9), 0))).to.deep.equal(['well', 'object', 'watch']);
    expect(watch.handle(line('ADDED', thing(10)), 1).at(-1)).to.deep.equal({ kind: 'object', object: thing(10) });
  });

  it('goes on from the last bookmark when the server ends the watch', () => {
    const watch = watching();
    watch.handle(line('BOOKMARK', thing(40)), 60_000);
    expect(watch.handle({ kind: 'ended' }, 61_000)).to.deep.equal([
      { kind: 'watch', resourceVersion: '40', timeoutSeconds: 330 },
    ]);
  });

  for (const [name, event] of [
    ['as an answer', failed(410)],
    ['as a line', line('ERROR', { kind: 'Status', code: 410 })],
  ] as const)
    it(`is listed again when its version is too old, told ${name}, and a change in between is not missed`, () => {
      const watch = watching();
      expect(kinds(watch.handle(event, 1)).at(-1)).to.equal('list');
      expect(kinds(watch.handle(listed(thing(50), 51), 2))).to.deep.equal(['well', 'object', 'watch']);
    });

  it('that did not change is not told again after a list', () => {
    const watch = watching();
    watch.handle(failed(410), 1);
    expect(kinds(watch.handle(listed(thing(7), 60), 2))).to.deep.equal(['well', 'watch']);
  });

  it('made anew with the version of the old one is told', () => {
    const watch = watching();
    watch.handle(failed(410), 1);
    expect(kinds(watch.handle(listed(thing(7, 'other'), 60), 2))).to.include('object');
  });

  it('is listed again after a watch that was lost, or ended without a word: the server may have lost its data', () => {
    const lost = watching();
    lost.handle(line('BOOKMARK', thing(40)), 60_000);
    lost.handle(failed(), 61_000);
    expect(kinds(lost.handle({ kind: 'deadline' }, 70_000))).to.deep.equal(['list']);
    expect(kinds(lost.handle(listed(thing(3), 5), 70_001))).to.deep.equal(['well', 'object', 'watch']);
    const silent = watching();
    expect(kinds(silent.handle({ kind: 'ended' }, 300_000))).to.deep.equal(['list']);
  });

  it('on which nothing comes for long is cut and listed again', () => {
    const watch = watching();
    watch.handle(line('BOOKMARK', thing(40)), 60_000);
    expect(watch.deadline()).to.equal(60_000 + IDLE_MS);
    expect(kinds(watch.handle({ kind: 'deadline' }, 60_000 + IDLE_MS))).to.deep.equal(['cut', 'list']);
  });

  it('is asked for at growing intervals while the server is away, and at short ones after it was there', () => {
    const watch = started();
    const pauses: number[] = [];
    let now = 0;
    for (let i = 0; i < 8; i++) {
      watch.handle(failed(), now);
      const at = watch.deadline() ?? 0;
      pauses.push(at - now);
      now = at;
      expect(kinds(watch.handle({ kind: 'deadline' }, now))).to.deep.equal(['list']);
    }
    expect(pauses).to.deep.equal([750, 1_500, 3_000, 6_000, 12_000, 22_500, 22_500, 22_500]);
    watch.handle(listed(thing(7), 9), now);
    watch.handle(line('MODIFIED', thing(10)), now + 1);
    watch.handle(failed(), now + 2);
    expect((watch.deadline() ?? 0) - now - 2).to.equal(750);
  });

  it('waits as long as the server asks for', () => {
    const watch = started();
    watch.handle(failed(429, 20_000), 0);
    expect(watch.deadline()).to.equal(20_000);
  });

  it('is not asked for without pause when every watch ends at once', () => {
    const watch = watching();
    expect(watch.handle({ kind: 'ended' }, 10)).to.deep.equal([]);
    expect(watch.deadline()).to.be.greaterThan(10 + 400);
  });

  it('whatever comes, is either being asked for or has a deadline', () => {
    const event: fc.Arbitrary<WatchEvent<Thing>> = fc.oneof(
      fc.nat(99).map((n) => listed(n % 3 === 0 ? undefined : thing(n), n)),
      fc
        .tuple(fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR', 'x'), fc.jsonValue())
        .map(([t, v]) => line(t, v)),
      fc.nat(99).map((n) => line('MODIFIED', thing(n))),
      fc.constantFrom(failed(), failed(410), failed(500), failed(429, 1_000)),
      fc.constant<WatchEvent<Thing>>({ kind: 'ended' }),
      fc.constant<WatchEvent<Thing>>({ kind: 'deadline' }),
    );
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const watch = started();
        let asked: string | undefined = 'list' as string | undefined;
        let now = 0;
        for (const one of events) {
          now = one.kind === 'deadline' ? (watch.deadline() ?? now) : now + 10;
          // The adapter tells nothing of what it was not asked for.
          const of: string | undefined =
            one.kind === 'listed' ? 'list' : one.kind === 'line' || one.kind === 'ended' ? 'watch' : asked;
          if (one.kind !== 'deadline' && of !== asked) continue;
          const over = one.kind !== 'line' && one.kind !== 'deadline';
          if (over) asked = undefined;
          for (const action of watch.handle(one, now)) {
            if (action.kind === 'cut') asked = undefined;
            if (action.kind === 'list' || action.kind === 'watch') asked = action.kind;
          }
          expect(asked !== undefined || watch.deadline() !== undefined).to.equal(true);
        }
      }),
    );
  });
});
