import { isIP } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';

import { formatCandidate, formatCandidateLine, parseCandidate } from './candidate.ts';
import { EDGE_KINDS } from './kinds.ts';
import { formatNote, parseNote } from './note.ts';

const candidate = fc.record({
  foundation: fc.stringMatching(/^[A-Za-z0-9+/]{1,32}$/),
  priority: fc.nat({ max: 0xffffffff }),
  address: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 1, max: 65_535 }),
  type: fc.constantFrom('host', 'srflx', 'prflx', 'relay'),
});
/** A right line with something put into it, or nothing right at all. */
const line = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 700 }),
  fc
    .tuple(candidate, fc.nat({ max: 120 }), fc.nat({ max: 9 }), fc.string({ maxLength: 9 }))
    .map(([one, at, cut, noise]) => {
      const text = formatCandidate(one);
      return text.slice(0, at) + noise + text.slice(at + cut);
    }),
);

describe("a peer's candidate", () => {
  it('is the same candidate again when it is written anew', () => {
    fc.assert(
      fc.property(candidate, (one) => {
        // IPv6 with a dotted end has 45 characters at most; fast-check writes some that are not addresses to Node.
        fc.pre(isIP(one.address) !== 0 && one.address.length <= 45);
        expect(parseCandidate(formatCandidate(one))).to.deep.equal(one);
      }),
    );
  });

  it('whatever it is, is nothing or a candidate of which nothing but checked parts is written on', () => {
    fc.assert(
      fc.property(line, (text) => {
        const parsed = parseCandidate(text);
        if (parsed === undefined) return;
        expect(isIP(parsed.address)).to.not.equal(0);
        const written = formatCandidateLine(parsed);
        expect(written).to.match(/^candidate:[A-Za-z0-9+/]+ 1 UDP \d+ [0-9A-Fa-f.:]+ \d+ typ [a-z]+/);
        expect(written).to.not.match(/[\r\n]/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of great length is refused within a moment', () => {
    for (const part of ['1 ', ' ', 'a', '0'.repeat(10), '1 1 1.1.1.1 1 h'])
      expect(parseCandidate(part.repeat(100_000))).to.equal(undefined);
  });
});

describe("a tunnel's note", () => {
  it('is read as it was written, and as an empty one whatever else it is', () => {
    const kinds = fc.subarray([...EDGE_KINDS]);
    fc.assert(
      fc.property(kinds, kinds, (mine, theirs) => {
        expect(parseNote(formatNote({ mine, theirs }))).to.deep.equal({ mine, theirs });
      }),
    );
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const { mine, theirs } = parseNote(text);
        for (const kind of [...mine, ...theirs]) expect(EDGE_KINDS).to.include(kind);
      }),
    );
  });
});
