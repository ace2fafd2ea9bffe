import { expect } from 'chai';
import { ConnectionTold, Told } from './told.ts';

describe('problems that come back', () => {
  it('are told once each, also when they take turns, and again after all was well', () => {
    const told = new Told();
    expect(told.well()).to.equal(false);
    expect(['a', 'b', 'a', 'b', 'a'].map((p) => told.problem(p))).to.deep.equal([true, true, false, false, false]);
    expect([told.well(), told.well()]).to.deep.equal([true, false]);
    expect(told.problem('a')).to.equal(true);
  });
});

describe('a connection that comes and goes', () => {
  it('is told to stand at first, and after each problem that was told', () => {
    const told = new ConnectionTold();
    expect([told.up(0), told.up(1)]).to.deep.equal([true, false]);
    expect([told.down('a', 2), told.down('a', 3), told.up(4)]).to.deep.equal([true, false, true]);
  });

  it('is told once to be cut when it is cut again and again, and again when it had stood for a while', () => {
    const told = new ConnectionTold();
    told.up(0);
    const again = [1_000, 2_000, 3_000].flatMap((at) => [told.down('a', at), told.up(at + 1)]);
    expect(again).to.deep.equal([true, true, false, false, false, false]);
    expect(told.down('a', 20_000)).to.equal(true);
  });
});
