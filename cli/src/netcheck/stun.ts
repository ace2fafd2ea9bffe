/** Binding requests of STUN and what RFC 5780 adds to them: answers from another address or port, or to another port. Pure. */
import { type Endpoint, endpointOf, type TransactionId } from './endpoint.ts';

const COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const BINDING_ERROR = 0x0111;
const ATTRIBUTE = {
  mapped: 0x0001,
  changeRequest: 0x0003,
  errorCode: 0x0009,
  xorMapped: 0x0020,
  responsePort: 0x0027,
  responseOrigin: 0x802b,
  otherAddress: 0x802c,
} as const;
/** CHANGE-REQUEST's two bits (RFC 5780 §7.2). */
const CHANGE = { ip: 4, port: 2 } as const;

export interface Asked {
  /** The answer is to come from the server's other address, or its other port. */
  readonly changeIp?: boolean;
  readonly changePort?: boolean;
  /** The answer is to go to this port of the sender's address. */
  readonly responsePort?: number;
}

export interface Binding {
  readonly transaction: TransactionId;
  /** How the server sees the socket. */
  readonly mapped: Endpoint | undefined;
  /** The server's other address and port, where it knows RFC 5780. */
  readonly other: Endpoint | undefined;
  /** Where the answer says it comes from. */
  readonly origin: Endpoint | undefined;
  /** Of an error response. */
  readonly error: number | undefined;
}

/** `transaction`: 12 random bytes. */
export function bindingRequest(transaction: Buffer, asked: Asked = {}): Buffer {
  const parts: Buffer[] = [];
  const change = (asked.changeIp ? CHANGE.ip : 0) | (asked.changePort ? CHANGE.port : 0);
  if (change !== 0) parts.push(attribute(ATTRIBUTE.changeRequest, Buffer.of(0, 0, 0, change)));
  if (asked.responsePort !== undefined) {
    const value = Buffer.alloc(4);
    value.writeUInt16BE(asked.responsePort);
    parts.push(attribute(ATTRIBUTE.responsePort, value));
  }
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(BINDING_REQUEST, 0);
  head.writeUInt16BE(body.length, 2);
  head.writeUInt32BE(COOKIE, 4);
  return Buffer.concat([head, transaction, body]);
}

/** Undefined: no answer to a binding request. */
export function parseBinding(datagram: Buffer): Binding | undefined {
  if (datagram.length < HEADER_BYTES || datagram.readUInt32BE(4) !== COOKIE) return undefined;
  const type = datagram.readUInt16BE(0);
  if (type !== BINDING_SUCCESS && type !== BINDING_ERROR) return undefined;
  if (datagram.readUInt16BE(2) !== datagram.length - HEADER_BYTES) return undefined;
  const found = attributes(datagram.subarray(HEADER_BYTES));
  const mask = datagram.subarray(4, HEADER_BYTES);
  const plain = (kind: number): Endpoint | undefined => endpointOf(found.get(kind), undefined);
  const error = found.get(ATTRIBUTE.errorCode);
  return {
    transaction: datagram.subarray(8, HEADER_BYTES).toString('hex'),
    mapped: endpointOf(found.get(ATTRIBUTE.xorMapped), mask) ?? plain(ATTRIBUTE.mapped),
    other: plain(ATTRIBUTE.otherAddress),
    origin: plain(ATTRIBUTE.responseOrigin),
    error:
      type === BINDING_ERROR && error !== undefined && error.length >= 4
        ? ((error[2] ?? 0) & 7) * 100 + (error[3] ?? 0)
        : type === BINDING_ERROR
          ? 0
          : undefined,
  };
}

function attribute(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value]);
}

function attributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [type, length] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)];
    const value = bytes.subarray(at + 4, at + 4 + length);
    if (value.length < length) break;
    if (!found.has(type)) found.set(type, value);
    at += 4 + length + (-length & 3);
  }
  return found;
}
