import { expect } from 'chai';
import fc from 'fast-check';
import { covered, described, type Found, isLost, type Late, pairsOf, type Span, stoodStill, totalsOf } from './lost.ts';

const MS = 1_000;
const late = (some: Partial<Late> = {}): Late => ({
  beganUs: 10_000 * MS,
  connectedUs: 10_001 * MS,
  takenUs: 11_200 * MS,
  answeredUs: 11_201 * MS,
  retransmitted: 0,
  error: null,
  ...some,
});

describe('a late request', () => {
  it('is lost when nobody stood still', () => {
    expect(isLost(late(), [])).to.equal(true);
  });
  it('is not lost when it would have been in time without the time an end stood still', () => {
    expect(isLost(late(), [[10_500 * MS, 10_900 * MS]])).to.equal(false);
  });
  it('is lost when the pause does not account for it', () => {
    expect(isLost(late(), [[10_500 * MS, 10_600 * MS]])).to.equal(true);
  });
  it('is lost when the pause was before or after it', () => {
    expect(
      isLost(late(), [
        [8_000 * MS, 10_000 * MS],
        [11_201 * MS, 15_000 * MS],
      ]),
    ).to.equal(true);
  });
  it('is lost when something had to be sent again, whoever stood still', () => {
    expect(isLost(late({ retransmitted: 1 }), [[10_000 * MS, 11_201 * MS]])).to.equal(true);
  });
  it('is lost when it failed or no answer came, whoever stood still', () => {
    const all: Span = [0, 100_000 * MS];
    expect(isLost(late({ error: 'Connection refused (os error 111)' }), [all])).to.equal(true);
    expect(isLost(late({ answeredUs: null }), [all])).to.equal(true);
  });
});

describe('what pauses cover', () => {
  it('counts a moment once when both ends stood still', () => {
    expect(
      covered(
        [0, 100],
        [
          [10, 30],
          [20, 40],
          [25, 28],
        ],
      ),
    ).to.equal(30);
  });
  it('is what a count of every microsecond gives', () => {
    const span = fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]): Span => [Math.min(a, b), Math.max(a, b)]);
    fc.assert(
      fc.property(span, fc.array(span), (of, pauses) => {
        const counted = Array.from({ length: of[1] - of[0] }, (_, place) => of[0] + place).filter((at) =>
          pauses.some(([from, to]) => from <= at && at < to),
        ).length;
        expect(covered(of, pauses)).to.equal(counted);
      }),
    );
  });
});

const found = (to: string, requests: readonly Late[], pauses: readonly Span[] = []): Found => ({
  beganUs: 0,
  endedUs: 20_000 * MS,
  targets: {
    [to]: { sent: 10, answered: 10 - requests.length, slowestUs: 1_201_400, retransmitted: 1, late: requests },
  },
  pauses,
});

describe('pairs of nodes', () => {
  it('take the pauses of both ends into account', () => {
    const pause: Span = [10_100 * MS, 11_100 * MS];
    const pairs = pairsOf([
      { node: 'edge1', address: '10.244.3.2:8081', found: found('10.244.4.2:8081', [late()]) },
      {
        node: 'edge2',
        address: '10.244.4.2:8081',
        found: found('10.244.3.2:8081', [late({ error: 'reset' })], [pause]),
      },
    ]);
    expect(pairs.map(({ pair, sent, lost, paused }) => [pair, sent, lost.length, paused.length])).to.deep.equal([
      ['edge1 to edge2', 10, 0, 1],
      ['edge2 to edge1', 10, 1, 0],
    ]);
    expect(pairs[0]?.slowestMs).to.equal(1_201);
    expect(totalsOf(pairs)).to.deep.equal({ sent: 20, lost: 1, paused: 1, retransmitted: 2 });
  });
  it('are refused when not every request is accounted for', () => {
    const wrong = found('10.244.3.2:8081', []);
    const short = { ...wrong, targets: { '10.244.3.2:8081': { ...wrong.targets['10.244.3.2:8081']!, answered: 9 } } };
    expect(() => pairsOf([{ node: 'edge1', address: '10.244.3.2:8081', found: short }])).to.throw('9 + 0 of 10');
  });
});

describe('for people', () => {
  it('a late request is told step by step', () => {
    expect(described(late(), 9_000 * MS)).to.deep.equal({ at: 1_000, connected: 1, taken: 1_200, answered: 1_201 });
    expect(described(late({ takenUs: null, answeredUs: null, retransmitted: 3 }), 0)).to.deep.equal({
      at: 10_000,
      connected: 1,
      taken: null,
      answered: null,
      retransmitted: 3,
    });
  });
  it('a process stood still for so long at most, and for such a share of the time', () => {
    expect(
      stoodStill(
        [
          [0, 50 * MS],
          [90 * MS, 120 * MS],
        ],
        [0, 100 * MS],
      ),
    ).to.deep.equal({ longestMs: 50, share: 0.6 });
    expect(stoodStill([], [0, 1])).to.deep.equal({ longestMs: 0, share: 0 });
  });
});
