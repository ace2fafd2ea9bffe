/**
 * docs/wire.md §5: the packets around the two Noise messages, and what the messages carry. The handshake itself is tincan's;
 * the test beside this has a second one as its oracle.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { sha256 } from './keys.ts';
import { CIPHERS, type Cipher } from './parameters.ts';
import { DecodeError, Reader, u8, u16, u32 } from './reader.ts';
import { RECORD } from './record.ts';

const INITIATION = 1;
const RESPONSE = 2;
const MAC_BYTES = 16;
const COOKIE_BYTES = 16;
const BOOT_ID_BYTES = 8;

export interface Initiation {
  readonly sender: number;
  readonly noise: Buffer;
  readonly mac1: Buffer;
  readonly mac2: Buffer;
}

export interface Response {
  readonly sender: number;
  readonly receiver: number;
  readonly noise: Buffer;
}

export interface Cookie {
  readonly receiver: number;
  readonly cookie: Buffer;
}

export interface InitiationPayload {
  readonly bootId: Buffer;
  readonly ciphers: readonly Cipher[];
  readonly certificate: Buffer;
}

export interface ResponsePayload {
  readonly bootId: Buffer;
  readonly cipher: Cipher;
  readonly certificate: Buffer;
}

const mac = (key: Uint8Array, bytes: Uint8Array): Buffer =>
  createHmac('sha256', key).update(bytes).digest().subarray(0, MAC_BYTES);

/** Proves that the sender knows whom it talks to; checked before any curve operation. */
export function mac1Of(responderSessionKey: Uint8Array, before: Uint8Array): Buffer {
  return mac(sha256(Buffer.from('evio/1 mac1', 'ascii'), responderSessionKey), before);
}

export function encodeInitiation(
  sender: number,
  noise: Uint8Array,
  responderSessionKey: Uint8Array,
  cookie?: Uint8Array,
): Buffer {
  const body = Buffer.concat([Buffer.of(RECORD.handshake, INITIATION, 0, 0), u32(sender), u32(0), noise]);
  const withMac1 = Buffer.concat([body, mac1Of(responderSessionKey, body)]);
  return Buffer.concat([withMac1, cookie === undefined ? Buffer.alloc(MAC_BYTES) : mac(cookie, withMac1)]);
}

/** As seen by the responder with this session key; a wrong mac1 is an error. */
export function decodeInitiation(bytes: Uint8Array, responderSessionKey: Uint8Array): Initiation {
  const reader = new Reader(bytes);
  if (reader.u8() !== RECORD.handshake || reader.u8() !== INITIATION) throw new DecodeError('no initiation');
  reader.zeros(2);
  const sender = reader.u32();
  reader.zeros(4);
  const length = reader.remaining - 2 * MAC_BYTES;
  if (length < 0) throw new DecodeError('an initiation cut short');
  const noise = reader.take(length);
  const before = Buffer.from(bytes).subarray(0, reader.position);
  const [mac1, mac2] = [reader.take(MAC_BYTES), reader.take(MAC_BYTES)];
  if (!timingSafeEqual(mac1, mac1Of(responderSessionKey, before))) throw new DecodeError('a wrong mac1');
  return { sender, noise, mac1, mac2 };
}

export function encodeResponse(r: Response): Buffer {
  return Buffer.concat([Buffer.of(RECORD.handshake, RESPONSE, 0, 0), u32(r.sender), u32(r.receiver), r.noise]);
}

export function decodeResponse(bytes: Uint8Array): Response {
  const reader = new Reader(bytes);
  if (reader.u8() !== RECORD.handshake || reader.u8() !== RESPONSE) throw new DecodeError('no response');
  reader.zeros(2);
  return { sender: reader.u32(), receiver: reader.u32(), noise: reader.rest() };
}

export function encodeCookie(c: Cookie): Buffer {
  return Buffer.concat([Buffer.of(RECORD.cookie, 0, 0, 0), u32(c.receiver), c.cookie]);
}

export function decodeCookie(bytes: Uint8Array): Cookie {
  const reader = new Reader(bytes);
  if (reader.u8() !== RECORD.cookie) throw new DecodeError('no cookie');
  reader.zeros(3);
  const cookie = { receiver: reader.u32(), cookie: reader.take(COOKIE_BYTES) };
  reader.end();
  return cookie;
}

function readCipher(code: number): Cipher {
  const found = (Object.keys(CIPHERS) as Cipher[]).find((name) => CIPHERS[name] === code);
  if (found === undefined) throw new DecodeError(`unknown cipher ${code}`);
  return found;
}

const withLength = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes]);

export function encodeInitiationPayload(p: InitiationPayload): Buffer {
  const ciphers = Buffer.from(p.ciphers.map((c) => CIPHERS[c]));
  return Buffer.concat([p.bootId, u8(ciphers.length), ciphers, withLength(p.certificate)]);
}

export function decodeInitiationPayload(bytes: Uint8Array): InitiationPayload {
  const reader = new Reader(bytes);
  const bootId = reader.take(BOOT_ID_BYTES);
  const ciphers = [...reader.take(reader.u8())].map(readCipher);
  const certificate = reader.take(reader.u16());
  reader.end();
  return { bootId, ciphers, certificate };
}

export function encodeResponsePayload(p: ResponsePayload): Buffer {
  return Buffer.concat([p.bootId, u8(CIPHERS[p.cipher]), withLength(p.certificate)]);
}

export function decodeResponsePayload(bytes: Uint8Array): ResponsePayload {
  const reader = new Reader(bytes);
  const bootId = reader.take(BOOT_ID_BYTES);
  const cipher = readCipher(reader.u8());
  const certificate = reader.take(reader.u16());
  reader.end();
  return { bootId, cipher, certificate };
}
