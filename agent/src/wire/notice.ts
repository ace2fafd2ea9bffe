/** docs/wire.md §7: notices, what a node on the way tells the source of a record. */
import type { Label } from './ids.ts';
import { DecodeError, Reader, u16, u64 } from './reader.ts';
import { RECORD, SESSION_HEADER_BYTES } from './record.ts';

const UNKNOWN_LABEL = 1;
const TOO_BIG = 2;
const UNKNOWN_RECEIVER = 3;
/** Every path carries records of this size. */
const SIZE_FLOOR = 1200;

export interface Notice {
  readonly kind: 'unknown-label' | 'too-big' | 'unknown-receiver';
  /** What the next hop takes; `too-big` only. */
  readonly size: number;
  readonly label: Label;
  /** The first bytes of the record complained of. */
  readonly quote: Buffer;
}

const KINDS = { 'unknown-label': UNKNOWN_LABEL, 'too-big': TOO_BIG, 'unknown-receiver': UNKNOWN_RECEIVER } as const;
const NAMES = new Map<number, Notice['kind']>([
  [UNKNOWN_LABEL, 'unknown-label'],
  [TOO_BIG, 'too-big'],
  [UNKNOWN_RECEIVER, 'unknown-receiver'],
]);

export function encodeNotice(n: Notice): Buffer {
  return Buffer.concat([Buffer.of(RECORD.notice, KINDS[n.kind]), u16(n.size), u64(n.label), n.quote]);
}

export function decodeNotice(bytes: Uint8Array): Notice {
  const reader = new Reader(bytes);
  if (reader.u8() !== RECORD.notice) throw new DecodeError('no notice');
  const code = reader.u8();
  const kind = NAMES.get(code);
  if (kind === undefined) throw new DecodeError(`notice kind ${code}`);
  const [size, label] = [reader.u16(), reader.u64()];
  const quote = reader.take(SESSION_HEADER_BYTES);
  reader.end();
  if (kind === 'too-big' ? size < SIZE_FLOOR : size !== 0) throw new DecodeError(`a notice with size ${size}`);
  if (kind === 'unknown-receiver' && label !== 0n) throw new DecodeError('a notice with a label');
  return { kind, size, label, quote };
}
