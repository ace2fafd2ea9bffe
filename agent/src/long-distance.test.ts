import { expect } from 'chai';
import { decodeLongDistance, encodeLongDistance, linksAmong, parseLongDistance } from './long-distance.ts';

describe('the number of long-distance links', () => {
  it('is what was set, ceil(log2 n) for auto, and at most the bound where auto has one', () => {
    const sizes = [1, 2, 7, 8, 9, 1_000];
    expect(sizes.map((n) => linksAmong(6, n))).to.deep.equal([6, 6, 6, 6, 6, 6]);
    expect(sizes.map((n) => linksAmong('auto', n))).to.deep.equal([0, 1, 3, 3, 4, 10]);
    expect(sizes.map((n) => linksAmong('auto:3', n))).to.deep.equal([0, 1, 3, 3, 3, 3]);
  });

  it('is read as people write it, and nothing else is', () => {
    expect(['auto', '0', '64', 'auto:8', 'auto:08'].map(parseLongDistance)).to.deep.equal([
      'auto',
      0,
      64,
      'auto:8',
      'auto:8',
    ]);
    for (const bad of ['', '65', '-1', 'auto:', 'auto:65', 'auto:-1', 'auto8', ' 8', '1e1'])
      expect(parseLongDistance(bad), bad).to.equal(undefined);
  });

  it('fits a byte, and a byte that stands for nothing is refused', () => {
    for (const value of ['auto', 0, 64, 'auto:0', 'auto:64'] as const)
      expect(decodeLongDistance(encodeLongDistance(value))).to.equal(value);
    expect([193, 254].map(decodeLongDistance)).to.deep.equal([undefined, undefined]);
  });
});
