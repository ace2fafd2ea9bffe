import { expect } from 'chai';
import { describe as describeEnd, type Executed, rateOf, reached, readEnd } from './fuzz-result.ts';

const OUTPUT = `INFO: Running with entropic power schedule (0xFF, 100).
INFO: Seed: 2734612
INFO:     1024 files found in corpus
#1025	INITED cov: 812 ft: 2301 corp: 400/31Kb exec/s: 0 rss: 61Mb
#65536	pulse  cov: 820 ft: 2333 corp: 402/31Kb lim: 877 exec/s: 32768 rss: 73Mb
#131072	DONE   cov: 823 ft: 2340 corp: 405/31Kb lim: 1203 exec/s: 32768 rss: 74Mb
Done 131072 runs in 4 second(s)
`;
const executed = (inputs: number, seconds: number): Executed => ({ inputs, seconds, places: 823, kept: 405 });

describe('the end of a run of a fuzz target', () => {
  it('tells how many inputs were executed, in what time, and how far they came', () => {
    expect(readEnd(0, OUTPUT)).to.deep.equal(executed(131_072, 4));
    expect(readEnd(0, 'Done 12 runs in 0 second(s)\n')).to.deep.equal({
      inputs: 12,
      seconds: 0,
      places: undefined,
      kept: undefined,
    });
  });

  it('is none where the target was broken, killed, or never began', () => {
    expect(readEnd(77, OUTPUT)).to.equal(undefined);
    expect(readEnd(0, OUTPUT.replace(/^Done.*$/m, ''))).to.equal(undefined);
    expect(readEnd(127, '')).to.equal(undefined);
  });

  it('is reached with as many inputs as there were to be, and with any number where none is given', () => {
    for (const [inputs, goal, is] of [
      [10_000_000, 10_000_000, true],
      [10_000_123, 10_000_000, true],
      [9_999_999, 10_000_000, false],
      [0, undefined, true],
    ] as const)
      expect(reached(executed(inputs, 9), goal), `${inputs} of ${goal}`).to.equal(is);
  });

  it('says of a slow target how far it came and how long all would have taken', () => {
    const slow = executed(360_000, 3_600);
    expect(rateOf(slow)).to.equal(100);
    expect(describeEnd(slow, 10_000_000)).to.equal(
      'FAILED: 360000 of 10000000 inputs in 3600 s, 100/s, 823 places reached by 405 inputs: the time was over first, all of them take about 28 hours here',
    );
    expect(describeEnd(slow, 360_000)).to.equal(
      '360000 of 360000 inputs in 3600 s, 100/s, 823 places reached by 405 inputs',
    );
    expect(describeEnd(executed(40, 0), undefined)).to.equal(
      '40 inputs in 0 s, 40/s, 823 places reached by 405 inputs',
    );
  });
});
