/** The hex was checked by eye against OpenFlow 1.3.5 and printed by `ovs-ofctl ofp-print`, which read it as the name says. */

import { expect } from 'chai';
import fc from 'fast-check';
import { DecodeError } from '../../wire/reader.ts';
import { type Action, PORT } from './actions.ts';
import { BUCKET_DEFAULTS, type Bucket, GROUP_COMMANDS, GROUP_TYPES } from './group.ts';
import { decode, encode, type Message } from './message.ts';
import type { MultipartReply } from './multipart.ts';

const bytes = (wire: string) => Buffer.from(wire.replaceAll(/\s/g, ''), 'hex');
const output = (port: number) => [{ type: 'output', port }] as const;
const reply = (body: MultipartReply['body'], more = false): Message => ({
  type: 'multipart-reply',
  xid: 1,
  more,
  body,
});
const OUTPUT_16 = '0000 0010 00000010 0000 000000000000';

const CASES: readonly {
  readonly name: string;
  readonly wire: string;
  readonly message: Message;
  /** Lengths at which it is a whole message too, because a list ends there. */
  readonly endsAt: readonly number[];
}[] = [
  {
    name: 'group mod ADD type=ff,bucket=watch_port:16,actions=output:16,bucket=watch_group:7,actions=group:7',
    wire: `040f0048 00000001 0000 03 00 45000001
           0020 0000 00000010 ffffffff 00000000 ${OUTPUT_16}
           0018 0000 ffffffff 00000007 00000000 0016 0008 00000007`,
    message: {
      type: 'group-mod',
      xid: 1,
      command: 'add',
      groupType: 'fast-failover',
      group: 0x45000001,
      buckets: [
        { ...BUCKET_DEFAULTS, watchPort: 16, actions: output(16) },
        { ...BUCKET_DEFAULTS, watchGroup: 7, actions: [{ type: 'group', group: 7 }] },
      ],
    },
    endsAt: [0x10, 0x30],
  },
  {
    name: 'group mod MOD type=indirect,bucket=actions=output:16',
    wire: `040f0030 00000001 0001 02 00 00000002 0020 0000 ffffffff ffffffff 00000000 ${OUTPUT_16}`,
    message: {
      type: 'group-mod',
      xid: 1,
      command: 'modify',
      groupType: 'indirect',
      group: 2,
      buckets: [{ ...BUCKET_DEFAULTS, actions: output(16) }],
    },
    endsAt: [0x10],
  },
  {
    name: 'group mod DEL of all groups',
    wire: '040f0010 00000001 0002 00 00 fffffffc',
    message: { type: 'group-mod', xid: 1, command: 'delete', groupType: 'all', group: 0xfffffffc, buckets: [] },
    endsAt: [],
  },
  {
    name: 'group statistics request group_id=ALL',
    wire: '04120018 00000001 0006 0000 00000000 fffffffc 00000000',
    message: { type: 'multipart-request', xid: 1, more: false, body: { of: 'group-stats' } },
    endsAt: [],
  },
  {
    name: 'group description request',
    wire: '04120010 00000001 0007 0000 00000000',
    message: { type: 'multipart-request', xid: 1, more: false, body: { of: 'groups' } },
    endsAt: [],
  },
  {
    name: 'group features request',
    wire: '04120010 00000001 0008 0000 00000000',
    message: { type: 'multipart-request', xid: 1, more: false, body: { of: 'group-features' } },
    endsAt: [],
  },
  {
    name: 'group description reply group_id=3,type=all,bucket=actions=LOCAL and group_id=4,type=select',
    wire: `04130040 00000001 0007 0000 00000000
           0028 00 00 00000003 0020 0000 ffffffff ffffffff 00000000 0000 0010 fffffffe 0000 000000000000
           0008 01 00 00000004`,
    message: reply({
      of: 'groups',
      groups: [
        { group: 3, type: 'all', buckets: [{ ...BUCKET_DEFAULTS, actions: output(PORT.local) }] },
        { group: 4, type: 'select', buckets: [] },
      ],
    }),
    endsAt: [0x10, 0x38],
  },
  {
    name: 'group statistics reply, more to come',
    wire: `04130048 00000001 0006 0001 00000000
           0038 0000 00000003 00000002 00000000 0000000000000005 0000000000000006 00000007 00000000
           0000000000000003 0000000000000004`,
    message: reply(
      {
        of: 'group-stats',
        stats: [
          { group: 3, references: 2, packets: 5n, bytes: 6n, durationS: 7, buckets: [{ packets: 3n, bytes: 4n }] },
        ],
      },
      true,
    ),
    endsAt: [0x10],
  },
  {
    name: 'group features reply',
    wire: `04130038 00000001 0008 0000 00000000 0000000d 00000004
           00000001 00000000 00000002 00000003 00000001 00000000 00000001 00400001`,
    message: reply({
      of: 'group-features',
      features: {
        types: ['all', 'indirect', 'fast-failover'],
        capabilities: 4,
        most: [1, 0, 2, 3],
        actions: [1, 0, 1, 0x400001],
      },
    }),
    endsAt: [],
  },
];

/** The same bytes with a length that fits them: so that the cut is found by the body's own parser. */
function cutTo(whole: Buffer, length: number): Buffer {
  const cut = Buffer.from(whole.subarray(0, length));
  if (length >= 4) cut.writeUInt16BE(length, 2);
  return cut;
}

const number = fc.nat(0xffffffff);
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ type: fc.constant('output' as const), port: number.filter((port) => port !== PORT.controller) }),
  fc.record({ type: fc.constant('group' as const), group: number }),
  fc.record({
    type: fc.constant('set-field' as const),
    field: fc.record({ name: fc.constant('tunnel_id' as const), value: fc.bigInt(0n, 2n ** 64n - 1n) }),
  }),
  fc.record({
    type: fc.constant('other' as const),
    number: fc.constantFrom(11, 17, 0xffff),
    body: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((body) => Buffer.from(body)),
  }),
);
const bucket: fc.Arbitrary<Bucket> = fc.record({
  weight: fc.nat(0xffff),
  watchPort: number,
  watchGroup: number,
  actions: fc.array(action, { maxLength: 4 }),
});
const buckets = fc.array(bucket, { maxLength: 5 });

describe('the OpenFlow codec of groups', () => {
  for (const { name, wire, message, endsAt } of CASES) {
    it(`reads ${name}`, () => expect(decode(bytes(wire))).to.deep.equal(message));
    it(`writes ${name}`, () => expect(encode(message).toString('hex')).to.equal(bytes(wire).toString('hex')));
    it(`refuses ${name} cut short at every length`, () => {
      const whole = bytes(wire);
      for (let n = 0; n < whole.length; n++) {
        expect(() => decode(whole.subarray(0, n)), `${n} bytes`).to.throw(DecodeError);
        if (!endsAt.includes(n)) expect(() => decode(cutTo(whole, n)), `${n} bytes`).to.throw(DecodeError);
      }
    });
  }

  it('reads back every group-mod it writes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...GROUP_COMMANDS),
        fc.constantFrom(...GROUP_TYPES),
        number,
        buckets,
        (command, groupType, group, buckets) => {
          const message: Message = { type: 'group-mod', xid: 1, command, groupType, group, buckets };
          expect(decode(encode(message))).to.deep.equal(message);
        },
      ),
    );
  });

  it('reads back every description and all statistics it writes', () => {
    const description = fc.record({ group: number, type: fc.constantFrom(...GROUP_TYPES), buckets });
    const count = fc.bigInt(0n, 2n ** 64n - 1n);
    const counted = fc.record({ packets: count, bytes: count });
    const stats = fc
      .tuple(counted, fc.record({ group: number, references: number, durationS: number }), fc.array(counted))
      .map(([total, rest, buckets]) => ({ ...total, ...rest, buckets }));
    fc.assert(
      fc.property(fc.array(description, { maxLength: 5 }), fc.array(stats, { maxLength: 5 }), (groups, stats) => {
        for (const message of [reply({ of: 'groups', groups }), reply({ of: 'group-stats', stats })]) {
          expect(decode(encode(message))).to.deep.equal(message);
        }
      }),
    );
  });

  it('refuses types and commands it does not know', () => {
    expect(() => decode(bytes('040f0010 00000001 0003 00 00 00000001'))).to.throw(DecodeError, 'unknown command');
    expect(() => decode(bytes('040f0010 00000001 0000 04 00 00000001'))).to.throw(DecodeError, 'unknown type');
    expect(() => decode(bytes('04130018 00000001 0007 0000 00000000 0001 00 00 00000003'))).to.throw(DecodeError);
  });

  it('keeps the actions of others that it has no words for', () => {
    const pushVlan = bytes(
      '040f0028 00000001 0000 00 00 00000001 0018 0000 ffffffff ffffffff 00000000 0011 0008 81000000',
    );
    const message = decode(pushVlan);
    expect(message).to.have.nested.property('buckets[0].actions[0].number', 17);
    expect(encode(message).toString('hex')).to.equal(pushVlan.toString('hex'));
  });

  it('throws nothing but a DecodeError, whatever bytes come', () => {
    const heads = ['040f0000 00000001', ...[6, 7, 8].map((part) => `04130000 00000001 000${part} 0000 00000000`)];
    const head = fc.constantFrom(...heads.map(bytes));
    const changed = fc
      .tuple(fc.constantFrom(...CASES.map(({ wire }) => bytes(wire))), fc.nat(), fc.nat(255))
      .map(([whole, at, value]) => whole.map((byte, i) => (i === at % whole.length ? value : byte)));
    const garbage = fc.tuple(head, fc.uint8Array({ maxLength: 120 })).map(([head, tail]) => {
      const whole = Buffer.concat([head, tail]);
      return cutTo(whole, whole.length);
    });
    fc.assert(
      fc.property(fc.oneof(changed, garbage), (input) => {
        try {
          decode(input);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
      }),
      { numRuns: 4_000 },
    );
  });
});
