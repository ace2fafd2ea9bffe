/** docs/wire.md §2: the overlay's parameters, signed by its authority. */
import type { KeyObject } from 'node:crypto';
import { decodeLongDistance, encodeLongDistance, type LongDistance } from '../long-distance.ts';
import type { Prefix } from './address.ts';
import { prefixBytes, readNetwork } from './certificate.ts';
import { ID_BYTES, isName, type OverlayId, overlayIdOf, parseName } from './ids.ts';
import { KEY_BYTES, rawPublicKey } from './keys.ts';
import { DecodeError, u16, u64 } from './reader.ts';
import { OBJECT_MAX_BYTES, type ObjectKind, readObject, writeObject } from './tlv.ts';

const KIND: ObjectKind = {
  magic: 'EVP1',
  domain: 'evio/1 parameters',
  maxBytes: OBJECT_MAX_BYTES,
  required: [1, 2, 3, 4, 5, 6, 7, 10],
  optional: [8, 9],
  repeated: [],
};

export const MTU_MIN = 1280;
export const MTU_MAX = 9000;
/** What MTU `auto` is signed as. */
export const MTU_AUTO = 1400;

export const CIPHERS = { 'aes-128-gcm': 1, 'chacha20-poly1305': 2 } as const;
export type Cipher = keyof typeof CIPHERS;
const CIPHER_NAMES = new Map<number, Cipher>([
  [1, 'aes-128-gcm'],
  [2, 'chacha20-poly1305'],
]);

export interface Topology {
  readonly successors: number;
  readonly longDistance: LongDistance;
  readonly onDemand: number;
  readonly fullMesh: 'off' | 'auto';
}

export interface ParametersFields {
  readonly name: string;
  readonly serial: bigint;
  /** Seconds since 1970. */
  readonly issued: number;
  readonly mtu: number;
  /** In order of preference. */
  readonly ciphers: readonly Cipher[];
  readonly subnet4?: Prefix | undefined;
  readonly subnet6?: Prefix | undefined;
  readonly topology: Topology;
}

export interface Parameters extends ParametersFields {
  readonly overlayId: OverlayId;
  readonly authorityKey: Buffer;
  readonly bytes: Buffer;
}

export function encodeParameters(fields: ParametersFields, authority: KeyObject): Buffer {
  if (!isName(fields.name)) throw new RangeError(`"${fields.name}" is no DNS label`);
  const authorityKey = rawPublicKey(authority);
  const { successors, longDistance, onDemand, fullMesh } = fields.topology;
  const optional = (type: number, prefix: Prefix | undefined) =>
    prefix === undefined ? [] : [{ type, value: prefixBytes(prefix) }];
  const bytes = writeObject(
    KIND,
    [
      { type: 1, value: Buffer.from(overlayIdOf(authorityKey), 'hex') },
      { type: 2, value: authorityKey },
      { type: 3, value: Buffer.from(fields.name, 'ascii') },
      { type: 4, value: u64(fields.serial) },
      { type: 5, value: u64(fields.issued) },
      { type: 6, value: u16(fields.mtu) },
      { type: 7, value: Buffer.from(fields.ciphers.map((c) => CIPHERS[c])) },
      ...optional(8, fields.subnet4),
      ...optional(9, fields.subnet6),
      {
        type: 10,
        value: Buffer.of(successors, encodeLongDistance(longDistance), onDemand, fullMesh === 'auto' ? 1 : 0),
      },
    ],
    authority,
  );
  verifyParameters(bytes, authorityKey);
  return bytes;
}

function readCipher(code: number): Cipher {
  const name = CIPHER_NAMES.get(code);
  if (name === undefined) throw new DecodeError(`unknown cipher ${code}`);
  return name;
}

function readTopology(value: Buffer): Topology {
  const [successors = 0, links = 0, onDemand = 0, fullMesh = 0] = value;
  if (fullMesh > 1) throw new DecodeError(`full mesh ${fullMesh}`);
  const longDistance = decodeLongDistance(links);
  if (longDistance === undefined) throw new DecodeError(`${links} long-distance links`);
  return {
    successors,
    longDistance,
    onDemand,
    fullMesh: fullMesh === 1 ? 'auto' : 'off',
  };
}

/**
 * Form, the authority's own key and its signature. With `authorityKey` the parameters must be of that authority; without,
 * they prove only that they belong to the overlay id in them.
 */
export function verifyParameters(bytes: Uint8Array, authorityKey?: Uint8Array): Parameters {
  const object = readObject(KIND, bytes);
  const key = object.fixed(2, KEY_BYTES);
  const overlayId = object.fixed(1, ID_BYTES).toString('hex');
  if (overlayId !== overlayIdOf(key)) throw new DecodeError('an overlay id that is not of the authority key');
  if (authorityKey !== undefined && !key.equals(authorityKey)) throw new DecodeError('parameters of another overlay');
  const mtu = object.fixed(6, 2).readUInt16BE();
  if (mtu < MTU_MIN || mtu > MTU_MAX) throw new DecodeError(`an MTU of ${mtu}`);
  const ciphers = [...object.one(7)].map(readCipher);
  if (ciphers.length === 0 || new Set(ciphers).size !== ciphers.length)
    throw new DecodeError('ciphers that are none, or twice the same');
  const [subnet4, subnet6] = [object.optional(8), object.optional(9)];
  const parameters: Parameters = {
    overlayId,
    authorityKey: key,
    name: parseName(object.one(3)),
    serial: object.u64(4),
    issued: object.seconds(5),
    mtu,
    ciphers,
    subnet4: subnet4 && readNetwork(subnet4, 4, 8),
    subnet6: subnet6 && readNetwork(subnet6, 6, 9),
    topology: readTopology(object.fixed(10, 4)),
    bytes: object.bytes,
  };
  if (!object.signedBy(key)) throw new DecodeError("parameters without the authority's signature");
  return parameters;
}
