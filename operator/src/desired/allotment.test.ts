import { expect } from 'chai';
import fc from 'fast-check';
import { contains, parsePrefix } from '../../../agent/src/wire/address.ts';
import { overlaps } from '../../../agent/src/wire/pool.ts';
import { type Allotment, allot, type Claim, doubles, free, type Pools } from './allotment.ts';

const pools = (nodes: readonly string[], pods: readonly (readonly [string, number])[] = []): Pools => ({
  nodes: nodes.map(parsePrefix),
  pods: pods.map(([text, length]) => ({ prefix: parsePrefix(text), length })),
});
const BOTH = pools(
  ['10.45.0.0/16', 'fd45::/64'],
  [
    ['10.244.0.0/16', 24],
    ['fd00:10:244::/48', 64],
  ],
);

const claim = (
  name: string,
  addresses: string[],
  podCIDRs: string[] = [],
  created = '2026-01-01T00:00:00Z',
): Claim => ({
  name,
  created,
  addresses,
  podCIDRs,
});

const entered = (granted: ReadonlyMap<string, Allotment>): Claim[] =>
  [...granted].map(([name, a]) => claim(name, [...a.addresses], [...a.podCIDRs]));

describe('the addresses and pod CIDRs a node gets', () => {
  it('are the lowest that are free in both families, and end alike', () => {
    const { granted } = allot(BOTH, [], ['a', 'b']);
    expect(granted.get('a')).to.deep.equal({
      addresses: ['10.45.0.1/16', 'fd45::1/64'],
      podCIDRs: ['10.244.0.0/24', 'fd00:10:244::/64'],
    });
    expect(granted.get('b')).to.deep.equal({
      addresses: ['10.45.0.2/16', 'fd45::2/64'],
      podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
    });
  });

  it('are those of a node that is gone, before new ones', () => {
    const book = [claim('a', ['10.45.0.1/16'], ['10.244.0.0/24']), claim('c', ['10.45.0.3/16'], ['10.244.2.0/24'])];
    const { granted } = allot(pools(['10.45.0.0/16'], [['10.244.0.0/16', 24]]), book, ['d', 'e']);
    expect(granted.get('d')).to.deep.equal({ addresses: ['10.45.0.2/16'], podCIDRs: ['10.244.1.0/24'] });
    expect(granted.get('e')).to.deep.equal({ addresses: ['10.45.0.4/16'], podCIDRs: ['10.244.3.0/24'] });
  });

  it('avoid pieces of another length, from before nodePrefixLength was changed', () => {
    const book = [claim('a', ['10.45.0.1/16'], ['10.244.0.0/24']), claim('b', ['10.45.0.2/16'], ['10.244.1.64/26'])];
    const { granted } = allot(pools(['10.45.0.0/16'], [['10.244.0.0/16', 26]]), book, ['c', 'd']);
    expect(granted.get('c')?.podCIDRs).to.deep.equal(['10.244.1.0/26']);
    expect(granted.get('d')?.podCIDRs).to.deep.equal(['10.244.1.128/26']);
    const { granted: coarser } = allot(pools(['10.45.0.0/16'], [['10.244.0.0/16', 23]]), book, ['c']);
    expect(coarser.get('c')?.podCIDRs).to.deep.equal(['10.244.2.0/23']);
  });

  it('are none in a network without pods', () => {
    expect(allot(pools(['10.45.0.0/16']), [], ['a']).granted.get('a')?.podCIDRs).to.deep.equal([]);
  });

  it('run out, and who waits is told of what; nothing is lost by that', () => {
    const small = pools(['10.45.0.0/29'], [['10.244.0.0/23', 24]]);
    const { granted, refused } = allot(small, [], ['a', 'b', 'c']);
    expect([...granted.keys()]).to.deep.equal(['a', 'b']);
    expect(refused.get('c')).to.equal('pods');
    const few = allot(pools(['10.45.0.0/30'], [['10.244.0.0/16', 24]]), [], ['a', 'b', 'c']);
    expect(few.refused.get('c')).to.equal('addresses');
    expect(
      allot(pools(['10.45.0.0/30'], [['10.244.0.0/16', 24]]), entered(few.granted).slice(1), ['c']).granted.get('c'),
    ).to.deep.equal({ addresses: ['10.45.0.1/30'], podCIDRs: ['10.244.0.0/24'] });
  });

  it('come from a large pool in no time, also of IPv6', () => {
    const names = Array.from({ length: 2_000 }, (_, i) => `node-${i}`);
    const { granted } = allot(BOTH, [], names.slice(0, 256));
    expect(granted.size).to.equal(256);
    const wide = pools(['fd45::/64'], [['fd00::/32', 64]]);
    const all = allot(wide, [], names);
    expect(all.granted.size).to.equal(2_000);
    expect(allot(wide, entered(all.granted), ['one-more']).granted.get('one-more')?.addresses).to.deep.equal([
      'fd45::7d1/64',
    ]);
  });
});

/** What an operator does over time: nodes come in any order and go again, and it may be started anew at any point. */
const histories = fc.array(
  fc.oneof(
    fc.record({
      what: fc.constant('come' as const),
      nodes: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 8 }),
    }),
    fc.record({
      what: fc.constant('go' as const),
      nodes: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 8 }),
    }),
  ),
  { maxLength: 20 },
);

describe('whatever nodes come and go', () => {
  const tight = pools(
    ['10.45.0.0/27', 'fd45::/120'],
    [
      ['10.244.0.0/20', 24],
      ['fd00::/59', 64],
    ],
  );

  it('no address and no piece is given twice, and none that is taken or outside the pool', () => {
    fc.assert(
      fc.property(histories, (history) => {
        let book: Claim[] = [];
        for (const { what, nodes } of history) {
          const names = nodes.map((n) => `n${n}`);
          if (what === 'go') book = book.filter((c) => !names.includes(c.name));
          else {
            const waiting = names.filter((name) => !book.some((c) => c.name === name));
            const { granted, refused } = allot(tight, book, waiting);
            expect(granted.size + refused.size).to.equal(waiting.length);
            book = [...book, ...entered(granted)];
          }
          const addresses = book.flatMap((c) => c.addresses);
          expect(new Set(addresses).size).to.equal(addresses.length);
          const pieces = book.flatMap((c) => c.podCIDRs.map(parsePrefix));
          for (const [i, piece] of pieces.entries()) {
            expect(tight.pods.some(({ prefix }) => contains(prefix, piece.address))).to.equal(true);
            expect(pieces.slice(i + 1).some((other) => overlaps(piece, other))).to.equal(false);
          }
          expect(doubles(book)).to.deep.equal([]);
          expect(free(tight, book)).to.deep.equal({ nodes: 30 - book.length, pieces: 16 - book.length });
        }
      }),
      { numRuns: 30 },
    );
  });

  it('a node is refused only when nothing is left', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { minLength: 17 }), (nodes) => {
        const { granted } = allot(
          tight,
          [],
          nodes.map((n) => `n${n}`),
        );
        expect(granted.size).to.equal(16);
      }),
    );
  });

  it('the order in the book does not matter, and who is written down at once gets what it would have got later', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(Array.from({ length: 12 }, (_, i) => i)), fc.integer(), (nodes, seed) => {
        const before = entered(allot(tight, [], ['x', 'y', 'z']).granted).filter((_, i) => ((seed >> i) & 1) === 0);
        const waiting = nodes.map((n) => `n${n}`).sort();
        const at = allot(tight, before, waiting).granted;
        expect(allot(tight, [...before].reverse(), waiting).granted).to.deep.equal(at);
        // One reconcile per node, each seeing what the others have written, in any order.
        let book = before;
        for (const node of nodes) {
          const name = `n${node}`;
          const open = waiting.filter((w) => !book.some((c) => c.name === w));
          const mine = allot(tight, book, open).granted.get(name);
          expect(mine).to.deep.equal(at.get(name));
          if (mine !== undefined) book = [...book, claim(name, [...mine.addresses], [...mine.podCIDRs])];
        }
      }),
    );
  });
});

describe('entries that claim the same', () => {
  const older = claim('b', ['10.45.0.1/16', 'fd45::1/64'], ['10.244.0.0/24'], '2026-01-01T00:00:00Z');

  it('are found by address and by piece, and the younger one has to go', () => {
    expect(doubles([older, claim('a', ['10.45.0.1/16'], [], '2026-01-01T00:00:01Z')])).to.deep.equal(['a']);
    expect(doubles([claim('a', ['fd45::1/64'], [], '2026-01-01T00:00:01Z'), older])).to.deep.equal(['a']);
    expect(doubles([claim('a', ['10.45.0.9/16'], ['10.244.0.128/26'], '2026-01-01T00:00:01Z'), older])).to.deep.equal([
      'a',
    ]);
    expect(doubles([claim('a', [], ['10.240.0.0/13'], '2026-01-01T00:00:01Z'), older])).to.deep.equal(['a']);
    expect(doubles([claim('c', ['10.45.0.1/16'], []), older])).to.deep.equal(['c']);
  });

  it('are none where only the prefix length is the same, or where a pod CIDR has the form of an address', () => {
    expect(doubles([older, claim('a', ['10.45.0.2/16'], ['10.45.0.1/32'])])).to.deep.equal([]);
  });

  it('never leave two that still overlap once the younger ones are gone', () => {
    const entry = fc.record({
      name: fc.uuid(),
      created: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
      addresses: fc.array(
        fc.integer({ min: 1, max: 9 }).map((n) => `10.45.0.${n}/16`),
        { maxLength: 1 },
      ),
      podCIDRs: fc.array(
        fc
          .tuple(fc.integer({ min: 22, max: 26 }), fc.integer({ min: 0, max: 3 }))
          .map(([length, n]) => `10.244.${length < 24 ? 4 * n : n}.0/${length}`),
        { maxLength: 1 },
      ),
    });
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: (e) => e.name, maxLength: 12 }), (book) => {
        const gone = new Set(doubles(book));
        const left = book.filter((c) => !gone.has(c.name));
        for (const [i, a] of left.entries())
          for (const b of left.slice(i + 1)) {
            expect(a.addresses.some((x) => b.addresses.includes(x))).to.equal(false);
            expect(a.podCIDRs.some((x) => b.podCIDRs.some((y) => overlaps(parsePrefix(x), parsePrefix(y))))).to.equal(
              false,
            );
          }
        if (book.length > 0) expect(left.length).to.be.greaterThan(0);
      }),
    );
  });
});
