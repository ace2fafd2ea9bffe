import { expect } from 'chai';
import { check, checkCapture, frames } from './capture.ts';

const HEADER = '02460af40102' + '02450a2d0001';
/** With checksums that were computed elsewhere. */
const IPV4_UDP = Buffer.from(`${HEADER}08004500002000014000401126700a2d00010a2d000204d20035000c48d5deadbeef`, 'hex');

/** The one's complement of the sum, for frames made here: written another way than in what is tested. */
function complement(hex: string): string {
  let total = 0n;
  for (let at = 0; at < hex.length; at += 4) total += BigInt(`0x${hex.slice(at, at + 4).padEnd(4, '0')}`);
  while (total >> 16n) total = (total & 0xffffn) + (total >> 16n);
  return (0xffffn ^ total).toString(16).padStart(4, '0');
}

const V6 = 'fd000000000000000000000000000001' + 'fd000000000000000000000000000002';
const u16 = (value: number): string => value.toString(16).padStart(4, '0');

/** TCP over IPv6, with extension headers of that many bytes before it. */
function ipv6Tcp(payload: string, options = ''): Buffer {
  const tcp = (sum: string): string => `04d20050000000010000000250180200${sum}0000${payload}`;
  const length = tcp('0000').length / 2;
  const sum = complement(`${V6}${u16(length)}0006${tcp('0000')}`);
  const next = options === '' ? '06' : '3c';
  return Buffer.from(
    `${HEADER}86dd60000000${u16(length + options.length / 2)}${next}40${V6}${options}${tcp(sum)}`,
    'hex',
  );
}

const kinds = (frame: Buffer): readonly string[] =>
  check(frame).map(({ kind, ok }) => `${kind} ${ok ? 'good' : 'bad'}`);
const withByte = (frame: Buffer, at: number): Buffer => {
  const changed = Buffer.from(frame);
  changed.writeUInt8(changed.readUInt8(at) ^ 0x01, at);
  return changed;
};

function capture(...all: readonly (readonly [Buffer, number])[]): Buffer {
  const head = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex');
  const records = all.map(([frame, length]) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(length, 12);
    return Buffer.concat([record, frame]);
  });
  return Buffer.concat([head, ...records]);
}
const whole = (frame: Buffer): readonly [Buffer, number] => [frame, frame.length];

describe('checksums of captured frames', () => {
  it('are right in frames as they were sent', () => {
    expect(kinds(IPV4_UDP)).to.deep.equal(['IPv4 header good', 'IPv4 UDP good']);
    expect(kinds(ipv6Tcp('aabbcc'))).to.deep.equal(['IPv6 TCP good']);
    expect(kinds(ipv6Tcp('aabb', '0600010400000000'))).to.deep.equal(['IPv6 TCP good']);
  });

  it('do not count padding behind the packet, and are found behind VLAN tags', () => {
    const padded = Buffer.concat([IPV4_UDP, Buffer.alloc(14, 0xff)]);
    const tagged = Buffer.concat([IPV4_UDP.subarray(0, 12), Buffer.from('81000007', 'hex'), IPV4_UDP.subarray(12)]);
    for (const frame of [padded, tagged]) expect(kinds(frame)).to.deep.equal(['IPv4 header good', 'IPv4 UDP good']);
  });

  it('are wrong when a byte of what they cover is another one', () => {
    expect(kinds(withByte(IPV4_UDP, 22))).to.deep.equal(['IPv4 header bad', 'IPv4 UDP good']);
    expect(kinds(withByte(IPV4_UDP, IPV4_UDP.length - 1))).to.deep.equal(['IPv4 header good', 'IPv4 UDP bad']);
    // An address is in both.
    expect(kinds(withByte(IPV4_UDP, 29))).to.deep.equal(['IPv4 header bad', 'IPv4 UDP bad']);
    const six = ipv6Tcp('aabbcc');
    for (const at of [30, 60, six.length - 1])
      expect(kinds(withByte(six, at)), `byte ${at}`).to.deep.equal(['IPv6 TCP bad']);
  });

  it('are wrong when only the sum of the pseudo header stands there, as it does before an offload', () => {
    const frame = Buffer.from(IPV4_UDP);
    frame.writeUInt16BE(Number(`0x${complement('0a2d00010a2d00020011000c')}`) ^ 0xffff, 40);
    expect(kinds(frame)).to.deep.equal(['IPv4 header good', 'IPv4 UDP bad']);
  });

  it('may be missing in UDP over IPv4 and nowhere else', () => {
    const without = Buffer.from(IPV4_UDP);
    without.writeUInt16BE(0, 40);
    expect(kinds(without)).to.deep.equal(['IPv4 header good', 'IPv4 UDP without a checksum good']);
  });

  it('are not looked for in fragments, other protocols and frames that are cut', () => {
    const fragment = Buffer.from(IPV4_UDP);
    fragment.writeUInt16BE(0x2000, 20);
    expect(kinds(fragment)[1]).to.equal('fragment good');
    const arp = Buffer.from(`${HEADER}0806${'00'.repeat(28)}`, 'hex');
    expect(kinds(arp)).to.deep.equal(['other good']);
    for (let length = 0; length < IPV4_UDP.length; length++)
      expect(kinds(IPV4_UDP.subarray(0, length)), `${length} bytes`).to.deep.equal(['cut good']);
  });
});

describe('a capture', () => {
  it('is counted by kind', () => {
    const bad = withByte(IPV4_UDP, IPV4_UDP.length - 1);
    const found = checkCapture(capture(whole(IPV4_UDP), whole(bad), whole(ipv6Tcp('aa')), [IPV4_UDP, 1_500]));
    expect(Object.fromEntries(found)).to.deep.equal({
      'IPv4 header': { good: 2, bad: 0 },
      'IPv4 UDP': { good: 1, bad: 1 },
      'IPv6 TCP': { good: 1, bad: 0 },
      cut: { good: 1, bad: 0 },
    });
  });

  it('may end in the middle of a frame', () => {
    const file = capture(whole(IPV4_UDP), whole(IPV4_UDP));
    expect(frames(file.subarray(0, file.length - 3))).to.have.length(1);
  });

  it('is refused when it is of another format or of another kind of link', () => {
    expect(() => frames(Buffer.from('0a0d0d0a1c0000004d3c2b1a01000000', 'hex'))).to.throw('no capture in pcap format');
    const raw = capture();
    raw.writeUInt32LE(101, 20);
    expect(() => frames(raw)).to.throw('link type 101');
  });
});
