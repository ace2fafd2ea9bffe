/** The hex was checked by eye against OpenFlow 1.3.5 and printed by `ovs-ofctl ofp-print`, which read it as the name says. */

import { expect } from 'chai';
import fc from 'fast-check';
import { DecodeError } from '../../wire/reader.ts';
import { FLOW_MOD_DEFAULTS } from './flow.ts';
import { decode, encode, type Message } from './message.ts';
import { Splitter } from './splitter.ts';

const CASES: readonly { readonly name: string; readonly wire: string; readonly message: Message }[] = [
  {
    name: 'hello with version bitmap 0x04',
    wire: '04000010 00000001 0001 0008 00000010',
    message: { type: 'hello', xid: 1, versions: [4] },
  },
  {
    name: 'error OFPFMFC_BAD_TABLE_ID with the message complained of',
    wire: '04010014 00000001 0005 0002 040e003000000007',
    message: { type: 'error', xid: 1, errorType: 5, code: 2, data: Buffer.from('040e003000000007', 'hex') },
  },
  {
    name: 'echo request',
    wire: '0402000a 00000002 6576',
    message: { type: 'echo-request', xid: 2, data: Buffer.from('ev') },
  },
  {
    name: 'echo reply',
    wire: '04030008 00000002',
    message: { type: 'echo-reply', xid: 2, data: Buffer.alloc(0) },
  },
  { name: 'features request', wire: '04050008 00000003', message: { type: 'features-request', xid: 3 } },
  {
    name: 'features reply dpid:5 n_tables:6',
    wire: '04060020 00000001 0000000000000005 00000000 06 00 0000 00000007 00000000',
    message: { type: 'features-reply', xid: 1, datapathId: 5n, tables: 6, capabilities: 7 },
  },
  {
    name: 'set config miss_send_len=65535',
    wire: '0409000c 00000001 0000 ffff',
    message: { type: 'set-config', xid: 1, missSendBytes: 0xffff },
  },
  {
    name: 'packet in (via action) tun_id=0x5,in_port=1',
    wire: `040a0035 00000001 ffffffff 0003 01 02 0000000000000001
           0001 0018 80000004 00000001 80004c08 0000000000000005
           0000 aabbcc`,
    message: {
      type: 'packet-in',
      xid: 1,
      reason: 'action',
      table: 2,
      cookie: 1n,
      match: { in_port: { value: 1n }, tunnel_id: { value: 5n } },
      frame: Buffer.from('aabbcc', 'hex'),
    },
  },
  {
    name: 'flow removed priority=2,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 reason=delete',
    wire: `040b0048 00000001 0000000000000001 0002 02 03 00000000 00000000 0000 0000 0000000000000001 0000000000000002
           0001 0014 8000070c 010000000000 010000000000 00000000`,
    message: {
      type: 'flow-removed',
      xid: 1,
      cookie: 1n,
      priority: 2,
      reason: 'delete',
      table: 3,
      packets: 1n,
      bytes: 2n,
      match: { eth_dst: { value: 0x010000000000n, mask: 0x010000000000n } },
    },
  },
  {
    name: 'port status MOD: 16(t-home1) LINK_DOWN',
    wire: `040c0050 00000001 02 00000000000000
           00000010 00000000 020000000001 0000 742d686f6d6531000000000000000000 00000000 00000001
           00000000 00000000 00000000 00000000 00000000 00000000`,
    message: {
      type: 'port-status',
      xid: 1,
      reason: 'modify',
      port: { number: 16, mac: '02:00:00:00:00:01', name: 't-home1', linkDown: true },
    },
  },
  {
    name: 'packet out in_port=CONTROLLER actions=output:1',
    wire: '040d002b 00000001 ffffffff fffffffd 0010 000000000000 0000 0010 00000001 0000 000000000000 aabbcc',
    message: {
      type: 'packet-out',
      xid: 1,
      inPort: 0xfffffffd,
      actions: [{ type: 'output', port: 1 }],
      frame: Buffer.from('aabbcc', 'hex'),
    },
  },
  {
    name: 'flow mod ADD table:3 actions=set_field:0x2..->tun_id,goto_table:4',
    wire: `040e0060 00000007 000000004556494f 0000000000000000 03 00 0000 0000 0094 ffffffff ffffffff ffffffff 0000 0000
           0001 000e 80000606 02450a000002 0000
           0004 0018 00000000 0019 0010 80004c08 0200000000000000 0001 0008 04 000000`,
    message: {
      type: 'flow-mod',
      xid: 7,
      command: 'add',
      ...FLOW_MOD_DEFAULTS,
      table: 3,
      priority: 148,
      cookie: 0x4556494fn,
      match: { eth_dst: { value: 0x02450a000002n } },
      instructions: [
        {
          type: 'apply',
          actions: [{ type: 'set-field', field: { name: 'tunnel_id', value: 0x0200000000000000n } }],
        },
        { type: 'goto', table: 4 },
      ],
    },
  },
  {
    name: 'flow statistics request for all flows',
    wire: `04120038 00000001 0001 0000 00000000 ff 000000 ffffffff ffffffff 00000000
           0000000000000000 0000000000000000 0001 0004 00000000`,
    message: {
      type: 'multipart-request',
      xid: 1,
      more: false,
      body: {
        of: 'flows',
        selection: {
          table: 255,
          outPort: 0xffffffff,
          outGroup: 0xffffffff,
          cookie: 0n,
          cookieMask: 0n,
          match: {},
        },
      },
    },
  },
  {
    name: 'flow statistics reply, more to come',
    wire: `04130060 00000001 0001 0001 00000000
           0050 01 00 00000001 00000000 00c8 0000 0000 0000 00000000 000000004556494f
           0000000000000001 0000000000000002
           0001 0014 8000090c 02460a010000 ffffffff0000 00000000 0001 0008 02 000000`,
    message: {
      type: 'multipart-reply',
      xid: 1,
      more: true,
      body: {
        of: 'flows',
        flows: [
          {
            table: 1,
            priority: 200,
            cookie: 0x4556494fn,
            durationS: 1,
            idleTimeoutS: 0,
            hardTimeoutS: 0,
            flags: 0,
            packets: 1n,
            bytes: 2n,
            match: { eth_src: { value: 0x02460a010000n, mask: 0xffffffff0000n } },
            instructions: [{ type: 'goto', table: 2 }],
          },
        ],
      },
    },
  },
  {
    name: 'aggregate statistics reply',
    wire: '04130028 00000001 0002 0000 00000000 0000000000000001 0000000000000002 00000003 00000000',
    message: {
      type: 'multipart-reply',
      xid: 1,
      more: false,
      body: { of: 'aggregate', packets: 1n, bytes: 2n, flows: 3 },
    },
  },
  {
    name: 'port statistics request for any port',
    wire: '04120018 00000001 0004 0000 00000000 ffffffff 00000000',
    message: { type: 'multipart-request', xid: 1, more: false, body: { of: 'port-stats' } },
  },
  {
    name: 'port statistics reply',
    wire: `04130080 00000001 0004 0000 00000000 00000001 00000000
           0000000000000001 0000000000000002 0000000000000003 0000000000000004 0000000000000005 0000000000000006
           0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000
           00000000 00000000`,
    message: {
      type: 'multipart-reply',
      xid: 1,
      more: false,
      body: {
        of: 'port-stats',
        stats: [{ port: 1, rxPackets: 1n, txPackets: 2n, rxBytes: 3n, txBytes: 4n, rxDropped: 5n, txDropped: 6n }],
      },
    },
  },
  {
    name: 'a part this codec has no words for',
    wire: '04120014 00000001 0003 0000 00000000 01020304',
    message: {
      type: 'multipart-request',
      xid: 1,
      more: false,
      body: { of: 'other', part: 3, body: Buffer.from('01020304', 'hex') },
    },
  },
  { name: 'barrier request', wire: '04140008 0000002a', message: { type: 'barrier-request', xid: 42 } },
  { name: 'barrier reply', wire: '04150008 0000002a', message: { type: 'barrier-reply', xid: 42 } },
  {
    name: 'role request role=primary generation_id=9',
    wire: '04180018 00000001 00000002 00000000 0000000000000009',
    message: { type: 'role-request', xid: 1, role: 'master', generation: 9n },
  },
  {
    name: 'a message type this codec has no words for',
    wire: '0407000a 00000001 beef',
    message: { type: 'other', xid: 1, number: 7, body: Buffer.from('beef', 'hex') },
  },
];

const bytes = (wire: string) => Buffer.from(wire.replaceAll(/\s/g, ''), 'hex');

/** The same bytes with a length that fits them: so that the cut is found by the body's own parser. */
function cutTo(whole: Buffer, length: number): Buffer {
  const cut = Buffer.from(whole.subarray(0, length));
  if (length >= 4) cut.writeUInt16BE(length, 2);
  return cut;
}

/** Bodies that end with whatever is left are whole at these lengths too. */
function mayEndAt(message: Message, length: number): boolean {
  switch (message.type) {
    case 'hello':
      return length === 8;
    case 'error':
      return length >= 12;
    case 'packet-in':
    case 'packet-out':
      return length >= bytes(CASES.find((c) => c.message === message)?.wire ?? '').length - message.frame.length;
    case 'echo-request':
    case 'other':
      return length >= 8;
    case 'multipart-request':
      return message.body.of === 'other' && length >= 16;
    case 'multipart-reply':
      return length === 16 && message.body.of !== 'aggregate';
    case 'flow-mod':
      return length === 0x40 || length === 0x48 || length === 0x58;
    default:
      return false;
  }
}

describe('the OpenFlow codec', () => {
  for (const { name, wire, message } of CASES) {
    it(`reads ${name}`, () => expect(decode(bytes(wire))).to.deep.equal(message));
    it(`writes ${name}`, () => expect(encode(message).toString('hex')).to.equal(bytes(wire).toString('hex')));
    it(`refuses ${name} cut short at every length`, () => {
      const whole = bytes(wire);
      for (let n = 0; n < whole.length; n++) {
        expect(() => decode(whole.subarray(0, n)), `${n} bytes`).to.throw(DecodeError);
        if (!mayEndAt(message, n)) expect(() => decode(cutTo(whole, n)), `${n} bytes`).to.throw(DecodeError);
      }
    });
  }

  it('takes a hello without bitmap for the header’s version and all before', () => {
    expect(decode(bytes('06000008 00000001'))).to.deep.equal({ type: 'hello', xid: 1, versions: [1, 2, 3, 4, 5, 6] });
  });

  it('refuses other versions, unknown fields, fields twice, and bits outside a mask', () => {
    const match = (oxm: string) => {
      const length = 4 + bytes(oxm).length;
      const padded = Buffer.concat([bytes(oxm), Buffer.alloc((8 - (length % 8)) % 8)]);
      const body = `0000000000000001 0002 02 03 00000000 00000000 0000 0000 0000000000000001 0000000000000002 0001`;
      const rest = Buffer.concat([bytes(body), Buffer.of(0, length), padded]);
      return Buffer.concat([bytes('040b'), Buffer.of(0, 8 + rest.length), bytes('00000001'), rest]);
    };
    expect(decode(match('80000004 00000001'))).to.have.property('type', 'flow-removed');
    expect(() => decode(match('80000004 00000001 80000004 00000001'))).to.throw(DecodeError, 'twice');
    expect(() => decode(match('80007e04 00000001'))).to.throw(DecodeError, 'not known');
    expect(() => decode(match('8000070c 010000000001 010000000000'))).to.throw(DecodeError, 'outside its mask');
    expect(() => decode(match('80000108 00000001 ffffffff'))).to.throw(DecodeError, 'takes no mask');
    expect(() => decode(bytes('01050008 00000003'))).to.throw(DecodeError, 'version 1');
  });

  it('passes over what a packet-in tells beside the fields it knows', () => {
    const wire = `040a0035 00000001 ffffffff 0003 01 02 0000000000000001
      0001 0014 80000004 fffffffe 00014204 00000007 00000000 0000 aabbcc`;
    expect(decode(bytes(wire))).to.deep.include({ match: { in_port: { value: 0xfffffffen } }, frame: bytes('aabbcc') });
  });

  it('throws nothing but a DecodeError, whatever bytes come', () => {
    const body = fc.uint8Array({ maxLength: 120 });
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 6, 10, 11, 12, 13, 14, 18, 19, 24, 25), body, (type, tail) => {
        const header = Buffer.of(4, type, 0, 8 + tail.length, 0, 0, 0, 1);
        try {
          decode(Buffer.concat([header, tail]));
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('throws nothing but a DecodeError when one byte of a message is another', () => {
    const one = fc.constantFrom(...CASES.map(({ wire }) => bytes(wire)));
    fc.assert(
      fc.property(one, fc.nat(), fc.nat(255), (whole, at, value) => {
        const changed = Buffer.from(whole);
        changed[at % changed.length] = value;
        try {
          decode(changed);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the splitter', () => {
  const stream = Buffer.concat(CASES.map(({ wire }) => bytes(wire)));

  it('finds the same messages wherever the stream is split', () => {
    for (let at = 0; at <= stream.length; at++) {
      const splitter = new Splitter();
      const messages = [...splitter.push(stream.subarray(0, at)), ...splitter.push(stream.subarray(at))];
      expect(messages.map((m) => m.toString('hex'))).to.deep.equal(
        CASES.map(({ wire }) => bytes(wire).toString('hex')),
      );
    }
  });

  it('finds them when the bytes come one by one', () => {
    const splitter = new Splitter();
    const messages = [...stream].flatMap((byte) => splitter.push(Buffer.of(byte)));
    expect(messages).to.have.length(CASES.length);
  });

  it('refuses a length no message can have', () => {
    expect(() => new Splitter().push(bytes('04000007 00000001'))).to.throw(DecodeError);
  });
});
