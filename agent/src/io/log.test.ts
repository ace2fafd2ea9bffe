import { expect } from 'chai';

import { Pace } from './log.ts';

describe('the pace of the log', () => {
  it('lets a burst through, then a line a second, and says how many were left out', () => {
    const pace = new Pace();
    const written = Array.from({ length: 10_000 }, () => pace.take(1_000)).filter((omitted) => omitted !== undefined);
    expect(written).to.have.length(150);
    expect(pace.take(3_000)).to.equal(9_850);
    expect(pace.take(3_000)).to.equal(0);
    expect(pace.take(3_000)).to.equal(undefined);
  });
});
