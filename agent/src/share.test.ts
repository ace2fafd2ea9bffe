import { expect } from 'chai';

import { Share } from './share.ts';

const taken = (share: Share, key: string, now: number, tries = 1_000): number =>
  Array.from({ length: tries }, () => share.take(key, now)).filter(Boolean).length;

describe("a member's share of this agent", () => {
  it('is its burst at once, its rate after that, and never more than its burst', () => {
    const share = new Share({ perSecond: 5, burst: 20 });
    expect(taken(share, 'a', 0)).to.equal(20);
    expect(taken(share, 'a', 0)).to.equal(0);
    expect(taken(share, 'a', 2_000)).to.equal(10);
    expect(taken(share, 'a', 1_000_000)).to.equal(20);
  });

  it('is of nobody else', () => {
    const share = new Share({ perSecond: 5, burst: 20 });
    taken(share, 'a', 0);
    expect(taken(share, 'b', 0)).to.equal(20);
  });

  it('is forgotten with those who owe nothing, so that it takes no endless memory', () => {
    const share = new Share({ perSecond: 5, burst: 20 });
    for (let i = 0; i < 100_000; i++) share.take(`member ${i}`, i * 10);
    expect(share.size).to.be.at.most(1_100);
  });
});
