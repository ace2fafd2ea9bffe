/**
 * The match of a flow (OpenFlow 1.3.5 §7.2.2.1):
 *
 *     type (2: 1 = OXM) | length (2, without padding) | OXM TLVs | zero padding to a multiple of 8
 */

import { DecodeError, Reader, u16 } from '../../wire/reader.ts';
import {
  FIELDS,
  type FieldName,
  type FieldValue,
  fullMask,
  type NamedField,
  readAnyField,
  writeField,
} from './fields.ts';

/** Which frames: every named field has to fit. A value with a full mask is the same as one without. */
export type Match = { readonly [name in FieldName]?: FieldValue };

const OXM = 1;
const HEADER_BYTES = 4;

export function writeMatch(match: Match): Buffer {
  const fields = entries(match).map((field) => writeField(field));
  const length = HEADER_BYTES + fields.reduce((sum, f) => sum + f.length, 0);
  return Buffer.concat([u16(OXM), u16(length), ...fields, Buffer.alloc(padding(length))]);
}

/** @param unknown what becomes of fields that are not among ours */
export function readMatch(reader: Reader, unknown: 'refuse' | 'skip' = 'refuse'): Match {
  const type = reader.u16();
  const length = reader.u16();
  if (type !== OXM) throw new DecodeError(`match type ${type}`);
  if (length < HEADER_BYTES) throw new DecodeError(`a match of ${length} bytes`);
  const fields = new Reader(reader.take(length - HEADER_BYTES));
  const match: { [name in FieldName]?: FieldValue } = {};
  while (fields.remaining > 0) {
    const any = readAnyField(fields);
    if ('unknown' in any) {
      if (unknown === 'skip') continue;
      throw new DecodeError(`OXM ${any.unknown} is not known`);
    }
    const { name, ...field } = any;
    if (match[name] !== undefined) throw new DecodeError(`${name} stands twice in a match`);
    match[name] = field;
  }
  reader.take(padding(length));
  return normal(match);
}

/** In the order of the OXM numbers, without masks that mask nothing, and without fields that match anything. */
export function normal(match: Match): Match {
  const fields = entries(match).flatMap(({ name, value, mask }) => {
    if (mask === undefined || mask === fullMask(name)) return [[name, { value }] as const];
    return mask === 0n ? [] : [[name, { value, mask }] as const];
  });
  return Object.fromEntries(fields);
}

export function entries(match: Match): readonly NamedField[] {
  const names = Object.keys(match) as FieldName[];
  return names
    .sort((a, b) => FIELDS[a].id - FIELDS[b].id)
    .flatMap((name) => {
      const field = match[name];
      return field === undefined ? [] : [{ name, ...field }];
    });
}

/** Zero bytes that bring a length to a multiple of 8. */
export function padding(length: number): number {
  return (8 - (length % 8)) % 8;
}
