import { expect } from 'chai';
import fc from 'fast-check';

import { LineError, LineReader, MAX_LINE_BYTES, parseObject } from './json-lines.ts';

/** The stream in pieces that end at these places. */
function pieces(stream: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return places.slice(1).map((end, i) => stream.subarray(places[i], end));
}

describe('JSON lines', () => {
  it('come out as they went in, wherever the socket cuts the stream', () => {
    const objects = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 8 });
    fc.assert(
      fc.property(objects, fc.array(fc.nat(), { maxLength: 20 }), (sent, cuts) => {
        const stream = Buffer.from(sent.map((object) => `${JSON.stringify(object)}\n`).join(''));
        const reader = new LineReader();
        const got = pieces(stream, cuts)
          .flatMap((piece) => reader.push(piece))
          .map(parseObject);
        expect(got).to.deep.equal(sent.map((object) => JSON.parse(JSON.stringify(object))));
      }),
    );
  });

  it('whatever the bytes are, are objects or nothing, and as many as there are line ends', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(), { maxLength: 9 }), (bytes, cuts) => {
        const reader = new LineReader();
        const lines = pieces(Buffer.from(bytes), cuts).flatMap((piece) => reader.push(piece));
        expect(lines).to.have.length(bytes.filter((byte) => byte === 10).length);
        for (const line of lines) expect(parseObject(line) ?? {}).to.be.an('object');
      }),
    );
  });

  it('that never end are an error before they fill the memory', () => {
    const reader = new LineReader();
    let taken = 0;
    expect(() => {
      for (; taken < 100 * MAX_LINE_BYTES; taken += 64 * 1_024) reader.push(Buffer.alloc(64 * 1_024, 0x20));
    }).to.throw(LineError);
    expect(taken).to.be.at.most(MAX_LINE_BYTES);
  });
});
