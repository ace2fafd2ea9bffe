/**
 * docs/wire.md §2: signed objects.
 *
 *     magic (4) | TLV ... | signature (64)
 *     TLV = type (1) | length (2) | value (length)
 */
import type { KeyObject } from 'node:crypto';
import { SIGNATURE_BYTES, signWith, verifySignature } from './keys.ts';
import { DecodeError, Reader, u8, u16 } from './reader.ts';

export const OBJECT_MAX_BYTES = 4096;

export interface Tlv {
  readonly type: number;
  readonly value: Uint8Array;
}

/** What distinguishes one kind of object from another. */
export interface ObjectKind {
  readonly magic: string;
  /** Signed in front of the object, with a zero byte, so that a signature of one kind is none of another. */
  readonly domain: string;
  readonly maxBytes: number;
  readonly required: readonly number[];
  readonly optional: readonly number[];
  /** Types that may stand several times, or not at all. */
  readonly repeated: readonly number[];
}

/** The values of an object's known TLVs. Its signature has not been looked at. */
export class UnverifiedObject {
  readonly kind: ObjectKind;
  readonly bytes: Buffer;
  readonly #values: ReadonlyMap<number, readonly Buffer[]>;

  constructor(kind: ObjectKind, bytes: Buffer, values: ReadonlyMap<number, readonly Buffer[]>) {
    this.kind = kind;
    this.bytes = bytes;
    this.#values = values;
  }

  all(type: number): readonly Buffer[] {
    return this.#values.get(type) ?? [];
  }

  optional(type: number): Buffer | undefined {
    return this.all(type)[0];
  }

  one(type: number): Buffer {
    const value = this.optional(type);
    if (value === undefined) throw new DecodeError(`TLV ${type} is missing`);
    return value;
  }

  fixed(type: number, length: number): Buffer {
    return exactly(this.one(type), length, type);
  }

  u64(type: number): bigint {
    return this.fixed(type, 8).readBigUInt64BE();
  }

  /** Seconds since 1970. Far beyond any date, but still exact in a number. */
  seconds(type: number): number {
    const n = this.u64(type);
    if (n > BigInt(Number.MAX_SAFE_INTEGER)) throw new DecodeError(`TLV ${type} is no time`);
    return Number(n);
  }

  signedBy(rawKey: Uint8Array): boolean {
    const end = this.bytes.length - SIGNATURE_BYTES;
    return verifySignature(rawKey, signedPart(this.kind, this.bytes.subarray(0, end)), this.bytes.subarray(end));
  }
}

export function exactly(value: Buffer, length: number, type: number): Buffer {
  if (value.length !== length) throw new DecodeError(`TLV ${type} has ${value.length} bytes instead of ${length}`);
  return value;
}

function signedPart(kind: ObjectKind, unsigned: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${kind.domain}\0`, 'ascii'), unsigned]);
}

/** Reads the form; the meaning of the values is the caller's. A copy is kept, so that the input may be reused. */
export function readObject(kind: ObjectKind, input: Uint8Array): UnverifiedObject {
  if (input.length > kind.maxBytes) throw new DecodeError(`an object of ${input.length} bytes`);
  if (input.length < kind.magic.length + SIGNATURE_BYTES) throw new DecodeError('an object cut short');
  const bytes = Buffer.from(input);
  const reader = new Reader(bytes.subarray(0, bytes.length - SIGNATURE_BYTES));
  if (reader.take(4).toString('latin1') !== kind.magic) throw new DecodeError(`no ${kind.magic} object`);
  const values = new Map<number, Buffer[]>();
  let last = -1;
  while (reader.remaining > 0) {
    const type = reader.u8();
    const value = reader.take(reader.u16());
    if (type < last || (type === last && !kind.repeated.includes(type)))
      throw new DecodeError(`TLV ${type} after TLV ${last}`);
    last = type;
    if (!isKnown(kind, type)) {
      if (type < 128) throw new DecodeError(`unknown TLV ${type}`);
      continue;
    }
    const earlier = values.get(type);
    if (earlier === undefined) values.set(type, [value]);
    else earlier.push(value);
  }
  for (const type of kind.required) if (!values.has(type)) throw new DecodeError(`TLV ${type} is missing`);
  return new UnverifiedObject(kind, bytes, values);
}

function isKnown(kind: ObjectKind, type: number): boolean {
  return kind.required.includes(type) || kind.optional.includes(type) || kind.repeated.includes(type);
}

/** Writes and signs an object. The TLVs must stand in order already. */
export function writeObject(kind: ObjectKind, tlvs: readonly Tlv[], signer: KeyObject): Buffer {
  const parts = tlvs.flatMap((t) => [u8(t.type), u16(t.value.length), t.value]);
  const unsigned = Buffer.concat([Buffer.from(kind.magic, 'latin1'), ...parts]);
  const bytes = Buffer.concat([unsigned, signWith(signer, signedPart(kind, unsigned))]);
  if (bytes.length > kind.maxBytes)
    throw new RangeError(`${kind.domain} would have ${bytes.length} bytes, at most ${kind.maxBytes} are allowed`);
  return bytes;
}
