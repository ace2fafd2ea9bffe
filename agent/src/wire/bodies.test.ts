import { expect } from 'chai';
import fc from 'fast-check';
import { type Body, decodeBody, encodeBody, parseBody } from './bodies.ts';
import { DecodeError } from './reader.ts';

const tunnel = '0123456789abcdef';
const node = '0123456789abcdef0123456789abcdef';
const NOTHING = { counts: {}, cameBy: null, leftBy: null };
const BODIES: readonly Body[] = [
  {
    type: 'offer',
    tunnel,
    sdp: 'aKjc password print,1 1 192.0.2.1 9 h',
    udp: ['192.0.2.1:7000', '[2001:db8::1]:7000'],
    kinds: ['successor'],
  },
  { type: 'answer', tunnel, sdp: 'aKjc password print', udp: [] },
  { type: 'candidates', tunnel, candidates: ['1 2122317823 192.0.2.1 40000 h'] },
  { type: 'udp', udp: ['192.0.2.1:7000'] },
  { type: 'edge', kinds: [] },
  { type: 'refuse', tunnel, reason: 'limit' },
  { type: 'bye', tunnel },
  { type: 'members', certificates: ['RVZDMQ=='] },
  { type: 'members-after', after: '0123456789abcdef0123456789abcdef' },
  { type: 'introduce', account: 'a.lab' },
  { type: 'hello', hello: 'RVZIMQ==' },
  { type: 'trace-watch', trace: tunnel, destination: node, bytes: 300 },
  { type: 'trace-next', trace: tunnel, next: { peer: node, path: 'webrtc', relayed: true } },
  { type: 'trace-read', trace: tunnel },
  {
    type: 'trace-told',
    trace: tunnel,
    there: {
      counts: { arrived: 3, delivered: 3 },
      cameBy: { peer: node, path: 'direct', relayed: false },
      leftBy: null,
    },
    back: { counts: {}, cameBy: null, leftBy: null },
    kernel: { echoIn: 3, replyOut: 0, link: { name: 'veth0', sent: 3, received: 3, dropped: 0 } },
  },
  { type: 'trace-refused', trace: tunnel, reason: 'busy' },
  { type: 'trace-begin', trace: tunnel, from: '10.45.0.1', to: 'fd45::2', frames: 3 },
  { type: 'trace-begun', trace: tunnel },
  {
    ...{ type: 'trace-station', trace: tunnel, at: 1, id: node, said: true, next: null },
    ...{ told: { there: NOTHING, back: NOTHING, kernel: null }, refused: null },
  },
  { type: 'trace-ended', trace: tunnel, frames: 3, bytes: 300, stations: 2, unsendable: null, ovs: false },
];

const told = (counts: object) => {
  const nothing = { counts: {}, cameBy: null, leftBy: null };
  return { type: 'trace-told', trace: tunnel, there: { ...nothing, counts }, back: nothing, kernel: null };
};

describe('message bodies', () => {
  for (const body of BODIES) {
    it(`"${body.type}" survives both directions`, () => {
      expect(decodeBody(encodeBody(body))).to.deep.equal(body);
    });

    it(`"${body.type}" with one key more, or one less, is refused`, () => {
      expect(() => parseBody({ ...body, more: 1 })).to.throw(DecodeError);
      for (const key of Object.keys(body)) {
        const less = Object.fromEntries(Object.entries(body).filter(([k]) => k !== key));
        expect(() => parseBody(less), key).to.throw(DecodeError);
      }
    });

    it(`"${body.type}" cut short is refused at every length`, () => {
      const bytes = encodeBody(body);
      for (let n = 0; n < bytes.length; n++) expect(() => decodeBody(bytes.subarray(0, n))).to.throw(DecodeError);
    });
  }

  for (const [why, body] of [
    ['a type nobody allowed', { type: 'exec', command: 'id' }],
    ['a tunnel that is not 16 hex characters', { type: 'bye', tunnel: 'X'.repeat(16) }],
    ['a candidate that is no endpoint', { type: 'udp', udp: ['example.org:80'] }],
    ['seventeen candidates', { type: 'udp', udp: new Array(17).fill('192.0.2.1:7000') }],
    [
      'twenty-one candidates at once',
      { type: 'candidates', tunnel, candidates: new Array(21).fill('1 1 192.0.2.1 9 h') },
    ],
    ['a kind twice', { type: 'edge', kinds: ['static', 'static'] }],
    ['twenty-one certificates', { type: 'members', certificates: new Array(21).fill('RVZDMQ==') }],
    ['a certificate that is no base64', { type: 'members', certificates: ['RVZDMQ'] }],
    ['a member who is none', { type: 'members-after', after: '0123' }],
    ['an account of another server', { type: 'introduce', account: 'a@example.org' }],
    ['an account with a resource', { type: 'hello', hello: 'RVZIMQ==', account: 'a/evio' }],
    ['a reason of its own', { type: 'refuse', tunnel, reason: 'because' }],
    ['a trace of frames of any length', { type: 'trace-watch', trace: tunnel, destination: node, bytes: 65_000 }],
    ['a trace of many frames', { type: 'trace-begin', trace: tunnel, from: '10.45.0.1', to: '10.45.0.2', frames: 21 }],
    [
      'words of another node that a terminal would obey',
      {
        ...{ type: 'trace-ended', trace: tunnel, frames: 3, bytes: 300, stations: 2, ovs: false },
        unsendable: '\x1b[2J',
      },
    ],
    ['a trace to nobody', { type: 'trace-watch', trace: tunnel, destination: 'b', bytes: 300 }],
    [
      'a trace to what is no address',
      { type: 'trace-watch', trace: tunnel, destination: node, bytes: 300, behind: 'pod' },
    ],
    ['seventeen counts', told(Object.fromEntries([...'abcdefghijklmnopq'].map((name) => [name, 1])))],
    ['a count that is no number', told({ sent: -1 })],
    ['no object', ['bye']],
  ] as const)
    it(`refuses ${why}`, () => {
      expect(() => parseBody(body)).to.throw(DecodeError);
    });

  it('refuses bytes that are no UTF-8', () => {
    const bytes = encodeBody({ type: 'candidates', tunnel, candidates: ['@'] });
    bytes[bytes.indexOf('@')] = 0xff;
    expect(() => decodeBody(bytes)).to.throw(DecodeError);
  });

  it('nothing but a DecodeError comes of any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(() => parseBody(value)).to.throw(DecodeError);
      }),
    );
  });
});
