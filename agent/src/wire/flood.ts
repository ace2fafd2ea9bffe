/** docs/wire.md §6.3: floods and their acknowledgements, the plaintexts of C5 and C6. */
import { readEthernet } from './frame.ts';
import { type Label, ringDistance } from './ids.ts';
import { DecodeError, Reader, u64 } from './reader.ts';

const PARTIAL = 1;

/** The open arc (start, bound) of the ring, clockwise, that the receiver answers for, of one flood. */
export interface FloodArc {
  readonly root: Label;
  readonly sequence: bigint;
  readonly start: Label;
  readonly bound: Label;
}

export interface Flood extends FloodArc {
  readonly hopLimit: number;
  readonly partial: boolean;
  readonly ethernet: Buffer;
}

/** Whether a position lies in the open arc; start = bound is the whole ring but that point. */
export function inArc(position: Label, start: Label, bound: Label): boolean {
  if (position === start || position === bound) return false;
  return start === bound || ringDistance(start, position) < ringDistance(start, bound);
}

export function encodeFloodAcknowledgement(a: FloodArc): Buffer {
  return Buffer.concat([u64(a.root), u64(a.sequence), u64(a.start), u64(a.bound)]);
}

const readArc = (reader: Reader): FloodArc => ({
  root: reader.u64(),
  sequence: reader.u64(),
  start: reader.u64(),
  bound: reader.u64(),
});

export function decodeFloodAcknowledgement(bytes: Uint8Array): FloodArc {
  const reader = new Reader(bytes);
  const arc = readArc(reader);
  reader.end();
  return arc;
}

export function encodeFlood(f: Flood): Buffer {
  return Buffer.concat([encodeFloodAcknowledgement(f), Buffer.of(f.hopLimit, f.partial ? PARTIAL : 0), f.ethernet]);
}

export function decodeFlood(bytes: Uint8Array): Flood {
  const reader = new Reader(bytes);
  const arc = readArc(reader);
  const [hopLimit, flags] = [reader.u8(), reader.u8()];
  if (flags > PARTIAL) throw new DecodeError(`flood flags ${flags}`);
  return { ...arc, hopLimit, partial: flags === PARTIAL, ethernet: readEthernet(reader) };
}
