/**
 * docs/wire.md §9.2: a signalling message, signed by the sender's identity and sealed to one boot of the recipient.
 *
 *     EVM1 | sender id (16) | recipient id (16) | sender nonce (16) | recipient nonce (16) | counter (8) | ciphertext | tag (16)
 *     plaintext = signature (64) | body
 *
 * The seal alone would prove the sender's ephemeral key; the signature inside binds it to the long-term identity.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { BOOT_NONCE_BYTES, ID_BYTES, idBytes, type NodeId, type OverlayId } from './ids.ts';
import { agree, hkdf, SIGNATURE_BYTES, sha256, signWith, verifySignature } from './keys.ts';
import { DecodeError, Reader, u64 } from './reader.ts';

const MAGIC = Buffer.from('EVM1', 'latin1');
const HEADER_BYTES = MAGIC.length + 2 * ID_BYTES + 2 * BOOT_NONCE_BYTES + 8;
const TAG_BYTES = 16;
export const BODY_MAX_BYTES = 16 * 1024;
export const SEALED_MAX_BYTES = HEADER_BYTES + SIGNATURE_BYTES + BODY_MAX_BYTES + TAG_BYTES;

/** One boot of one node, as its hello shows it. */
export interface Boot {
  readonly nodeId: NodeId;
  readonly nonce: Uint8Array;
  /** X25519, public. */
  readonly ephemeralKey: Uint8Array;
}

/** A message from one boot to another; all that a signature binds besides counter and body. */
export interface Pair {
  readonly overlayId: OverlayId;
  readonly sender: Boot;
  readonly recipient: Boot;
}

export interface SealedHeader {
  readonly sender: NodeId;
  readonly recipient: NodeId;
  readonly senderNonce: Buffer;
  readonly recipientNonce: Buffer;
  readonly counter: bigint;
}

/** The key of one direction. `own` is the private ephemeral key of either end. */
export function messageKey(pair: Pair, own: KeyObject, peerEphemeral: Uint8Array): Buffer {
  const info = Buffer.concat([
    Buffer.from('evio/1 signal', 'ascii'),
    idBytes(pair.overlayId),
    idBytes(pair.sender.nodeId),
    idBytes(pair.recipient.nodeId),
  ]);
  const salt = Buffer.concat([pair.sender.nonce, pair.recipient.nonce]);
  return hkdf(agree(own, peerEphemeral), salt, info, 32);
}

function headerBytes(pair: Pair, counter: bigint): Buffer {
  return Buffer.concat([
    MAGIC,
    idBytes(pair.sender.nodeId),
    idBytes(pair.recipient.nodeId),
    pair.sender.nonce,
    pair.recipient.nonce,
    u64(counter),
  ]);
}

function signedBytes(pair: Pair, counter: bigint, body: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from('evio/1 signal\0', 'ascii'),
    idBytes(pair.overlayId),
    idBytes(pair.sender.nodeId),
    idBytes(pair.recipient.nodeId),
    pair.sender.nonce,
    pair.recipient.nonce,
    pair.sender.ephemeralKey,
    pair.recipient.ephemeralKey,
    u64(counter),
    sha256(body),
  ]);
}

const nonceOf = (counter: bigint): Buffer => Buffer.concat([Buffer.alloc(4), u64(counter)]);

export function sealMessage(
  pair: Pair,
  key: Uint8Array,
  identity: KeyObject,
  counter: bigint,
  body: Uint8Array,
): Buffer {
  if (body.length > BODY_MAX_BYTES) throw new RangeError(`a body of ${body.length} bytes`);
  const header = headerBytes(pair, counter);
  const cipher = createCipheriv('chacha20-poly1305', key, nonceOf(counter), { authTagLength: TAG_BYTES });
  const plaintext = Buffer.concat([signWith(identity, signedBytes(pair, counter, body)), body]);
  cipher.setAAD(header, { plaintextLength: plaintext.length });
  return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The clear part: who, to whom, and by which boots. Nothing of it is proven until `openMessage`. */
export function readSealedHeader(bytes: Uint8Array): SealedHeader {
  if (bytes.length > SEALED_MAX_BYTES) throw new DecodeError(`a message of ${bytes.length} bytes`);
  const reader = new Reader(bytes);
  if (!reader.take(MAGIC.length).equals(MAGIC)) throw new DecodeError('no EVM1 message');
  const header = {
    sender: reader.take(ID_BYTES).toString('hex'),
    recipient: reader.take(ID_BYTES).toString('hex'),
    senderNonce: reader.take(BOOT_NONCE_BYTES),
    recipientNonce: reader.take(BOOT_NONCE_BYTES),
    counter: reader.u64(),
  };
  reader.take(SIGNATURE_BYTES + TAG_BYTES);
  return header;
}

/** The body of a message of this pair; `senderIdentity` is the raw key of the sender's certificate. */
export function openMessage(pair: Pair, key: Uint8Array, senderIdentity: Uint8Array, input: Uint8Array): Buffer {
  const { counter } = readSealedHeader(input);
  const bytes = Buffer.from(input);
  const header = bytes.subarray(0, HEADER_BYTES);
  if (!header.equals(headerBytes(pair, counter))) throw new DecodeError('a message of another pair of boots');
  const plaintext = unseal(key, counter, header, bytes.subarray(HEADER_BYTES));
  const body = plaintext.subarray(SIGNATURE_BYTES);
  if (!verifySignature(senderIdentity, signedBytes(pair, counter, body), plaintext.subarray(0, SIGNATURE_BYTES)))
    throw new DecodeError("a message without its sender's signature");
  return body;
}

function unseal(key: Uint8Array, counter: bigint, header: Buffer, sealed: Buffer): Buffer {
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('chacha20-poly1305', key, nonceOf(counter), { authTagLength: TAG_BYTES });
  decipher.setAAD(header, { plaintextLength: end });
  decipher.setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]);
  } catch {
    throw new DecodeError('a message whose seal does not open');
  }
}
