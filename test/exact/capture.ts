/** Captured frames (the format of tcpdump -w) and whether their checksums are right: pure, on bytes. */

/** What there is to check in frames, and frames in which nothing is checked. */
export type Kind =
  | 'IPv4 header'
  | 'IPv4 TCP'
  | 'IPv4 UDP'
  | 'IPv6 TCP'
  | 'IPv6 UDP'
  /** UDP over IPv4 may go without a checksum (RFC 768). */
  | 'IPv4 UDP without a checksum'
  | 'fragment'
  | 'cut'
  | 'other';

export interface Sums {
  readonly good: number;
  readonly bad: number;
}

/** From pcap's magic number: byte order. Times, whose resolution is in it too, are not looked at. */
const MAGICS = new Map([
  ['d4c3b2a1', true],
  ['4d3cb2a1', true],
  ['a1b2c3d4', false],
  ['a1b23c4d', false],
]);
const ETHERNET = 1;

/** The frames of a capture; `whole` is false of those that were cut. */
export function frames(file: Buffer): readonly { readonly frame: Buffer; readonly whole: boolean }[] {
  const little = MAGICS.get(file.toString('hex', 0, 4));
  if (little === undefined || file.length < 24) throw new Error('no capture in pcap format');
  const u32 = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  if ((u32(20) & 0xffff) !== ETHERNET) throw new Error(`a capture of link type ${u32(20)}, not of Ethernet`);
  const found: { frame: Buffer; whole: boolean }[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const [kept, length] = [u32(at + 8), u32(at + 12)];
    // The last one of a capture that was ended may be half written.
    if (at + 16 + kept > file.length) break;
    found.push({ frame: file.subarray(at + 16, at + 16 + kept), whole: kept === length });
    at += 16 + kept;
  }
  return found;
}

/** The one's complement sum of 16-bit words (RFC 1071), of several pieces in a row that all but the last are even. */
function sum(...pieces: readonly Buffer[]): number {
  let total = 0;
  for (const piece of pieces) {
    for (let at = 0; at + 1 < piece.length; at += 2) total += piece.readUInt16BE(at);
    if (piece.length % 2 === 1) total += (piece.at(-1) ?? 0) << 8;
  }
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

const right = (...pieces: readonly Buffer[]): boolean => sum(...pieces) === 0xffff;

export interface Finding {
  readonly kind: Kind;
  /** True of kinds in which there is nothing to check. */
  readonly ok: boolean;
}

const TCP = 6;
const UDP = 17;
const NAMES = new Map([
  [TCP, 'TCP'],
  [UDP, 'UDP'],
]);
/** Hop-by-hop, routing and destination options (RFC 8200 §4). */
const EXTENSIONS = [0, 43, 60];
const FRAGMENT = 44;

/** What one Ethernet frame shows. */
export function check(frame: Buffer): readonly Finding[] {
  try {
    let at = 12;
    while ([0x8100, 0x88a8].includes(frame.readUInt16BE(at))) at += 4;
    const type = frame.readUInt16BE(at);
    if (type === 0x0800) return ipv4(frame.subarray(at + 2));
    if (type === 0x86dd) return ipv6(frame.subarray(at + 2));
    return [{ kind: 'other', ok: true }];
  } catch (error) {
    if (error instanceof RangeError) return [{ kind: 'cut', ok: true }];
    throw error;
  }
}

function ipv4(bytes: Buffer): readonly Finding[] {
  const headerBytes = (bytes.readUInt8(0) & 0xf) * 4;
  const packet = part(bytes, 0, bytes.readUInt16BE(2));
  const header: Finding = { kind: 'IPv4 header', ok: right(part(packet, 0, headerBytes)) };
  if ((packet.readUInt16BE(6) & 0x3fff) !== 0) return [header, { kind: 'fragment', ok: true }];
  return [header, transport('IPv4', packet.readUInt8(9), packet.subarray(12, 20), packet.subarray(headerBytes))];
}

function ipv6(bytes: Buffer): readonly Finding[] {
  const packet = part(bytes, 0, 40 + bytes.readUInt16BE(4));
  let protocol = packet.readUInt8(6);
  let at = 40;
  while (EXTENSIONS.includes(protocol)) {
    protocol = packet.readUInt8(at);
    at += 8 + packet.readUInt8(at + 1) * 8;
  }
  if (protocol === FRAGMENT) return [{ kind: 'fragment', ok: true }];
  return [transport('IPv6', protocol, packet.subarray(8, 40), packet.subarray(at))];
}

function transport(family: 'IPv4' | 'IPv6', protocol: number, addresses: Buffer, segment: Buffer): Finding {
  const name = NAMES.get(protocol);
  if (name === undefined) return { kind: 'other', ok: true };
  if (protocol === UDP && segment.readUInt16BE(6) === 0)
    return family === 'IPv4' ? { kind: 'IPv4 UDP without a checksum', ok: true } : { kind: 'IPv6 UDP', ok: false };
  // The pseudo header (RFC 9293 §3.1, RFC 8200 §8.1): the sum is the same whether the numbers take two bytes or four.
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt16BE(protocol, 0);
  pseudo.writeUInt16BE(segment.length, 2);
  return { kind: `${family} ${name}` as Kind, ok: right(addresses, pseudo, segment) };
}

/** So many bytes; a RangeError where there are fewer. */
function part(bytes: Buffer, from: number, length: number): Buffer {
  if (from + length > bytes.length) throw new RangeError('the frame ends before its packet');
  return bytes.subarray(from, from + length);
}

/** All frames of a capture, by kind. */
export function checkCapture(file: Buffer): ReadonlyMap<Kind, Sums> {
  const found = new Map<Kind, Sums>();
  const add = ({ kind, ok }: Finding): void => {
    const { good, bad } = found.get(kind) ?? { good: 0, bad: 0 };
    found.set(kind, ok ? { good: good + 1, bad } : { good, bad: bad + 1 });
  };
  for (const { frame, whole } of frames(file)) {
    if (whole) for (const finding of check(frame)) add(finding);
    else add({ kind: 'cut', ok: true });
  }
  return found;
}
