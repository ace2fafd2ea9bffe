/** docs/wire.md §2: the hello, by which a node makes its boot known; signed by its identity key. */
import type { KeyObject } from 'node:crypto';
import { addressBytes, type Endpoint, formatAddress, parseAddress } from './address.ts';
import { type Certificate, parseCertificate, verifyCertificate } from './certificate.ts';
import { BOOT_NONCE_BYTES } from './ids.ts';
import { KEY_BYTES } from './keys.ts';
import { DecodeError, Reader, u8, u16, u64 } from './reader.ts';
import { OBJECT_MAX_BYTES, type ObjectKind, readObject, writeObject } from './tlv.ts';

const KIND: ObjectKind = {
  magic: 'EVH1',
  domain: 'evio/1 hello',
  maxBytes: OBJECT_MAX_BYTES,
  required: [1, 2, 3, 4],
  optional: [128],
  repeated: [5],
};

/** A hello on the local network (docs/wire.md §8) is this and the object. */
export const LAN_PREFIX = Buffer.from('EVL1', 'latin1');

export interface HelloFields {
  /** The whole object. */
  readonly certificate: Uint8Array;
  readonly bootNonce: Uint8Array;
  /** X25519, drawn with the boot nonce. */
  readonly ephemeralKey: Uint8Array;
  /** Ascending within a boot. */
  readonly sequence: bigint;
  readonly candidates: readonly Endpoint[];
  /** Seconds since 1970, undefined where the sender does not trust its clock. */
  readonly time?: number | undefined;
}

export interface Hello {
  readonly certificate: Certificate;
  readonly bootNonce: Buffer;
  readonly ephemeralKey: Buffer;
  readonly sequence: bigint;
  readonly candidates: readonly Endpoint[];
  readonly time: number | undefined;
  readonly bytes: Buffer;
}

export function encodeHello(fields: HelloFields, identity: KeyObject): Buffer {
  return writeObject(
    KIND,
    [
      { type: 1, value: fields.certificate },
      { type: 2, value: fields.bootNonce },
      { type: 3, value: fields.ephemeralKey },
      { type: 4, value: u64(fields.sequence) },
      ...fields.candidates.map((c) => ({
        type: 5,
        value: Buffer.concat([u8(c.family), u16(c.port), parseAddress(c.address)]),
      })),
      ...(fields.time === undefined ? [] : [{ type: 128, value: u64(fields.time) }]),
    ],
    identity,
  );
}

function readCandidate(value: Buffer): Endpoint {
  const reader = new Reader(value);
  const family = reader.u8();
  if (family !== 4 && family !== 6) throw new DecodeError(`address family ${family}`);
  const port = reader.u16();
  const address = formatAddress(reader.take(addressBytes(family)));
  reader.end();
  return { family, address, port };
}

/** Form and the node's signature. The certificate's own signature is not looked at. */
export function parseHello(bytes: Uint8Array): Hello {
  const object = readObject(KIND, bytes);
  const certificate = parseCertificate(object.one(1));
  const hello: Hello = {
    certificate,
    bootNonce: object.fixed(2, BOOT_NONCE_BYTES),
    ephemeralKey: object.fixed(3, KEY_BYTES),
    sequence: object.u64(4),
    candidates: object.all(5).map(readCandidate),
    time: object.optional(128) === undefined ? undefined : object.seconds(128),
    bytes: object.bytes,
  };
  if (!object.signedBy(certificate.identityKey)) throw new DecodeError("a hello without its node's signature");
  return hello;
}

/** As `parseHello`, and the certificate must be by the authority and, with `now` (seconds since 1970), hold. */
export function verifyHello(bytes: Uint8Array, authorityKey: Uint8Array, now?: number): Hello {
  const hello = parseHello(bytes);
  verifyCertificate(hello.certificate.bytes, authorityKey, now);
  return hello;
}
