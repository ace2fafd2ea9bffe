import { expect } from 'chai';
import fc from 'fast-check';
import { DecodeError } from '../wire/reader.ts';
import type { Json } from './json-rpc.ts';
import { applyDifference, type ColumnType, decodeDatum, encodeDatum, sameDatum } from './value.ts';

const STRING: ColumnType = { key: 'string', count: 'one' };
const NUMBERS: ColumnType = { key: 'integer', count: 'many' };
const UUIDS: ColumnType = { key: 'uuid', count: 'many' };
const MAP: ColumnType = { key: 'string', value: 'string', count: 'many' };
const UUID = '6f64fab4-c5c0-4987-819e-6245d2a2f3ed';

describe('values of OVSDB', () => {
  it('are read and written as in RFC 7047 §5.1', () => {
    expect(decodeDatum(STRING, 'a')).to.deep.equal(['a']);
    expect(decodeDatum(NUMBERS, ['set', [3, 1]])).to.deep.equal([1, 3]);
    expect(decodeDatum(NUMBERS, 7)).to.deep.equal([7]);
    expect(decodeDatum(UUIDS, ['uuid', UUID])).to.deep.equal([UUID]);
    expect(decodeDatum(MAP, ['map', [['a', 'b']]])).to.deep.equal(new Map([['a', 'b']]));
    expect(encodeDatum(STRING, ['a'])).to.equal('a');
    expect(encodeDatum(NUMBERS, [])).to.deep.equal(['set', []]);
    expect(encodeDatum(UUIDS, [UUID, '@row1'])).to.deep.equal([
      'set',
      [
        ['uuid', UUID],
        ['named-uuid', 'row1'],
      ],
    ]);
    expect(encodeDatum(MAP, new Map([['a', 'b']]))).to.deep.equal(['map', [['a', 'b']]]);
  });

  it('come back as they went', () => {
    const numbers = fc.uniqueArray(fc.integer());
    const map = fc.dictionary(fc.string(), fc.string()).map((object) => new Map(Object.entries(object)));
    fc.assert(fc.property(numbers, (n) => sameDatum(decodeDatum(NUMBERS, encodeDatum(NUMBERS, n)), n)));
    fc.assert(fc.property(map, (m) => sameDatum(decodeDatum(MAP, encodeDatum(MAP, m)), m)));
  });

  it('of another type, or garbage, are a DecodeError', () => {
    const wrong: readonly [ColumnType, Json][] = [
      [STRING, 5],
      [NUMBERS, 1.5],
      [NUMBERS, ['set', 5]],
      [UUIDS, UUID],
      [UUIDS, ['uuid', 'x']],
      [MAP, ['map', [['a']]]],
      [MAP, 'a'],
    ];
    for (const [type, json] of wrong) expect(() => decodeDatum(type, json), JSON.stringify(json)).to.throw(DecodeError);
    fc.assert(
      fc.property(fc.constantFrom(STRING, NUMBERS, UUIDS, MAP), fc.jsonValue(), (type, json) => {
        try {
          decodeDatum(type, json as Json);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
      }),
    );
  });

  it('change by differences as ovsdb-server(7) writes them', () => {
    expect(applyDifference(STRING, ['a'], ['b'])).to.deep.equal(['b']);
    expect(applyDifference({ key: 'integer', count: 'optional' }, [5], [])).to.deep.equal([]);
    expect(applyDifference(NUMBERS, [1, 2], [2, 3])).to.deep.equal([1, 3]);
    const old = new Map([
      ['same', '1'],
      ['gone', '2'],
      ['new value', '3'],
    ]);
    const difference = new Map([
      ['gone', '2'],
      ['new value', '4'],
      ['new', '5'],
    ]);
    const is = [
      ['same', '1'],
      ['new value', '4'],
      ['new', '5'],
    ] as const;
    expect(applyDifference(MAP, old, difference)).to.deep.equal(new Map(is));
  });
});
