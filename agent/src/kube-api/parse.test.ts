import { expect } from 'chai';
import fc from 'fast-check';
import { DecodeError } from '../wire/reader.ts';
import { readLine, readPage, readStatus } from './parse.ts';
import { THING } from './testing/simulated-client.ts';

const reading = { kind: THING };
const body = { metadata: { name: 'a', uid: 'u', resourceVersion: '3' }, spec: { value: 1 } };
const good = JSON.stringify({ type: 'ADDED', object: body });
const page = JSON.stringify({ metadata: { resourceVersion: '5' }, items: [body, body] });

function refuses(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error).to.be.instanceOf(DecodeError);
  }
}

describe('text of an API server', () => {
  it('that was changed anywhere is read or refused, and ends nothing', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.tuple(fc.constantFrom(good, page), fc.nat(), fc.string({ maxLength: 3 })).map(([text, at, put]) => {
        const place = at % text.length;
        return text.slice(0, place) + put + text.slice(place + put.length);
      }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        refuses(() => readLine(text, reading));
        refuses(() => readPage(text, reading));
        readStatus(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it('cut short anywhere is refused', () => {
    for (let length = 0; length < good.length; length++)
      expect(() => readLine(good.slice(0, length), reading)).to.throw(DecodeError);
    for (let length = 0; length < page.length; length++)
      expect(() => readPage(page.slice(0, length), reading)).to.throw(DecodeError);
  });

  it('of another kind is refused', () => {
    const other = JSON.stringify({ type: 'ADDED', object: { ...body, kind: 'Node' } });
    expect(() => readLine(other, reading)).to.throw(DecodeError, 'not a Thing');
  });

  it('may have null for an empty list', () => {
    expect(readPage('{"metadata":{"resourceVersion":"5"},"items":null}', reading).items).to.deep.equal([]);
  });

  it('may name a prototype, which is a name like another', () => {
    const text =
      '{"type":"ADDED","object":{"metadata":{"name":"__proto__","uid":"u","resourceVersion":"1"},"__proto__":{"x":1}}}';
    const line = readLine(text, reading);
    expect(line.type === 'ADDED' && line.object.metadata.name).to.equal('__proto__');
    expect((Object.prototype as { x?: number }).x).to.equal(undefined);
  });
});
