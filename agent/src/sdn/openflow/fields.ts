/**
 * Match fields as OXM TLVs (OpenFlow 1.3.5 §7.2.2):
 *
 *     class (2: 0x8000) | field << 1 | has mask (1) | length (1) | value | mask, as long as the value, if there is one
 *
 * Values are whole numbers whatever the field means: an address of 128 bits is a bigint like a port of 32.
 */

import { DecodeError, type Reader } from '../../wire/reader.ts';

/** How a value is written for people, in the words of `ovs-ofctl`. */
export type Form = 'decimal' | 'hex' | 'mac' | 'ipv4' | 'ipv6';

interface Field {
  readonly id: number;
  readonly bits: number;
  readonly maskable: boolean;
  readonly form: Form;
}

/** The fields tincan matches (docs/wire.md §10.2), by OXM number: dependents come after what they presuppose. */
export const FIELDS = {
  in_port: { id: 0, bits: 32, maskable: false, form: 'decimal' },
  eth_dst: { id: 3, bits: 48, maskable: true, form: 'mac' },
  eth_src: { id: 4, bits: 48, maskable: true, form: 'mac' },
  eth_type: { id: 5, bits: 16, maskable: false, form: 'hex' },
  vlan_vid: { id: 6, bits: 16, maskable: true, form: 'hex' },
  vlan_pcp: { id: 7, bits: 8, maskable: false, form: 'decimal' },
  ip_proto: { id: 10, bits: 8, maskable: false, form: 'decimal' },
  ipv4_src: { id: 11, bits: 32, maskable: true, form: 'ipv4' },
  ipv4_dst: { id: 12, bits: 32, maskable: true, form: 'ipv4' },
  tcp_src: { id: 13, bits: 16, maskable: false, form: 'decimal' },
  tcp_dst: { id: 14, bits: 16, maskable: false, form: 'decimal' },
  udp_src: { id: 15, bits: 16, maskable: false, form: 'decimal' },
  udp_dst: { id: 16, bits: 16, maskable: false, form: 'decimal' },
  arp_op: { id: 21, bits: 16, maskable: false, form: 'decimal' },
  arp_spa: { id: 22, bits: 32, maskable: true, form: 'ipv4' },
  arp_tpa: { id: 23, bits: 32, maskable: true, form: 'ipv4' },
  arp_sha: { id: 24, bits: 48, maskable: true, form: 'mac' },
  arp_tha: { id: 25, bits: 48, maskable: true, form: 'mac' },
  ipv6_src: { id: 26, bits: 128, maskable: true, form: 'ipv6' },
  ipv6_dst: { id: 27, bits: 128, maskable: true, form: 'ipv6' },
  icmpv6_type: { id: 29, bits: 8, maskable: false, form: 'decimal' },
  icmpv6_code: { id: 30, bits: 8, maskable: false, form: 'decimal' },
  ipv6_nd_target: { id: 31, bits: 128, maskable: true, form: 'ipv6' },
  ipv6_nd_sll: { id: 32, bits: 48, maskable: false, form: 'mac' },
  ipv6_nd_tll: { id: 33, bits: 48, maskable: false, form: 'mac' },
  tunnel_id: { id: 38, bits: 64, maskable: true, form: 'hex' },
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;

const NAMES = Object.keys(FIELDS) as readonly FieldName[];
const BY_ID = new Map<number, FieldName>(NAMES.map((name) => [FIELDS[name].id, name]));
const OXM_CLASS_BASIC = 0x8000;

export interface FieldValue {
  readonly value: bigint;
  /** Bits that count; all of them if left out. */
  readonly mask?: bigint;
}

export interface NamedField extends FieldValue {
  readonly name: FieldName;
}

export function writeField({ name, value, mask }: NamedField): Buffer {
  const { id, bits } = FIELDS[name];
  const bytes = bits / 8;
  const payload = mask === undefined ? [number(value, bytes)] : [number(value, bytes), number(mask, bytes)];
  const header = Buffer.alloc(4);
  header.writeUInt16BE(OXM_CLASS_BASIC, 0);
  header.writeUInt8((id << 1) | (mask === undefined ? 0 : 1), 2);
  header.writeUInt8(bytes * payload.length, 3);
  return Buffer.concat([header, ...payload]);
}

export function readField(reader: Reader): NamedField {
  const field = readAnyField(reader);
  if ('unknown' in field) throw new DecodeError(`OXM ${field.unknown} is not known`);
  return field;
}

/** A field, or the name of one that is not among ours, with its value skipped. */
export function readAnyField(reader: Reader): NamedField | { readonly unknown: string } {
  const oxmClass = reader.u16();
  const selector = reader.u8();
  const length = reader.u8();
  const name = oxmClass === OXM_CLASS_BASIC ? BY_ID.get(selector >> 1) : undefined;
  if (name === undefined) {
    reader.take(length);
    return { unknown: `class ${oxmClass} field ${selector >> 1}` };
  }
  const hasMask = (selector & 1) === 1;
  const bytes = FIELDS[name].bits / 8;
  if (hasMask && !FIELDS[name].maskable) throw new DecodeError(`${name} takes no mask`);
  if (length !== (hasMask ? 2 : 1) * bytes) throw new DecodeError(`${name} is ${length} bytes long`);
  const value = toNumber(reader.take(bytes));
  if (!hasMask) return { name, value };
  const mask = toNumber(reader.take(bytes));
  if ((value & ~mask) !== 0n) throw new DecodeError(`${name} has bits outside its mask`);
  return { name, value, mask };
}

/** A number in so many bytes. */
export function number(value: bigint, bytes: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * bytes, '0'), 'hex');
}

export function toNumber(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

/** Every bit of the field. */
export function fullMask(name: FieldName): bigint {
  return (1n << BigInt(FIELDS[name].bits)) - 1n;
}
