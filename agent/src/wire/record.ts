/**
 * docs/wire.md §4: the outside of a record. The agent carries records without looking into them; this is for tests, for the
 * simulator and for captures, and it is the second opinion on tincan's own codec.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Label } from './ids.ts';
import { hkdf } from './keys.ts';
import type { Cipher } from './parameters.ts';
import { CIPHERS } from './parameters.ts';
import { DecodeError, Reader, u32, u64 } from './reader.ts';

export const RECORD = {
  routing: 0xc0,
  handshake: 0xc1,
  cookie: 0xc2,
  frame: 0xc3,
  fragment: 0xc4,
  flood: 0xc5,
  'flood-acknowledgement': 0xc6,
  probe: 0xc7,
  control: 0xc8,
  notice: 0xc9,
} as const;

export const ROUTING_HEADER_BYTES = 20;
export const SESSION_HEADER_BYTES = 16;
export const TAG_BYTES = 16;
export const HOP_LIMIT = 64;

const DETOUR = 1;

export interface Routed {
  readonly detour: boolean;
  readonly hopLimit: number;
  readonly destination: Label;
  readonly source: Label;
  /** The record that is carried. */
  readonly inner: Buffer;
}

export function encodeRouted(r: Routed): Buffer {
  return Buffer.concat([
    Buffer.of(RECORD.routing, r.detour ? DETOUR : 0, r.hopLimit, 0),
    u64(r.destination),
    u64(r.source),
    r.inner,
  ]);
}

export function decodeRouted(bytes: Uint8Array): Routed {
  const reader = new Reader(bytes);
  if (reader.u8() !== RECORD.routing) throw new DecodeError('no routing header');
  const flags = reader.u8();
  if ((flags & ~DETOUR) !== 0) throw new DecodeError(`routing flags ${flags}`);
  const hopLimit = reader.u8();
  reader.zeros(1);
  const [destination, source] = [reader.u64(), reader.u64()];
  const inner = reader.rest();
  const type = inner[0] ?? 0;
  if (type <= RECORD.routing || type > RECORD.notice) throw new DecodeError(`a routed record of type ${type}`);
  return { detour: flags === DETOUR, hopLimit, destination, source, inner };
}

export interface SessionHeader {
  /** One of the sealed types, C3 to C8. */
  readonly type: number;
  readonly receiver: number;
  readonly counter: bigint;
}

export function encodeSessionHeader(h: SessionHeader): Buffer {
  return Buffer.concat([Buffer.of(h.type, 0, 0, 0), u32(h.receiver), u64(h.counter)]);
}

export function decodeSessionHeader(bytes: Uint8Array): SessionHeader {
  const reader = new Reader(bytes);
  const type = reader.u8();
  if (type < RECORD.frame || type > RECORD.control) throw new DecodeError(`a session record of type ${type}`);
  reader.zeros(3);
  const header = { type, receiver: reader.u32(), counter: reader.u64() };
  reader.take(TAG_BYTES);
  return header;
}

export const dataKeyBytes = (cipher: Cipher): number => (cipher === 'aes-128-gcm' ? 16 : 32);

/** A direction's data key from one of the two keys of Noise's split (docs/wire.md §5). */
export function dataKey(split: Uint8Array, cipher: Cipher): Buffer {
  const info = Buffer.concat([Buffer.from('data', 'ascii'), Buffer.of(CIPHERS[cipher])]);
  return hkdf(split, 'evio/1', info, dataKeyBytes(cipher));
}

const nonceOf = (counter: bigint): Buffer => Buffer.concat([Buffer.alloc(4), u64(counter)]);

export function sealRecord(cipher: Cipher, key: Uint8Array, header: SessionHeader, plaintext: Uint8Array): Buffer {
  const head = encodeSessionHeader(header);
  const nonce = nonceOf(header.counter);
  // One call with a union of names has no overload: the two kinds of cipher have different types.
  const aead =
    cipher === 'aes-128-gcm'
      ? createCipheriv('aes-128-gcm', key, nonce)
      : createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  aead.setAAD(head, { plaintextLength: plaintext.length });
  return Buffer.concat([head, aead.update(plaintext), aead.final(), aead.getAuthTag()]);
}

/** The plaintext of a record under this key. */
export function openRecord(cipher: Cipher, key: Uint8Array, input: Uint8Array): Buffer {
  const { counter } = decodeSessionHeader(input);
  const bytes = Buffer.from(input);
  const nonce = nonceOf(counter);
  const end = bytes.length - TAG_BYTES;
  const aead =
    cipher === 'aes-128-gcm'
      ? createDecipheriv('aes-128-gcm', key, nonce)
      : createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  aead.setAAD(bytes.subarray(0, SESSION_HEADER_BYTES), { plaintextLength: end - SESSION_HEADER_BYTES });
  aead.setAuthTag(bytes.subarray(end));
  try {
    return Buffer.concat([aead.update(bytes.subarray(SESSION_HEADER_BYTES, end)), aead.final()]);
  } catch {
    throw new DecodeError('a record whose seal does not open');
  }
}
