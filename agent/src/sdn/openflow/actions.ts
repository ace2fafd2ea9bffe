/**
 * Actions (OpenFlow 1.3.5 §7.2.5) and instructions (§7.2.4): type (2) | length (2, padding included) | body
 */

import { DecodeError, Reader, u16, u32 } from '../../wire/reader.ts';
import { type NamedField, readField, writeField } from './fields.ts';
import { padding } from './match.ts';

export type Action =
  /** `maxBytes` is how much of a frame a packet-in carries; it means nothing for other ports. */
  | { readonly type: 'output'; readonly port: number; readonly maxBytes?: number }
  | { readonly type: 'group'; readonly group: number }
  | { readonly type: 'set-field'; readonly field: NamedField }
  /** An action this codec has no words for, kept as it is: a switch that is not ours alone has flows and groups of others. */
  | { readonly type: 'other'; readonly number: number; readonly body: Buffer };

export type Instruction =
  | { readonly type: 'goto'; readonly table: number }
  | { readonly type: 'write'; readonly actions: readonly Action[] }
  | { readonly type: 'apply'; readonly actions: readonly Action[] }
  | { readonly type: 'clear' }
  | { readonly type: 'meter'; readonly meter: number };

/** Reserved ports (§7.2.1). */
export const PORT = {
  inPort: 0xfffffff8,
  table: 0xfffffff9,
  normal: 0xfffffffa,
  flood: 0xfffffffb,
  all: 0xfffffffc,
  controller: 0xfffffffd,
  local: 0xfffffffe,
  any: 0xffffffff,
} as const;

/** OFPG_ANY. */
export const ANY_GROUP = 0xffffffff;
/** OFPTT_ALL. */
export const ALL_TABLES = 0xff;
/** OFP_NO_BUFFER, and OFPCML_NO_BUFFER: whole frames in packet-in. */
export const NO_BUFFER = 0xffffffff;
export const WHOLE_FRAME = 0xffff;

const ACTION = { output: 0, group: 22, setField: 25 } as const;
const INSTRUCTION = { goto: 1, write: 3, apply: 4, clear: 5, meter: 6 } as const;

export function writeActions(actions: readonly Action[]): Buffer {
  return Buffer.concat(actions.map(writeAction));
}

function writeAction(action: Action): Buffer {
  switch (action.type) {
    case 'output':
      return tlv(ACTION.output, u32(action.port), u16(action.maxBytes ?? 0), Buffer.alloc(6));
    case 'group':
      return tlv(ACTION.group, u32(action.group));
    case 'set-field':
      return tlv(ACTION.setField, writeField(action.field));
    case 'other':
      return tlv(action.number, action.body);
  }
}

export function readActions(bytes: Buffer): readonly Action[] {
  return tlvs(bytes, (type, body) => {
    switch (type) {
      case ACTION.output: {
        const [port, maxBytes] = [body.u32(), body.u16()];
        body.take(6);
        return port === PORT.controller ? { type: 'output', port, maxBytes } : { type: 'output', port };
      }
      case ACTION.group:
        return { type: 'group', group: body.u32() };
      case ACTION.setField: {
        const field = readField(body);
        if (field.mask !== undefined) throw new DecodeError('set-field takes no mask in OpenFlow 1.3');
        body.take(padding(4 + body.position));
        return { type: 'set-field', field };
      }
      default:
        return { type: 'other', number: type, body: body.rest() };
    }
  });
}

export function writeInstructions(instructions: readonly Instruction[]): Buffer {
  return Buffer.concat(instructions.map(writeInstruction));
}

function writeInstruction(instruction: Instruction): Buffer {
  switch (instruction.type) {
    case 'goto':
      return tlv(INSTRUCTION.goto, Buffer.of(instruction.table, 0, 0, 0));
    case 'write':
      return tlv(INSTRUCTION.write, Buffer.alloc(4), writeActions(instruction.actions));
    case 'apply':
      return tlv(INSTRUCTION.apply, Buffer.alloc(4), writeActions(instruction.actions));
    case 'clear':
      return tlv(INSTRUCTION.clear, Buffer.alloc(4));
    case 'meter':
      return tlv(INSTRUCTION.meter, u32(instruction.meter));
  }
}

export function readInstructions(bytes: Buffer): readonly Instruction[] {
  return tlvs(bytes, (type, body) => {
    switch (type) {
      case INSTRUCTION.goto: {
        const table = body.u8();
        body.take(3);
        return { type: 'goto', table };
      }
      case INSTRUCTION.write:
        body.take(4);
        return { type: 'write', actions: readActions(body.rest()) };
      case INSTRUCTION.apply:
        body.take(4);
        return { type: 'apply', actions: readActions(body.rest()) };
      case INSTRUCTION.clear:
        body.take(4);
        return { type: 'clear' };
      case INSTRUCTION.meter:
        return { type: 'meter', meter: body.u32() };
      default:
        throw new DecodeError(`instruction ${type} is not known`);
    }
  });
}

function tlv(type: number, ...body: readonly Buffer[]): Buffer {
  const content = Buffer.concat(body);
  const length = 4 + content.length;
  return Buffer.concat([u16(type), u16(length + padding(length)), content, Buffer.alloc(padding(length))]);
}

function tlvs<T>(bytes: Buffer, read: (type: number, body: Reader) => T): readonly T[] {
  const reader = new Reader(bytes);
  const items: T[] = [];
  while (reader.remaining > 0) {
    const type = reader.u16();
    const length = reader.u16();
    if (length < 8 || length % 8 !== 0) throw new DecodeError(`an action or instruction of ${length} bytes`);
    const body = new Reader(reader.take(length - 4));
    items.push(read(type, body));
    body.end();
  }
  return items;
}
