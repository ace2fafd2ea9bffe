/**
 * Noise_IK_25519_ChaChaPoly_SHA256 (Noise revision 34) on node:crypto, for tests: a second opinion on tincan's handshake,
 * written from the specification's sections 5 and 7.
 */
import { createCipheriv, createDecipheriv, createHmac, type KeyObject } from 'node:crypto';
import { agree, rawPublicKey, sha256 } from './keys.ts';
import { DecodeError, Reader } from './reader.ts';

const NAME = Buffer.from('Noise_IK_25519_ChaChaPoly_SHA256', 'ascii');
const KEY_BYTES = 32;
const TAG_BYTES = 16;

const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer =>
  createHmac('sha256', key).update(Buffer.concat(parts)).digest();

/** HKDF of section 4.3, with two outputs. */
function hkdf(chainingKey: Uint8Array, input: Uint8Array): readonly [Buffer, Buffer] {
  const temporary = hmac(chainingKey, input);
  const first = hmac(temporary, Buffer.of(1));
  return [first, hmac(temporary, first, Buffer.of(2))];
}

/** SymmetricState of section 5.2, with the CipherState of section 5.1 inside. */
class SymmetricState {
  #chainingKey: Buffer;
  #hash: Buffer;
  #key: Buffer | undefined;
  #counter = 0n;

  constructor(prologue: Uint8Array) {
    // A name of exactly 32 bytes is its own hash.
    this.#hash = NAME;
    this.#chainingKey = NAME;
    this.mixHash(prologue);
  }

  mixHash(data: Uint8Array): void {
    this.#hash = sha256(this.#hash, data);
  }

  mixKey(input: Uint8Array): void {
    [this.#chainingKey, this.#key] = hkdf(this.#chainingKey, input);
    this.#counter = 0n;
  }

  #nonce(): Buffer {
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64LE(this.#counter++, 4);
    return nonce;
  }

  #keyed(): Buffer {
    if (this.#key === undefined) throw new DecodeError('no key yet');
    return this.#key;
  }

  seal(plaintext: Uint8Array): Buffer {
    const aead = createCipheriv('chacha20-poly1305', this.#keyed(), this.#nonce(), { authTagLength: TAG_BYTES });
    aead.setAAD(this.#hash, { plaintextLength: plaintext.length });
    const sealed = Buffer.concat([aead.update(plaintext), aead.final(), aead.getAuthTag()]);
    this.mixHash(sealed);
    return sealed;
  }

  open(sealed: Buffer): Buffer {
    const end = sealed.length - TAG_BYTES;
    const aead = createDecipheriv('chacha20-poly1305', this.#keyed(), this.#nonce(), { authTagLength: TAG_BYTES });
    aead.setAAD(this.#hash, { plaintextLength: end });
    aead.setAuthTag(sealed.subarray(end));
    try {
      const plaintext = Buffer.concat([aead.update(sealed.subarray(0, end)), aead.final()]);
      this.mixHash(sealed);
      return plaintext;
    } catch {
      throw new DecodeError('a Noise message that does not open');
    }
  }

  split(): readonly [Buffer, Buffer] {
    return hkdf(this.#chainingKey, Buffer.alloc(0));
  }
}

/** `<- s ... -> e, es, s, ss  <- e, ee, se` */
export class Initiator {
  readonly #state: SymmetricState;
  readonly #own: KeyObject;
  readonly #ephemeral: KeyObject;
  readonly #peer: Uint8Array;

  constructor(prologue: Uint8Array, own: KeyObject, ephemeral: KeyObject, peer: Uint8Array) {
    this.#state = new SymmetricState(prologue);
    this.#state.mixHash(peer);
    this.#own = own;
    this.#ephemeral = ephemeral;
    this.#peer = peer;
  }

  write(payload: Uint8Array): Buffer {
    const e = rawPublicKey(this.#ephemeral);
    this.#state.mixHash(e);
    this.#state.mixKey(agree(this.#ephemeral, this.#peer));
    const s = this.#state.seal(rawPublicKey(this.#own));
    this.#state.mixKey(agree(this.#own, this.#peer));
    return Buffer.concat([e, s, this.#state.seal(payload)]);
  }

  read(message: Uint8Array): { readonly payload: Buffer; readonly keys: readonly [Buffer, Buffer] } {
    const reader = new Reader(message);
    const e = reader.take(KEY_BYTES);
    this.#state.mixHash(e);
    this.#state.mixKey(agree(this.#ephemeral, e));
    this.#state.mixKey(agree(this.#own, e));
    return { payload: this.#state.open(reader.rest()), keys: this.#state.split() };
  }
}

export class Responder {
  readonly #state: SymmetricState;
  readonly #own: KeyObject;
  readonly #ephemeral: KeyObject;
  #peer: Buffer = Buffer.alloc(0);
  #peerEphemeral: Buffer = Buffer.alloc(0);

  constructor(prologue: Uint8Array, own: KeyObject, ephemeral: KeyObject) {
    this.#state = new SymmetricState(prologue);
    this.#state.mixHash(rawPublicKey(own));
    this.#own = own;
    this.#ephemeral = ephemeral;
  }

  read(message: Uint8Array): { readonly payload: Buffer; readonly peer: Buffer } {
    const reader = new Reader(message);
    this.#peerEphemeral = reader.take(KEY_BYTES);
    this.#state.mixHash(this.#peerEphemeral);
    this.#state.mixKey(agree(this.#own, this.#peerEphemeral));
    this.#peer = this.#state.open(reader.take(KEY_BYTES + TAG_BYTES));
    this.#state.mixKey(agree(this.#own, this.#peer));
    const payload = reader.rest();
    if (payload.length < TAG_BYTES) throw new DecodeError('a Noise message cut short');
    return { payload: this.#state.open(payload), peer: this.#peer };
  }

  write(payload: Uint8Array): { readonly message: Buffer; readonly keys: readonly [Buffer, Buffer] } {
    const e = rawPublicKey(this.#ephemeral);
    this.#state.mixHash(e);
    this.#state.mixKey(agree(this.#ephemeral, this.#peerEphemeral));
    this.#state.mixKey(agree(this.#ephemeral, this.#peer));
    const message = Buffer.concat([e, this.#state.seal(payload)]);
    return { message, keys: this.#state.split() };
  }
}
