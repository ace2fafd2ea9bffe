import { expect } from 'chai';
import { best, difference, ratio, summary } from './stats.ts';

const series = (...values: readonly number[]): ReadonlyMap<number, number> =>
  new Map(values.map((value, i) => [i + 1, value]));

describe('bench: numbers of rounds', () => {
  it('are said as median, least and most', () => {
    expect(summary([5, 1, 3])).to.deep.equal({ median: 3, min: 1, max: 5, count: 3 });
  });

  it('have the mean of the two in the middle when there is no middle one', () => {
    expect(summary([4, 1, 2, 10])?.median).to.equal(3);
  });

  it('say nothing when there are none, and leave out what was not measured', () => {
    expect(summary([])).to.equal(undefined);
    expect(summary([Number.NaN, 2])).to.deep.equal({ median: 2, min: 2, max: 2, count: 1 });
  });

  it('are compared within a round, not by their medians', () => {
    // A machine that slows down by half each round: twice as fast is seen as twice as fast all the same.
    const fast = series(80, 40, 20);
    const slow = series(40, 20, 10);
    expect([...ratio(fast, slow).values()]).to.deep.equal([2, 2, 2]);
  });

  it('leave out rounds that one of the two does not have', () => {
    const short = new Map([[2, 20]]);
    expect([...ratio(series(80, 40, 20), short)]).to.deep.equal([[2, 2]]);
    expect([...difference(series(80, 40, 20), short)]).to.deep.equal([[2, 20]]);
  });

  it('have a best of several, which may be another one each round', () => {
    expect([...best([series(1, 9), series(5, 2)]).values()]).to.deep.equal([5, 9]);
  });
});
