import { expect } from 'chai';
import fc from 'fast-check';
import { credit, HEADER_BYTES, MAX_PAYLOAD_BYTES, RelayBatch, RelayFormatError, RelayReader } from './relay-frames.ts';

type Seen = { port: number; record: string };

function reader(seen: Seen[], batches: number[] = []): RelayReader {
  return new RelayReader({
    record: (port, chunk, offset, size) => {
      seen.push({ port, record: chunk.toString('hex', offset, offset + size) });
      // As the relay does: the RTP header is written over what stands before the record.
      chunk.fill(0xee, Math.max(0, offset - 12), offset);
    },
    batch: (_port, bytes) => batches.push(bytes),
  });
}

/** Written out again, so that a mistake of the sender's cannot hide itself. */
function encodeRecords(port: number, records: readonly Uint8Array[]): Buffer {
  const payload = Buffer.concat(
    records.flatMap((record) => [Buffer.of(record.length >> 8, record.length & 0xff), record]),
  );
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(payload.length, 0);
  header.writeUInt16BE(port, 4);
  header[6] = 1;
  return Buffer.concat([header, payload]);
}

function push(reader: RelayReader, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const space = reader.space();
    const part = bytes.subarray(at, at + space.length);
    space.set(part);
    reader.filled(part.length);
    at += part.length;
  }
}

const batchArbitrary = fc.record({
  port: fc.integer({ min: 0, max: 65_535 }),
  records: fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 8 }),
});

describe('relay frames', () => {
  it('come out as they went in, wherever the stream is split and although used bytes are overwritten', () => {
    fc.assert(
      fc.property(
        fc.array(batchArbitrary, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 300 })),
        (batches, cuts) => {
          const stream = Buffer.concat(batches.map(({ port, records }) => encodeRecords(port, records)));
          const seen: Seen[] = [];
          const one = reader(seen);
          let at = 0;
          for (const cut of [...cuts, stream.length]) {
            push(one, stream.subarray(at, at + cut));
            at += cut;
            if (at >= stream.length) break;
          }
          expect(seen).to.deep.equal(
            batches.flatMap(({ port, records }) =>
              records.map((record) => ({ port, record: Buffer.from(record).toString('hex') })),
            ),
          );
        },
      ),
    );
  });

  it('come out whole when they fill the buffer many times over', () => {
    const seen: Seen[] = [];
    const one = reader(seen);
    const batch = encodeRecords(
      16,
      Array.from({ length: 50 }, (_, i) => Buffer.alloc(1300, i)),
    );
    const stream = Buffer.concat(Array.from({ length: 20 }, () => batch));
    for (let at = 0; at < stream.length; at += 40_000) push(one, stream.subarray(at, at + 40_000));
    expect(seen).to.have.length(1000);
    expect(seen.every(({ record }, i) => record === Buffer.alloc(1300, i % 50).toString('hex'))).to.equal(true);
  });

  it('are counted with their sizes, as credits are', () => {
    const batches: number[] = [];
    push(reader([], batches), encodeRecords(16, [Buffer.alloc(10), Buffer.alloc(20)]));
    expect(batches).to.deep.equal([34]);
  });

  it('are gathered without what stands before them', () => {
    const batch = new RelayBatch(16, Buffer.alloc(HEADER_BYTES + MAX_PAYLOAD_BYTES));
    batch.add(Buffer.from('c7010203', 'hex'), 0);
    batch.add(Buffer.from('000000c301', 'hex'), 3);
    expect(batch.finish().toString('hex')).to.equal('0000000a' + '0010' + '01' + '00' + '0004c7010203' + '0002c301');
  });

  it('do not outgrow a batch', () => {
    const batch = new RelayBatch(16, Buffer.alloc(HEADER_BYTES + 10));
    expect(batch.add(Buffer.alloc(8), 0)).to.equal(true);
    expect(batch.add(Buffer.alloc(1), 0)).to.equal(false);
  });

  for (const [name, hex] of [
    ['a payload that is too long', '00010001001001 00'],
    ['an unknown kind', '00000003 0010 03 00 0001c3'],
    ['a credit, which only the agent gives', '00000004 0010 02 00 00000001'],
    ['a byte that must be zero', '00000003 0010 01 01 0001c3'],
    ['a record without a byte', '00000002 0010 01 00 0000'],
    ['a record longer than its batch', '00000003 0010 01 00 0002c3'],
    ['a size cut in two', '00000001 0010 01 00 00'],
  ] as const)
    it(`are refused with ${name}`, () => {
      expect(() => push(reader([]), Buffer.from(hex.replaceAll(' ', ''), 'hex'))).to.throw(RelayFormatError);
    });

  it('give credits', () => {
    expect(credit(16, 65_536).toString('hex')).to.equal('00000004' + '0010' + '02' + '00' + '00010000');
  });
});
