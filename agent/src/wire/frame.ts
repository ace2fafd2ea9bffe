/** docs/wire.md §6.1 and §6.2: frames and fragments, the plaintexts of C3 and C4. */
import { DecodeError, Reader, u8, u16 } from './reader.ts';
import { RECORD } from './record.ts';

const ETHERNET_HEADER_BYTES = 14;
const PARTIAL = 1;
const CONTINUES = 2;

export interface Frame {
  readonly partial: boolean;
  readonly continues: boolean;
  /** Without frame check sequence. */
  readonly ethernet: Buffer;
}

export function readEthernet(reader: Reader): Buffer {
  const ethernet = reader.rest();
  if (ethernet.length < ETHERNET_HEADER_BYTES) throw new DecodeError(`a frame of ${ethernet.length} bytes`);
  return ethernet;
}

export function encodeFrame(f: Frame): Buffer {
  const flags = (f.partial ? PARTIAL : 0) | (f.continues ? CONTINUES : 0);
  return Buffer.concat([Buffer.of(flags, 0), f.ethernet]);
}

export function decodeFrame(bytes: Uint8Array): Frame {
  const reader = new Reader(bytes);
  const flags = reader.u8();
  if (flags > (PARTIAL | CONTINUES)) throw new DecodeError(`frame flags ${flags}`);
  reader.zeros(1);
  const ethernet = readEthernet(reader);
  return { partial: (flags & PARTIAL) !== 0, continues: (flags & CONTINUES) !== 0, ethernet };
}

const FRAGMENTS_MAX = 64;
const FRAGMENTED_TYPES: readonly number[] = [RECORD.frame, RECORD.flood, RECORD.control];

export interface Fragment {
  readonly id: number;
  readonly index: number;
  readonly count: number;
  readonly piece: Buffer;
}

export function encodeFragment(f: Fragment): Buffer {
  return Buffer.concat([u16(f.id), u8(f.index), u8(f.count), f.piece]);
}

export function decodeFragment(bytes: Uint8Array): Fragment {
  const reader = new Reader(bytes);
  const [id, index, count] = [reader.u16(), reader.u8(), reader.u8()];
  if (count < 2 || count > FRAGMENTS_MAX) throw new DecodeError(`a message in ${count} fragments`);
  if (index >= count) throw new DecodeError(`fragment ${index} of ${count}`);
  const piece = reader.rest();
  if (piece.length === 0) throw new DecodeError('a fragment without a piece');
  return { id, index, count, piece };
}

/** The plaintexts of the fragments that carry a plaintext of this type. */
export function split(id: number, type: number, plaintext: Uint8Array, pieceBytes: number): readonly Buffer[] {
  const message = Buffer.concat([u8(type), plaintext]);
  const count = Math.ceil(message.length / pieceBytes);
  return Array.from({ length: count }, (_, index) => {
    const piece = message.subarray(index * pieceBytes, (index + 1) * pieceBytes);
    return encodeFragment({ id, index, count, piece });
  });
}

/** What all fragments of one id carried. */
export function join(fragments: readonly Fragment[]): { readonly type: number; readonly plaintext: Buffer } {
  const [first, ...others] = [...fragments].sort((a, b) => a.index - b.index);
  const whole =
    first !== undefined &&
    fragments.length === first.count &&
    [first, ...others].every((f, i) => f.id === first.id && f.count === first.count && f.index === i);
  if (!whole) throw new DecodeError('fragments that are not one message');
  const message = Buffer.concat([first.piece, ...others.map((f) => f.piece)]);
  const type = message.readUInt8();
  if (!FRAGMENTED_TYPES.includes(type)) throw new DecodeError(`fragments of type ${type}`);
  return { type, plaintext: message.subarray(1) };
}
