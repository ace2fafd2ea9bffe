/** docs/wire.md §2: the revocation list, signed by the authority. */
import type { KeyObject } from 'node:crypto';
import { ID_BYTES, idBytes, type NodeId, type OverlayId, overlayIdOf } from './ids.ts';
import { rawPublicKey } from './keys.ts';
import { DecodeError, u64 } from './reader.ts';
import { exactly, OBJECT_MAX_BYTES, type ObjectKind, readObject, writeObject } from './tlv.ts';

const KIND: ObjectKind = {
  magic: 'EVR1',
  domain: 'evio/1 revocations',
  maxBytes: OBJECT_MAX_BYTES,
  required: [1, 2, 3],
  optional: [],
  repeated: [4],
};

/** A node's certificates up to and with this serial are void. */
export interface Revocation {
  readonly nodeId: NodeId;
  readonly serial: bigint;
}

export interface RevocationFields {
  readonly serial: bigint;
  /** Seconds since 1970. */
  readonly issued: number;
  readonly revoked: readonly Revocation[];
}

export interface Revocations extends RevocationFields {
  readonly overlayId: OverlayId;
  readonly bytes: Buffer;
}

export function encodeRevocations(fields: RevocationFields, authority: KeyObject): Buffer {
  return writeObject(
    KIND,
    [
      { type: 1, value: idBytes(overlayIdOf(rawPublicKey(authority))) },
      { type: 2, value: u64(fields.serial) },
      { type: 3, value: u64(fields.issued) },
      ...fields.revoked.map((r) => ({ type: 4, value: Buffer.concat([idBytes(r.nodeId), u64(r.serial)]) })),
    ],
    authority,
  );
}

export function verifyRevocations(bytes: Uint8Array, authorityKey: Uint8Array): Revocations {
  const object = readObject(KIND, bytes);
  const overlayId = object.fixed(1, ID_BYTES).toString('hex');
  const revocations: Revocations = {
    overlayId,
    serial: object.u64(2),
    issued: object.seconds(3),
    revoked: object.all(4).map((value) => {
      exactly(value, ID_BYTES + 8, 4);
      return { nodeId: value.toString('hex', 0, ID_BYTES), serial: value.readBigUInt64BE(ID_BYTES) };
    }),
    bytes: object.bytes,
  };
  if (overlayId !== overlayIdOf(authorityKey)) throw new DecodeError('a revocation list of another overlay');
  if (!object.signedBy(authorityKey)) throw new DecodeError("a revocation list without the authority's signature");
  return revocations;
}

export function isRevoked(list: Revocations | undefined, nodeId: NodeId, serial: bigint): boolean {
  return list?.revoked.some((r) => r.nodeId === nodeId && serial <= r.serial) ?? false;
}
