import { expect } from 'chai';
import fc from 'fast-check';
import { learned, nextRate, type Search, UNKNOWN } from './bisect.ts';

/** Searches on a line that carries `limit` a second, by a sender that makes `most`. */
function found(limit: number, most: number, first = 20_000): { readonly rate: number; readonly trials: number } {
  let search: Search = UNKNOWN;
  for (let trials = 0; ; trials++) {
    const rate = nextRate(search, first);
    if (rate === undefined) return { rate: search.low, trials };
    const reached = Math.min(rate, most);
    search = learned(search, rate, { ok: reached <= limit, reached });
    if (trials > 60) throw new Error(`no end: ${JSON.stringify(search)}`);
  }
}

describe('bench: the highest rate that works', () => {
  it('is found to a few percent, above and below where the search began', () => {
    for (const limit of [1_000, 19_000, 21_000, 300_000]) {
      const { rate } = found(limit, Number.POSITIVE_INFINITY);
      expect(rate, `${limit}`).to.be.within(limit / 1.07, limit);
    }
  });

  it('is what the sender makes, when the line takes all of that', () => {
    expect(found(1e9, 123_000).rate).to.equal(123_000);
  });

  it('is nothing when nothing works', () => {
    expect(found(0, 1e9).rate).to.equal(0);
  });

  it('takes few trials when the search begins near it', () => {
    expect(found(100_000, 1e9, 95_000).trials).to.be.at.most(7);
  });

  it('is never more than the line carries, whatever the line', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_000_000 }), fc.integer({ min: 600, max: 2_000_000 }), (limit, most) => {
        expect(found(limit, most).rate).to.be.at.most(limit);
      }),
    );
  });
});
