/**
 * Raw 32-byte keys and node:crypto's key objects. The wrappers are the fixed DER heads of RFC 8410 §4 and §7, so that a
 * raw key needs no ASN.1 library.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { DecodeError } from './reader.ts';

export const KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

export type Curve = 'ed25519' | 'x25519';

const PRIVATE_HEAD = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
} as const satisfies Record<Curve, Buffer>;

const PUBLIC_HEAD = {
  ed25519: Buffer.from('302a300506032b6570032100', 'hex'),
  x25519: Buffer.from('302a300506032b656e032100', 'hex'),
} as const satisfies Record<Curve, Buffer>;

/** The key object of a raw private key (an Ed25519 seed, or an X25519 scalar). */
export function privateKey(curve: Curve, raw: Uint8Array): KeyObject {
  if (raw.length !== KEY_BYTES) throw new DecodeError(`a private key has ${KEY_BYTES} bytes, not ${raw.length}`);
  return createPrivateKey({ key: Buffer.concat([PRIVATE_HEAD[curve], raw]), format: 'der', type: 'pkcs8' });
}

export function publicKey(curve: Curve, raw: Uint8Array): KeyObject {
  if (raw.length !== KEY_BYTES) throw new DecodeError(`a public key has ${KEY_BYTES} bytes, not ${raw.length}`);
  try {
    return createPublicKey({ key: Buffer.concat([PUBLIC_HEAD[curve], raw]), format: 'der', type: 'spki' });
  } catch {
    throw new DecodeError('not a public key');
  }
}

/** The raw public key that belongs to a private (or is a public) key object. */
export function rawPublicKey(key: KeyObject): Buffer {
  const pub = key.type === 'private' ? createPublicKey(key) : key;
  return pub.export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);
}

export function rawPrivateKey(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' }).subarray(-KEY_BYTES);
}

export function generatePrivateKey(curve: Curve): KeyObject {
  return curve === 'ed25519' ? generateKeyPairSync('ed25519').privateKey : generateKeyPairSync('x25519').privateKey;
}

export function signWith(key: KeyObject, message: Uint8Array): Buffer {
  return sign(null, message, key);
}

/** False also for bytes that are no key at all. */
export function verifySignature(rawKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, message, publicKey('ed25519', rawKey), signature);
  } catch {
    return false;
  }
}

/** X25519. A low-order peer key gives no shared secret (RFC 7748 §6.1) and is refused. */
export function agree(own: KeyObject, rawPeer: Uint8Array): Buffer {
  try {
    return diffieHellman({ privateKey: own, publicKey: publicKey('x25519', rawPeer) });
  } catch {
    throw new DecodeError('a key without a shared secret');
  }
}

const P = (1n << 255n) - 19n;

/** Base and exponent below P. */
function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base];
  for (let e = exponent; e > 0n; e >>= 1n) {
    if ((e & 1n) === 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

/**
 * The X25519 public key of who has this Ed25519 key: the same point, u = (1 + y) / (1 - y) (RFC 7748 §4.1). So something can be sealed to
 * a key that is known for its signatures; that one key may do both is shown in IACR ePrint 2021/509. Throws DecodeError.
 */
export function agreementPublicKey(ed25519: Uint8Array): Buffer {
  if (ed25519.length !== KEY_BYTES) throw new DecodeError(`a public key has ${KEY_BYTES} bytes, not ${ed25519.length}`);
  // Little endian; the highest bit is the sign of x (RFC 8032 §5.1.2), which u does not need.
  const bytes = Buffer.from(ed25519).reverse();
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  const y = BigInt(`0x${bytes.toString('hex')}`);
  if (y >= P || y === 1n) throw new DecodeError('not a public key');
  const u = ((1n + y) * power((P + 1n - y) % P, P - 2n)) % P;
  return Buffer.from(u.toString(16).padStart(2 * KEY_BYTES, '0'), 'hex').reverse();
}

/** Its private half: the scalar of the signing key (RFC 8032 §5.1.5); X25519 clamps it alike. */
export function agreementPrivateKey(ed25519: KeyObject): KeyObject {
  const scalar = createHash('sha512').update(rawPrivateKey(ed25519)).digest().subarray(0, KEY_BYTES);
  return privateKey('x25519', scalar);
}

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function hkdf(input: Uint8Array, salt: Uint8Array | string, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', input, salt, info, length));
}
