/** docs/wire.md §2: the membership certificate, signed by the overlay's authority. */
import type { KeyObject } from 'node:crypto';
import { addressBytes, type Family, formatAddress, isNetwork, type Prefix, parseAddress } from './address.ts';
import {
  ID_BYTES,
  idBytes,
  isName,
  type Label,
  labelOf,
  type NodeId,
  nodeIdOf,
  type OverlayId,
  overlayIdOf,
  parseName,
} from './ids.ts';
import { KEY_BYTES, rawPublicKey } from './keys.ts';
import { formatMac, MAC_BYTES, type MacRule, nodeMac, parseMac } from './mac.ts';
import { DecodeError, u8, u64 } from './reader.ts';
import { exactly, type ObjectKind, readObject, type Tlv, type UnverifiedObject, writeObject } from './tlv.ts';

const KIND: ObjectKind = {
  magic: 'EVC1',
  domain: 'evio/1 certificate',
  maxBytes: 640,
  required: [1, 2, 3, 4, 10, 11, 12, 13],
  optional: [],
  repeated: [5, 6, 7, 8, 9],
};

/** Clocks that are a little behind must not refuse a fresh certificate. */
export const CLOCK_LEEWAY_SECONDS = 600;

export const ROLE_MEMBER = 0;

export interface CertificateFields {
  readonly overlayId: OverlayId;
  /** Ed25519, 32 bytes. */
  readonly identityKey: Uint8Array;
  /** X25519, 32 bytes. */
  readonly sessionKey: Uint8Array;
  readonly name: string;
  /** On `evio0`; each prefix length is that of the overlay's subnet. */
  readonly addresses: readonly Prefix[];
  /** Prefixes routed behind the node (pods). */
  readonly routes: readonly Prefix[];
  readonly macs: readonly MacRule[];
  readonly serial: bigint;
  /** Seconds since 1970, like `notAfter`. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Certificate extends CertificateFields {
  readonly role: number;
  readonly nodeId: NodeId;
  readonly label: Label;
  /** Of the node's `evio0`. */
  readonly mac: string;
  /** The object as it was signed. */
  readonly bytes: Buffer;
}

export function encodeCertificate(fields: CertificateFields, authority: KeyObject): Buffer {
  if (!isName(fields.name)) throw new RangeError(`"${fields.name}" is no DNS label`);
  const list = (type: number, family: Family, prefixes: readonly Prefix[]): Tlv[] =>
    prefixes.filter((p) => p.family === family).map((p) => ({ type, value: prefixBytes(p) }));
  const bytes = writeObject(
    KIND,
    [
      { type: 1, value: idBytes(fields.overlayId) },
      { type: 2, value: fields.identityKey },
      { type: 3, value: fields.sessionKey },
      { type: 4, value: Buffer.from(fields.name, 'ascii') },
      ...list(5, 4, fields.addresses),
      ...list(6, 6, fields.addresses),
      ...list(7, 4, fields.routes),
      ...list(8, 6, fields.routes),
      ...fields.macs.map((m) => ({ type: 9, value: Buffer.concat([parseMac(m.mac), parseMac(m.mask)]) })),
      { type: 10, value: u8(ROLE_MEMBER) },
      { type: 11, value: u64(fields.serial) },
      { type: 12, value: u64(fields.notBefore) },
      { type: 13, value: u64(fields.notAfter) },
    ],
    authority,
  );
  // What we sign must be what everybody else takes: a mistake in the fields shows here, not at a peer.
  verifyCertificate(bytes, rawPublicKey(authority), fields.notBefore);
  return bytes;
}

export const prefixBytes = (p: Prefix): Buffer => Buffer.concat([parseAddress(p.address), u8(p.length)]);

export function readPrefix(value: Buffer, family: Family, type: number): Prefix {
  const size = addressBytes(family);
  exactly(value, size + 1, type);
  const length = value.readUInt8(size);
  if (length > 8 * size) throw new DecodeError(`a prefix length of ${length}`);
  return { family, address: formatAddress(value.subarray(0, size)), length };
}

export function readNetwork(value: Buffer, family: Family, type: number): Prefix {
  const prefix = readPrefix(value, family, type);
  if (!isNetwork(prefix)) throw new DecodeError(`${prefix.address}/${prefix.length} has host bits`);
  return prefix;
}

function readMacRule(value: Buffer): MacRule {
  exactly(value, 2 * MAC_BYTES, 9);
  const [mac, mask] = [value.subarray(0, MAC_BYTES), value.subarray(MAC_BYTES)];
  if (mac.some((b, i) => (b & (mask[i] ?? 0)) !== b)) throw new DecodeError('a MAC with masked-out bits');
  return { mac: formatMac(mac), mask: formatMac(mask) };
}

function fieldsOf(object: UnverifiedObject): Certificate {
  const addresses = [
    ...object.all(5).map((v) => readPrefix(v, 4, 5)),
    ...object.all(6).map((v) => readPrefix(v, 6, 6)),
  ];
  if (addresses.length === 0) throw new DecodeError('a certificate without an address');
  const role = object.fixed(10, 1).readUInt8();
  if (role !== ROLE_MEMBER) throw new DecodeError(`unknown role ${role}`);
  const identityKey = object.fixed(2, KEY_BYTES);
  const nodeId = nodeIdOf(identityKey);
  const serial = object.u64(11);
  return {
    overlayId: object.fixed(1, ID_BYTES).toString('hex'),
    identityKey,
    sessionKey: object.fixed(3, KEY_BYTES),
    name: parseName(object.one(4)),
    addresses,
    routes: [...object.all(7).map((v) => readNetwork(v, 4, 7)), ...object.all(8).map((v) => readNetwork(v, 6, 8))],
    macs: object.all(9).map(readMacRule),
    role,
    serial,
    notBefore: object.seconds(12),
    notAfter: object.seconds(13),
    nodeId,
    label: labelOf(nodeId),
    mac: nodeMac(addresses, serial),
    bytes: object.bytes,
  };
}

/** Form only: who signed it, and when it holds, are questions of `verifyCertificate`. */
export function parseCertificate(bytes: Uint8Array): Certificate {
  return fieldsOf(readObject(KIND, bytes));
}

/** Form, overlay, signature and time; `now` in seconds since 1970, undefined where the time is judged elsewhere. */
export function verifyCertificate(bytes: Uint8Array, authorityKey: Uint8Array, now?: number): Certificate {
  const object = readObject(KIND, bytes);
  const certificate = fieldsOf(object);
  if (certificate.overlayId !== overlayIdOf(authorityKey)) throw new DecodeError('a certificate of another overlay');
  if (!object.signedBy(authorityKey)) throw new DecodeError("a certificate without the authority's signature");
  if (now !== undefined) checkTime(certificate, now);
  return certificate;
}

function checkTime(certificate: Certificate, now: number): void {
  if (now < certificate.notBefore - CLOCK_LEEWAY_SECONDS) throw new DecodeError('a certificate that is not valid yet');
  if (now > certificate.notAfter) throw new DecodeError('a certificate that has expired');
}

export function isValidAt(certificate: Certificate, now: number): boolean {
  return now >= certificate.notBefore - CLOCK_LEEWAY_SECONDS && now <= certificate.notAfter;
}
