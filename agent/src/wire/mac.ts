/** docs/wire.md §3: the MAC rule. MACs are written as six lower-case hex pairs with colons. */
import { formatAddress, type Prefix, parseAddress } from './address.ts';
import { DecodeError, fromHex, u16 } from './reader.ts';

export const MAC_BYTES = 6;
const EXACT = 'ff:ff:ff:ff:ff:ff';

/** A MAC that a node may use as source: `source & mask == mac`. */
export interface MacRule {
  readonly mac: string;
  readonly mask: string;
}

export const formatMac = (bytes: Uint8Array): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(':');

export function parseMac(text: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text)) throw new DecodeError(`"${text}" is no MAC address`);
  return fromHex(text.replaceAll(':', ''), MAC_BYTES);
}

const ruledMac = (kind: number, last: Uint8Array): string => formatMac(Buffer.concat([Buffer.of(0x02, kind), last]));

/** `evio0` of a node with this IPv4 overlay address. */
export const nodeMac4 = (address: string): string => ruledMac(0x45, parseAddress(address));

/** A pod with this IPv4 address. */
export const podMac4 = (address: string): string => ruledMac(0x46, parseAddress(address));

/** `evio0` of a node that has IPv6 only: the number is the low 16 bits of its certificate's serial. */
export const allottedMac = (serial: bigint): string =>
  ruledMac(0x47, Buffer.concat([Buffer.of(0, 0), u16(Number(serial & 0xffffn))]));

/** The MAC of a member's `evio0`. */
export function nodeMac(addresses: readonly Prefix[], serial: bigint): string {
  const v4 = addresses.find((a) => a.family === 4);
  return v4 === undefined ? allottedMac(serial) : nodeMac4(v4.address);
}

/** What a certificate must list so that a node can use its own MAC and those of the pods behind it. */
export function macRulesOf(addresses: readonly Prefix[], routes: readonly Prefix[], serial: bigint): MacRule[] {
  const v4 = addresses.filter((a) => a.family === 4);
  const own = v4.length > 0 ? v4.map((a) => nodeMac4(a.address)) : [allottedMac(serial)];
  const pods = routes
    .filter((r) => r.family === 4)
    .map((r) => {
      const bits = r.length === 0 ? 0 : (0xffffffff << (32 - r.length)) >>> 0;
      const mask = [bits >>> 24, (bits >>> 16) & 0xff, (bits >>> 8) & 0xff, bits & 0xff];
      return { mac: podMac4(r.address), mask: formatMac(Buffer.from([0xff, 0xff, ...mask])) };
    });
  return [...own.map((mac) => ({ mac, mask: EXACT })), ...pods];
}

/** Whether only a certificate can give the right to send from this MAC. */
export const isRuled = (mac: string): boolean => /^02:4[567]:/.test(mac);

export const isGroup = (mac: string): boolean => ((parseMac(mac)[0] ?? 0) & 1) === 1;

export function allows(rules: readonly MacRule[], mac: string): boolean {
  const bytes = parseMac(mac);
  return rules.some((rule) => {
    const mask = parseMac(rule.mask);
    return parseMac(rule.mac).every((b, i) => b === ((bytes[i] ?? 0) & (mask[i] ?? 0)));
  });
}

/** The IPv6 link-local address of a MAC by EUI-64 (RFC 4291 appendix A). */
export function linkLocalOf(mac: string): string {
  const m = parseMac(mac);
  const eui = [(m[0] ?? 0) ^ 0x02, m[1] ?? 0, m[2] ?? 0, 0xff, 0xfe, m[3] ?? 0, m[4] ?? 0, m[5] ?? 0];
  return formatAddress(Buffer.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...eui]));
}
