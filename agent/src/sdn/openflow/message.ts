/**
 * OpenFlow 1.3 messages (wire version 0x04; OpenFlow 1.3.5 §7.1):
 *
 *     version (1) | type (1) | length (2, header included) | xid (4) | body
 */

import { DecodeError, Reader, u16, u32, u64 } from '../../wire/reader.ts';
import {
  type FlowMod,
  type FlowRemoved,
  readFlowMod,
  readFlowRemoved,
  writeFlowMod,
  writeFlowRemoved,
} from './flow.ts';
import { type GroupMod, readGroupMod, writeGroupMod } from './group.ts';
import {
  type MultipartReply,
  type MultipartRequest,
  readMultipartReply,
  readMultipartRequest,
  writeMultipartReply,
  writeMultipartRequest,
} from './multipart.ts';
import { type PacketIn, type PacketOut, readPacketIn, readPacketOut, writePacketIn, writePacketOut } from './packet.ts';
import { type PortStatus, readPortStatus, writePortStatus } from './port.ts';

export const VERSION = 4;
export const HEADER_BYTES = 8;

const TYPE = {
  hello: 0,
  error: 1,
  'echo-request': 2,
  'echo-reply': 3,
  'features-request': 5,
  'features-reply': 6,
  'set-config': 9,
  'packet-in': 10,
  'flow-removed': 11,
  'port-status': 12,
  'packet-out': 13,
  'flow-mod': 14,
  'group-mod': 15,
  'multipart-request': 18,
  'multipart-reply': 19,
  'barrier-request': 20,
  'barrier-reply': 21,
  'role-request': 24,
  'role-reply': 25,
} as const;

const ROLES = ['no-change', 'equal', 'master', 'slave'] as const;
export type Role = (typeof ROLES)[number];

interface Plain<T extends string> {
  readonly type: T;
  readonly xid: number;
}

export type Message =
  /** The versions offered; a hello without a version bitmap offers its header's and all before (§7.5.1). */
  | (Plain<'hello'> & { readonly versions: readonly number[] })
  /** `data` is the start of the message complained of, 64 bytes at least if it had as many (§7.5.4). */
  | (Plain<'error'> & { readonly errorType: number; readonly code: number; readonly data: Buffer })
  | (Plain<'echo-request'> & { readonly data: Buffer })
  | (Plain<'echo-reply'> & { readonly data: Buffer })
  | Plain<'features-request'>
  | (Plain<'features-reply'> & {
      readonly datapathId: bigint;
      readonly tables: number;
      readonly capabilities: number;
    })
  | (Plain<'set-config'> & { readonly missSendBytes: number })
  | PacketIn
  | FlowRemoved
  | PortStatus
  | PacketOut
  | FlowMod
  | GroupMod
  | MultipartRequest
  | MultipartReply
  | Plain<'barrier-request'>
  | Plain<'barrier-reply'>
  | (Plain<'role-request'> & { readonly role: Role; readonly generation: bigint })
  | (Plain<'role-reply'> & { readonly role: Role; readonly generation: bigint })
  /** A type this codec has no words for, kept as it is. */
  | (Plain<'other'> & { readonly number: number; readonly body: Buffer });

export function encode(message: Message): Buffer {
  const body = writeBody(message);
  const type = message.type === 'other' ? message.number : TYPE[message.type];
  return Buffer.concat([Buffer.of(VERSION, type), u16(HEADER_BYTES + body.length), u32(message.xid), body]);
}

function writeBody(m: Message): Buffer {
  switch (m.type) {
    case 'hello':
      return writeVersions(m.versions);
    case 'error':
      return Buffer.concat([u16(m.errorType), u16(m.code), m.data]);
    case 'echo-request':
    case 'echo-reply':
      return m.data;
    case 'features-request':
    case 'barrier-request':
    case 'barrier-reply':
      return Buffer.alloc(0);
    case 'features-reply':
      return Buffer.concat([u64(m.datapathId), u32(0), Buffer.of(m.tables, 0, 0, 0), u32(m.capabilities), u32(0)]);
    case 'set-config':
      return Buffer.concat([u16(0), u16(m.missSendBytes)]);
    case 'packet-in':
      return writePacketIn(m);
    case 'flow-removed':
      return writeFlowRemoved(m);
    case 'port-status':
      return writePortStatus(m);
    case 'packet-out':
      return writePacketOut(m);
    case 'flow-mod':
      return writeFlowMod(m);
    case 'group-mod':
      return writeGroupMod(m);
    case 'multipart-request':
      return writeMultipartRequest(m);
    case 'multipart-reply':
      return writeMultipartReply(m);
    case 'role-request':
    case 'role-reply':
      return Buffer.concat([u32(ROLES.indexOf(m.role)), u32(0), u64(m.generation)]);
    case 'other':
      return m.body;
  }
}

/** One whole message, nothing before and nothing after it. */
export function decode(bytes: Uint8Array): Message {
  const r = new Reader(bytes);
  const [version, type, length, xid] = [r.u8(), r.u8(), r.u16(), r.u32()];
  if (length !== bytes.length) throw new DecodeError(`a message of ${bytes.length} bytes says it has ${length}`);
  // A hello may be of any version: it is what versions are agreed by.
  if (version !== VERSION && type !== TYPE.hello) throw new DecodeError(`OpenFlow version ${version}`);
  const message = readBody(type, version, xid, r);
  r.end();
  return message;
}

function readBody(type: number, version: number, xid: number, r: Reader): Message {
  switch (type) {
    case TYPE.hello:
      return { type: 'hello', xid, versions: readVersions(r, version) };
    case TYPE.error:
      return { type: 'error', xid, errorType: r.u16(), code: r.u16(), data: r.rest() };
    case TYPE['echo-request']:
      return { type: 'echo-request', xid, data: r.rest() };
    case TYPE['echo-reply']:
      return { type: 'echo-reply', xid, data: r.rest() };
    case TYPE['features-request']:
      return { type: 'features-request', xid };
    case TYPE['features-reply']:
      return { type: 'features-reply', xid, ...readFeatures(r) };
    case TYPE['set-config']:
      r.u16();
      return { type: 'set-config', xid, missSendBytes: r.u16() };
    case TYPE['packet-in']:
      return readPacketIn(r, xid);
    case TYPE['flow-removed']:
      return readFlowRemoved(r, xid);
    case TYPE['port-status']:
      return readPortStatus(r, xid);
    case TYPE['packet-out']:
      return readPacketOut(r, xid);
    case TYPE['flow-mod']:
      return readFlowMod(r, xid);
    case TYPE['group-mod']:
      return readGroupMod(r, xid);
    case TYPE['multipart-request']:
      return readMultipartRequest(r, xid);
    case TYPE['multipart-reply']:
      return readMultipartReply(r, xid);
    case TYPE['barrier-request']:
      return { type: 'barrier-request', xid };
    case TYPE['barrier-reply']:
      return { type: 'barrier-reply', xid };
    case TYPE['role-request']:
      return { type: 'role-request', xid, ...readRole(r) };
    case TYPE['role-reply']:
      return { type: 'role-reply', xid, ...readRole(r) };
    default:
      return { type: 'other', xid, number: type, body: r.rest() };
  }
}

function readFeatures(r: Reader) {
  const datapathId = r.u64();
  r.u32();
  const tables = r.u8();
  r.take(3);
  const capabilities = r.u32();
  r.u32();
  return { datapathId, tables, capabilities };
}

function readRole(r: Reader): { readonly role: Role; readonly generation: bigint } {
  const role = ROLES[r.u32()];
  if (role === undefined) throw new DecodeError('an unknown controller role');
  r.u32();
  return { role, generation: r.u64() };
}

const VERSION_BITMAP = 1;

/** One hello element with one bitmap: type (2) | length (2) | bitmap (4). */
function writeVersions(versions: readonly number[]): Buffer {
  const bitmap = versions.reduce((bits, v) => bits | (1 << v), 0) >>> 0;
  return Buffer.concat([u16(VERSION_BITMAP), u16(8), u32(bitmap)]);
}

function readVersions(r: Reader, headerVersion: number): readonly number[] {
  let versions: readonly number[] | undefined;
  while (r.remaining > 0) {
    const [type, length] = [r.u16(), r.u16()];
    if (length < 4) throw new DecodeError(`a hello element of ${length} bytes`);
    const body = new Reader(r.take(length - 4));
    r.take(Math.min((8 - (length % 8)) % 8, r.remaining));
    if (type !== VERSION_BITMAP) continue;
    const bitmap = body.u32();
    versions = Array.from({ length: 32 }, (_, v) => v).filter((v) => (bitmap & (1 << v)) !== 0);
  }
  return versions ?? Array.from({ length: Math.min(headerVersion, 31) }, (_, i) => i + 1);
}
