import { expect } from 'chai';
import { judgeDatagrams, judgeLost, judgeStream, sizeFits } from './judge.ts';
import type { Datagrams, Stream } from './transfer.ts';

const stream = (arrived: Partial<Stream['arrived']> = {}): Stream => ({
  sent: 300_000_000,
  bytes: 300_000_000,
  seconds: 1.23,
  arrived: { bytes: 300_000_000, firstDifference: null, longestPauseMs: 40, error: null, ...arrived },
});
const datagrams = (arrived: Partial<Datagrams['arrived']> = {}): Datagrams => ({
  sent: 1_000,
  bytes: 4_500_000,
  seconds: 0.5,
  arrived: {
    received: 1_000,
    bytes: 4_500_000,
    duplicated: 0,
    reordered: 0,
    damaged: 0,
    firstDamage: null,
    ...arrived,
  },
});

describe('judging a stream', () => {
  it('finds nothing where all bytes arrived in time', () => {
    const found = judgeStream(stream(), 3_000);
    expect(found).to.deep.equal({ ok: true, value: '300 MB in 1.2 s, longest pause 40 ms' });
  });

  for (const [what, arrived, words] of [
    ['a byte that is another one', { firstDifference: 0 }, 'another byte at 0 of 300000000'],
    ['a stream that is too short', { bytes: 299_999_999 }, '299999999 of 300000000 bytes'],
    ['a stream that is too long', { bytes: 300_000_001 }, '300000001 of 300000000 bytes'],
    ['a pause beyond the limit', { longestPauseMs: 3_001 }, 'nothing for 3001 ms'],
    ['a connection that broke', { error: 'nothing goes on' }, 'nothing goes on'],
  ] as const)
    it(`finds ${what}`, () => {
      expect(judgeStream(stream(arrived), 3_000)).to.deep.equal({ ok: false, value: words });
    });
});

describe('judging a row of datagrams', () => {
  it('finds nothing where all that arrived came once, in order and whole', () => {
    expect(judgeDatagrams(datagrams({ received: 990 }))).to.deep.equal({
      ok: true,
      value: '990 of 1000, 4.5 MB in 0.5 s',
    });
  });

  it('lets them come in another order where that is said', () => {
    expect(judgeDatagrams(datagrams({ reordered: 3 }), true).ok).to.equal(true);
    expect(judgeDatagrams(datagrams({ reordered: 3, duplicated: 1 }), true).ok).to.equal(false);
  });

  for (const [what, arrived, words] of [
    ['duplicates', { duplicated: 2 }, '2 came twice'],
    ['reordered ones', { reordered: 3 }, '3 after a later one'],
    ['that nothing came', { received: 0 }, 'none of 1000 arrived'],
    [
      'damaged ones, with the place',
      { damaged: 1, firstDamage: { number: 7, size: 500, at: 499 } },
      '1 damaged (the first is number 7 of 500 bytes, at 499)',
    ],
  ] as const)
    it(`finds ${what}`, () => {
      expect(judgeDatagrams(datagrams(arrived))).to.deep.equal({ ok: false, value: words });
    });
});

describe('judging what was lost', () => {
  const row = (received: number) => datagrams({ received });

  it('lets a full queue have dropped it, and nothing else', () => {
    expect(judgeLost(row(1_000), new Map())).to.deep.equal({ ok: true, value: '0 of 1000' });
    expect(judgeLost(row(999), new Map())).to.deep.equal({ ok: false, value: '1 of 1000' });
    expect(judgeLost(row(990), new Map([['a evio0-tap tx_dropped', 9]])).ok).to.equal(false);
    expect(judgeLost(row(990), new Map([['a evio0-tap tx_dropped', 12]]))).to.deep.equal({
      ok: true,
      value: '10 of 1000; queues that were full dropped 12 frames: a evio0-tap tx_dropped 12',
    });
  });

  it('forgives a relay one in fifty', () => {
    expect(judgeLost(row(980), new Map(), true).ok).to.equal(true);
    expect(judgeLost(row(979), new Map(), true).ok).to.equal(false);
  });
});

describe('judging the size that probing has found', () => {
  it('takes one that passes and is near what could', () => {
    for (const [mtu, size] of [
      [1_280, 1_200],
      [1_400, 1_340],
      [1_500, 1_472],
      [9_000, 8_972],
    ] as const)
      expect(sizeFits(size, mtu), String(mtu)).to.equal(true);
  });

  it('takes none that does not pass, and none that leaves much unused', () => {
    expect(sizeFits(1_280, 1_280)).to.equal(false);
    expect(sizeFits(1_473, 1_500)).to.equal(false);
    expect(sizeFits(1_200, 1_500)).to.equal(false);
  });
});
