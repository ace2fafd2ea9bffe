/** This agent's own half of signalling: its certificate, and what it drew when it started. */
import type { KeyObject } from 'node:crypto';
import type { Instant } from '../machine.ts';
import type { Endpoint } from '../wire/address.ts';
import { type Certificate, parseCertificate } from '../wire/certificate.ts';
import { encodeHello } from '../wire/hello.ts';
import { BOOT_NONCE_BYTES, type NodeId } from '../wire/ids.ts';
import { rawPublicKey } from '../wire/keys.ts';
import type { Boot } from '../wire/sealed.ts';

export interface OwnBootOptions {
  /** Ed25519, private. */
  readonly identity: KeyObject;
  /** The node's certificate, as signed by the authority. */
  readonly certificate: Uint8Array;
  /** 16 random bytes. */
  readonly nonce: Uint8Array;
  /** X25519, private, never used by another boot. */
  readonly ephemeral: KeyObject;
}

export class OwnBoot implements Boot {
  readonly identity: KeyObject;
  readonly ephemeral: KeyObject;
  readonly ephemeralKey: Buffer;
  readonly nonce: Buffer;
  readonly nodeId: NodeId;
  #certificate: Certificate;
  #sequence = 0n;
  /** Seconds since 1970 at monotonic zero, where this node's clock is credible. */
  #epoch: number | undefined;

  constructor(options: OwnBootOptions) {
    if (options.nonce.length !== BOOT_NONCE_BYTES) throw new RangeError('a boot nonce has 16 bytes');
    this.identity = options.identity;
    this.ephemeral = options.ephemeral;
    this.ephemeralKey = rawPublicKey(options.ephemeral);
    this.nonce = Buffer.from(options.nonce);
    this.#certificate = parseCertificate(options.certificate);
    this.nodeId = this.#certificate.nodeId;
    if (!this.#certificate.identityKey.every((b, i) => b === rawPublicKey(options.identity)[i]))
      throw new RangeError('the certificate is not of this identity key');
  }

  get certificate(): Certificate {
    return this.#certificate;
  }

  renew(certificate: Certificate): void {
    if (certificate.nodeId !== this.nodeId) throw new RangeError('a certificate of another node');
    this.#certificate = certificate;
  }

  /** What hellos say the time is; undefined: nothing. */
  setTime(seconds: number | undefined, now: Instant): void {
    this.#epoch = seconds === undefined ? undefined : seconds - now / 1000;
  }

  /** A hello newer than every one before it. */
  hello(candidates: readonly Endpoint[], now: Instant): Buffer {
    this.#sequence += 1n;
    return encodeHello(
      {
        certificate: this.#certificate.bytes,
        bootNonce: this.nonce,
        ephemeralKey: this.ephemeralKey,
        sequence: this.#sequence,
        candidates,
        time: this.#epoch === undefined ? undefined : Math.max(0, Math.floor(this.#epoch + now / 1000)),
      },
      this.identity,
    );
  }
}
