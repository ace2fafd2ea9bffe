/**
 * One question to a TURN server: do you take these credentials? An Allocate without them is answered with the realm and a nonce,
 * one with them by an allocation, which is given back at once (RFC 8656 §7; RFC 8489 §9.2). Pure: datagrams in, datagrams out.
 *
 * WebRTC's library does not tell why it got no relay, and a relay that nobody has is missed only when a path needs it.
 */
import { createHash, createHmac } from 'node:crypto';

export interface TurnCredentials {
  readonly username: string;
  readonly password: string;
}

export type TurnAnswer =
  | { readonly kind: 'taken' }
  /** Taken, and there is no room for another allocation now. */
  | { readonly kind: 'full'; readonly code: number }
  | { readonly kind: 'refused'; readonly code: number };

export interface TurnStep {
  /** To send; it is repeated until something comes. */
  readonly send?: Buffer;
  readonly answer?: TurnAnswer;
}

const COOKIE = 0x2112a442;
const ALLOCATE = 0x0003;
const REFRESH = 0x0004;
const SUCCESS = 0x0103;
const ERROR = 0x0113;
const ATTRIBUTE = {
  username: 0x06,
  integrity: 0x08,
  errorCode: 0x09,
  lifetime: 0x0d,
  realm: 0x14,
  nonce: 0x15,
  transport: 0x19,
};
const HEADER_BYTES = 20;
const INTEGRITY_BYTES = 24;
const UNAUTHENTICATED = 401;
const STALE_NONCE = 438;
/** The credentials were good, but there is no room for another allocation now. */
const FULL: ReadonlySet<number> = new Set([486, 508]);

export class TurnQuestion {
  readonly #credentials: TurnCredentials;
  readonly #random: (bytes: number) => Buffer;
  #transaction: Buffer = Buffer.alloc(0);
  #place: { readonly realm: Buffer; readonly nonce: Buffer } = { realm: Buffer.alloc(0), nonce: Buffer.alloc(0) };
  #asked = 0;

  constructor(credentials: TurnCredentials, random: (bytes: number) => Buffer) {
    this.#credentials = credentials;
    this.#random = random;
  }

  start(): Buffer {
    return this.#message(ALLOCATE, [attribute(ATTRIBUTE.transport, Buffer.of(17, 0, 0, 0))]);
  }

  receive(datagram: Buffer): TurnStep {
    if (datagram.length < HEADER_BYTES || !datagram.subarray(8, HEADER_BYTES).equals(this.#transaction)) return {};
    const type = datagram.readUInt16BE(0);
    const found = attributes(datagram.subarray(HEADER_BYTES));
    const [realm, nonce] = [found.get(ATTRIBUTE.realm), found.get(ATTRIBUTE.nonce)];
    if (type === SUCCESS) {
      const back = attribute(ATTRIBUTE.lifetime, Buffer.alloc(4));
      return { answer: { kind: 'taken' }, send: this.#signed(REFRESH, [back]) };
    }
    if (type !== ERROR) return {};
    const error = found.get(ATTRIBUTE.errorCode) ?? Buffer.alloc(4);
    const code = error.length < 4 ? 0 : ((error[2] ?? 0) & 7) * 100 + (error[3] ?? 0);
    if (FULL.has(code)) return { answer: { kind: 'full', code } };
    const again = code === STALE_NONCE || (code === UNAUTHENTICATED && this.#asked === 0);
    if (!again || this.#asked > 1 || realm === undefined || nonce === undefined)
      return { answer: { kind: 'refused', code } };
    this.#asked++;
    this.#place = { realm, nonce };
    return { send: this.#signed(ALLOCATE, [attribute(ATTRIBUTE.transport, Buffer.of(17, 0, 0, 0))]) };
  }

  #message(type: number, parts: readonly Buffer[]): Buffer {
    const body = Buffer.concat(parts);
    this.#transaction = this.#random(12);
    const head = Buffer.alloc(8);
    head.writeUInt16BE(type, 0);
    head.writeUInt16BE(body.length, 2);
    head.writeUInt32BE(COOKIE, 4);
    return Buffer.concat([head, this.#transaction, body]);
  }

  #signed(type: number, parts: readonly Buffer[]): Buffer {
    const { username, password } = this.#credentials;
    const { realm, nonce } = this.#place;
    const plain = this.#message(type, [
      ...parts,
      attribute(ATTRIBUTE.username, Buffer.from(username)),
      attribute(ATTRIBUTE.realm, realm),
      attribute(ATTRIBUTE.nonce, nonce),
    ]);
    // The length counts the signature that is not there yet (RFC 8489 §14.5).
    plain.writeUInt16BE(plain.length - HEADER_BYTES + INTEGRITY_BYTES, 2);
    const key = createHash('md5').update(`${username}:${realm.toString()}:${password}`).digest();
    return Buffer.concat([plain, attribute(ATTRIBUTE.integrity, createHmac('sha1', key).update(plain).digest())]);
  }
}

function attribute(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc(-value.length & 3)]);
}

function attributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2);
    const value = bytes.subarray(at + 4, at + 4 + length);
    if (value.length < length) break;
    if (!found.has(bytes.readUInt16BE(at))) found.set(bytes.readUInt16BE(at), value);
    at += 4 + length + (-length & 3);
  }
  return found;
}
