/**
 * Answers to ARP requests (RFC 826) and IPv6 neighbor solicitations (RFC 4861 §4.3, §4.4) for members' addresses.
 *
 *     ARP:  hardware type (2) | protocol type (2) | 6 | 4 | operation (2) | sender MAC, IP (6 + 4) | target MAC, IP (6 + 4)
 *     ICMPv6: type | code | checksum (2) | flags or zero (4) | target (16) | options: type | length in 8 bytes | body
 *
 * The frames come from our own tap, where the kernel may leave checksums to the hardware: they are not looked at.
 */

import { formatAddress, parseAddress } from '../wire/address.ts';
import { parseMac } from '../wire/mac.ts';
import { DecodeError, Reader, u16, u32 } from '../wire/reader.ts';

/** The MAC of the member that owns an address, if one does. */
export type Owner = (address: string) => string | undefined;

const TYPE_ARP = 0x0806;
const TYPE_VLAN = 0x8100;
const TYPE_IPV6 = 0x86dd;
const ARP_ETHERNET_IPV4 = Buffer.from('000108000604', 'hex');
const REQUEST = 1;
const REPLY = 2;
const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
/** Neighbor discovery never crosses a router, and the limit proves it (RFC 4861 §7.1.1). */
const HOP_LIMIT = 255;
const SOLICITED = 0x40000000;
const OVERRIDE = 0x20000000;
const TARGET_LINK_LAYER = 2;
const ALL_NODES = { address: 'ff02::1', mac: '33:33:00:00:00:01' };

/** The frame that answers a question, or undefined if it is none we can answer. Throws a `DecodeError` for a broken one. */
export function answer(frame: Uint8Array, owner: Owner): Buffer | undefined {
  const r = new Reader(frame);
  r.take(6);
  const from = r.take(6);
  let tag: Buffer = Buffer.alloc(0);
  let type = r.u16();
  if (type === TYPE_VLAN) {
    tag = Buffer.concat([u16(TYPE_VLAN), r.take(2)]);
    type = r.u16();
  }
  const reply = type === TYPE_ARP ? arp(r, owner) : type === TYPE_IPV6 ? solicitation(r, from, owner) : undefined;
  return reply && Buffer.concat([reply.to, parseMac(reply.mac), tag, u16(type), reply.payload]);
}

interface Reply {
  readonly to: Buffer;
  readonly mac: string;
  readonly payload: Buffer;
}

function arp(r: Reader, owner: Owner): Reply | undefined {
  const kind = r.take(6);
  const operation = r.u16();
  const [sender, senderIp] = [r.take(6), r.take(4)];
  r.take(6);
  const target = r.take(4);
  if (!kind.equals(ARP_ETHERNET_IPV4) || operation !== REQUEST) return undefined;
  const mac = owner(formatAddress(target));
  if (mac === undefined) return undefined;
  const payload = Buffer.concat([kind, u16(REPLY), parseMac(mac), target, sender, senderIp]);
  return { to: sender, mac, payload };
}

function solicitation(r: Reader, from: Buffer, owner: Owner): Reply | undefined {
  const version = r.u8() >> 4;
  r.take(3);
  const [length, next, hopLimit] = [r.u16(), r.u8(), r.u8()];
  const source = r.take(16);
  r.take(16);
  const icmp = new Reader(r.take(length));
  const [type, code] = [icmp.u8(), icmp.u8()];
  icmp.take(6);
  const target = icmp.take(16);
  if (version !== 6 || next !== ICMPV6 || type !== SOLICITATION || code !== 0) return undefined;
  if (hopLimit !== HOP_LIMIT) throw new DecodeError(`a neighbor solicitation with hop limit ${hopLimit}`);
  const mac = owner(formatAddress(target));
  if (mac === undefined) return undefined;
  // Without a source the asker looks for a duplicate of its own address (RFC 4862 §5.4.3): all nodes are told that it is taken.
  const duplicateCheck = source.every((b) => b === 0);
  const to = duplicateCheck ? parseAddress(ALL_NODES.address) : source;
  const flags = duplicateCheck ? OVERRIDE : OVERRIDE + SOLICITED;
  return {
    to: duplicateCheck ? parseMac(ALL_NODES.mac) : from,
    mac,
    payload: advertisement(target, to, flags, parseMac(mac)),
  };
}

function advertisement(target: Buffer, to: Buffer, flags: number, mac: Buffer): Buffer {
  const head = Buffer.of(ADVERTISEMENT, 0, 0, 0);
  const icmp = Buffer.concat([head, u32(flags), target, Buffer.of(TARGET_LINK_LAYER, 1), mac]);
  const pseudoHeader = Buffer.concat([target, to, u32(icmp.length), u32(ICMPV6)]);
  icmp.writeUInt16BE(checksum(Buffer.concat([pseudoHeader, icmp])), 2);
  const ip = [u32(0x60000000), u16(icmp.length), Buffer.of(ICMPV6, HOP_LIMIT), target, to];
  return Buffer.concat([...ip, icmp]);
}

/** RFC 1071. */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
