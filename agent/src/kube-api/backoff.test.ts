import { expect } from 'chai';
import { Backoff, pauseAfter } from './backoff.ts';

const options = (random: number) => ({ firstMs: 500, maxMs: 30_000, random: () => random });

describe('the pause after a failure', () => {
  it('is doubled with each in a row, up to the longest', () => {
    const pauses = [0, 1, 2, 3, 5, 6, 7, 100, 5_000].map((failures) => pauseAfter(failures, options(1)));
    expect(pauses).to.deep.equal([500, 1_000, 2_000, 4_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  });

  it('is drawn between half of the step and all of it', () => {
    expect([0, 0.5, 1].map((random) => pauseAfter(2, options(random)))).to.deep.equal([1_000, 1_500, 2_000]);
  });

  it('is no shorter than what the server asked for', () => {
    expect(pauseAfter(0, options(1), 7_000)).to.equal(7_000);
    expect(pauseAfter(9, options(1), 7_000)).to.equal(30_000);
  });

  it('begins anew when an attempt works', () => {
    const backoff = new Backoff(options(1));
    expect([backoff.pauseMs(), backoff.pauseMs(), backoff.pauseMs(9_000)]).to.deep.equal([500, 1_000, 9_000]);
    backoff.reset();
    expect(backoff.pauseMs()).to.equal(500);
  });
});
