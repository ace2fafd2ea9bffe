/** docs/wire.md §1: identifiers. Overlay and node ids are written as 32 lower-case hex characters, labels are u64. */
import { sha256 } from './keys.ts';
import { DecodeError, fromHex } from './reader.ts';

export const ID_BYTES = 16;
export const BOOT_NONCE_BYTES = 16;

/** 32 hex characters. */
export type NodeId = string;
/** 32 hex characters. */
export type OverlayId = string;
/** Position on the ring. */
export type Label = bigint;

const RING = 1n << 64n;

export function overlayIdOf(authorityKey: Uint8Array): OverlayId {
  return sha256(authorityKey).toString('hex', 0, ID_BYTES);
}

export function nodeIdOf(identityKey: Uint8Array): NodeId {
  return sha256(identityKey).toString('hex', 0, ID_BYTES);
}

export function isNodeId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

export function idBytes(id: NodeId | OverlayId): Buffer {
  return fromHex(id, ID_BYTES);
}

export function labelOf(id: NodeId): Label {
  return idBytes(id).readBigUInt64BE();
}

export function labelHex(label: Label): string {
  return label.toString(16).padStart(16, '0');
}

export function parseLabel(text: string): Label {
  return fromHex(text, 8).readBigUInt64BE();
}

/** Clockwise from `from` to `to`. */
export function ringDistance(from: Label, to: Label): bigint {
  return (to - from + RING) % RING;
}

/** A DNS label of 1 to 63 bytes (RFC 1123 §2.1), as names in signed objects are. */
export function isName(text: string): boolean {
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text);
}

export function parseName(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1');
  if (!isName(text)) throw new DecodeError('a name that is no DNS label');
  return text;
}

/** The UDP port of tincan when none is configured: docs/wire.md §8. */
export function derivedUdpPort(label: Label): number {
  return 20000 + Number(label % 20000n);
}
