/**
 * The marked frames of a trace: an ICMP echo request (RFC 792; RFC 4443 §4.1), whose data is `EvioTrac` (8), the trace's number (8) and
 * zeros up to the length all frames of the trace have. Any kernel answers it with the same data, so that tincan knows the answers too.
 */

import { checksum } from '../sdn/neighbours.ts';
import { addressBytes, familyOf, parseAddress } from '../wire/address.ts';
import { parseMac } from '../wire/mac.ts';
import { fromHex, u16, u32 } from '../wire/reader.ts';

const MAGIC = Buffer.from('EvioTrac', 'ascii');
/** Ethernet, IPv6, ICMP and what marks the frame. */
export const FRAME_MIN_BYTES = 14 + 40 + 8 + 16;
/** Within every path, whatever it is wrapped in. */
export const FRAME_MAX_BYTES = 600;
const TTL = 64;
const ICMP = 1;
const ICMPV6 = 58;

export interface ProbeFrame {
  /** 16 hex characters. */
  readonly trace: string;
  readonly sequence: number;
  readonly fromMac: string;
  readonly toMac: string;
  /** Of one family. */
  readonly from: string;
  readonly to: string;
  /** The whole frame, FRAME_MIN_BYTES to FRAME_MAX_BYTES. */
  readonly bytes: number;
}

export function probeFrame(probe: ProbeFrame): Buffer {
  const family = familyOf(probe.to);
  const [from, to] = [parseAddress(probe.from), parseAddress(probe.to)];
  if (from.length !== addressBytes(family)) throw new RangeError(`${probe.from} and ${probe.to} are of two families`);
  const header = 14 + (family === 4 ? 20 : 40);
  const data = Buffer.concat([MAGIC, fromHex(probe.trace, 8)], probe.bytes - header - 8);
  // Identifier: part of the trace's number, so that two traces at once are two pings to a firewall.
  const echo = Buffer.concat([
    Buffer.of(family === 4 ? 8 : 128, 0, 0, 0),
    data.subarray(MAGIC.length, MAGIC.length + 2),
    u16(probe.sequence),
    data,
  ]);
  const pseudo = family === 4 ? Buffer.alloc(0) : Buffer.concat([from, to, u32(echo.length), u32(ICMPV6)]);
  echo.writeUInt16BE(checksum(Buffer.concat([pseudo, echo])), 2);
  const ethernet = [parseMac(probe.toMac), parseMac(probe.fromMac), u16(family === 4 ? 0x0800 : 0x86dd)];
  return Buffer.concat([
    ...ethernet,
    family === 4 ? header4(from, to, echo.length) : header6(from, to, echo.length),
    echo,
  ]);
}

function header4(from: Buffer, to: Buffer, bytes: number): Buffer {
  const header = Buffer.concat([Buffer.of(0x45, 0), u16(20 + bytes), u32(0), Buffer.of(TTL, ICMP, 0, 0), from, to]);
  header.writeUInt16BE(checksum(header), 10);
  return header;
}

function header6(from: Buffer, to: Buffer, bytes: number): Buffer {
  return Buffer.concat([u32(0x60000000), u16(bytes), Buffer.of(ICMPV6, TTL), from, to]);
}
