/**
 * Multipart requests and replies (OpenFlow 1.3.5 §7.3.5): type (2) | flags (2: bit 0 more follow) | zero (4) | body
 *
 * Parts this codec has no words for are kept as they are, by number: a newer switch may send them.
 */

import { type Reader, u16, u32, u64 } from '../../wire/reader.ts';
import { PORT } from './actions.ts';
import {
  type FlowSelection,
  type FlowStats,
  readFlowSelection,
  readFlowStats,
  writeFlowSelection,
  writeFlowStats,
} from './flow.ts';
import {
  ALL_GROUPS,
  type Group,
  type GroupFeatures,
  type GroupStats,
  readGroupDescription,
  readGroupFeatures,
  readGroupStats,
  writeGroupDescription,
  writeGroupFeatures,
  writeGroupStats,
} from './group.ts';
import { type Port, type PortStats, readPort, readPortStats, writePort, writePortStats } from './port.ts';

const PART = {
  description: 0,
  flows: 1,
  aggregate: 2,
  portStats: 4,
  groupStats: 6,
  groups: 7,
  groupFeatures: 8,
  ports: 13,
} as const;
const MORE = 1;

export type RequestBody =
  | { readonly of: 'description' }
  | { readonly of: 'flows'; readonly selection: FlowSelection }
  | { readonly of: 'aggregate'; readonly selection: FlowSelection }
  | { readonly of: 'port-stats' }
  | { readonly of: 'group-stats' }
  /** OFPMP_GROUP_DESC. */
  | { readonly of: 'groups' }
  | { readonly of: 'group-features' }
  | { readonly of: 'ports' }
  | { readonly of: 'other'; readonly part: number; readonly body: Buffer };

export interface MultipartRequest {
  readonly type: 'multipart-request';
  readonly xid: number;
  readonly more: boolean;
  readonly body: RequestBody;
}

export function writeMultipartRequest({ more, body }: MultipartRequest): Buffer {
  const head = (part: number) => Buffer.concat([u16(part), u16(more ? MORE : 0), u32(0)]);
  switch (body.of) {
    case 'description':
      return head(PART.description);
    case 'flows':
      return Buffer.concat([head(PART.flows), writeFlowSelection(body.selection)]);
    case 'aggregate':
      return Buffer.concat([head(PART.aggregate), writeFlowSelection(body.selection)]);
    case 'port-stats':
      return Buffer.concat([head(PART.portStats), u32(PORT.any), u32(0)]);
    case 'group-stats':
      return Buffer.concat([head(PART.groupStats), u32(ALL_GROUPS), u32(0)]);
    case 'groups':
      return head(PART.groups);
    case 'group-features':
      return head(PART.groupFeatures);
    case 'ports':
      return head(PART.ports);
    case 'other':
      return Buffer.concat([head(body.part), body.body]);
  }
}

export function readMultipartRequest(r: Reader, xid: number): MultipartRequest {
  const part = r.u16();
  const more = (r.u16() & MORE) !== 0;
  r.u32();
  return { type: 'multipart-request', xid, more, body: readRequestBody(part, r) };
}

function readRequestBody(part: number, r: Reader): RequestBody {
  switch (part) {
    case PART.description:
      return { of: 'description' };
    case PART.flows:
      return { of: 'flows', selection: readFlowSelection(r) };
    case PART.aggregate:
      return { of: 'aggregate', selection: readFlowSelection(r) };
    case PART.portStats:
      r.take(8);
      return { of: 'port-stats' };
    case PART.groupStats:
      r.take(8);
      return { of: 'group-stats' };
    case PART.groups:
      return { of: 'groups' };
    case PART.groupFeatures:
      return { of: 'group-features' };
    case PART.ports:
      return { of: 'ports' };
    default:
      return { of: 'other', part, body: r.rest() };
  }
}

export interface Description {
  readonly manufacturer: string;
  readonly hardware: string;
  readonly software: string;
  readonly serial: string;
  readonly datapath: string;
}

export type ReplyBody =
  | { readonly of: 'description'; readonly description: Description }
  | { readonly of: 'flows'; readonly flows: readonly FlowStats[] }
  | { readonly of: 'aggregate'; readonly packets: bigint; readonly bytes: bigint; readonly flows: number }
  | { readonly of: 'port-stats'; readonly stats: readonly PortStats[] }
  | { readonly of: 'group-stats'; readonly stats: readonly GroupStats[] }
  | { readonly of: 'groups'; readonly groups: readonly Group[] }
  | { readonly of: 'group-features'; readonly features: GroupFeatures }
  | { readonly of: 'ports'; readonly ports: readonly Port[] }
  | { readonly of: 'other'; readonly part: number; readonly body: Buffer };

export interface MultipartReply {
  readonly type: 'multipart-reply';
  readonly xid: number;
  /** Another reply to the same request follows. */
  readonly more: boolean;
  readonly body: ReplyBody;
}

const LONG_TEXT = 256;
const SERIAL_TEXT = 32;

export function writeMultipartReply({ more, body }: MultipartReply): Buffer {
  const head = (part: number) => Buffer.concat([u16(part), u16(more ? MORE : 0), u32(0)]);
  switch (body.of) {
    case 'description': {
      const d = body.description;
      const long = [d.manufacturer, d.hardware, d.software].map((t) => text(t, LONG_TEXT));
      return Buffer.concat([head(PART.description), ...long, text(d.serial, SERIAL_TEXT), text(d.datapath, LONG_TEXT)]);
    }
    case 'flows':
      return Buffer.concat([head(PART.flows), ...body.flows.map(writeFlowStats)]);
    case 'aggregate':
      return Buffer.concat([head(PART.aggregate), u64(body.packets), u64(body.bytes), u32(body.flows), u32(0)]);
    case 'port-stats':
      return Buffer.concat([head(PART.portStats), ...body.stats.map(writePortStats)]);
    case 'group-stats':
      return Buffer.concat([head(PART.groupStats), ...body.stats.map(writeGroupStats)]);
    case 'groups':
      return Buffer.concat([head(PART.groups), ...body.groups.map(writeGroupDescription)]);
    case 'group-features':
      return Buffer.concat([head(PART.groupFeatures), writeGroupFeatures(body.features)]);
    case 'ports':
      return Buffer.concat([head(PART.ports), ...body.ports.map(writePort)]);
    case 'other':
      return Buffer.concat([head(body.part), body.body]);
  }
}

export function readMultipartReply(r: Reader, xid: number): MultipartReply {
  const part = r.u16();
  const more = (r.u16() & MORE) !== 0;
  r.u32();
  return { type: 'multipart-reply', xid, more, body: readReplyBody(part, r) };
}

function readReplyBody(part: number, r: Reader): ReplyBody {
  switch (part) {
    case PART.description: {
      const [manufacturer, hardware, software] = [untext(r, LONG_TEXT), untext(r, LONG_TEXT), untext(r, LONG_TEXT)];
      const [serial, datapath] = [untext(r, SERIAL_TEXT), untext(r, LONG_TEXT)];
      return { of: 'description', description: { manufacturer, hardware, software, serial, datapath } };
    }
    case PART.flows:
      return { of: 'flows', flows: all(r, readFlowStats) };
    case PART.aggregate: {
      const [packets, bytes, flows] = [r.u64(), r.u64(), r.u32()];
      r.u32();
      return { of: 'aggregate', packets, bytes, flows };
    }
    case PART.portStats:
      return { of: 'port-stats', stats: all(r, readPortStats) };
    case PART.groupStats:
      return { of: 'group-stats', stats: all(r, readGroupStats) };
    case PART.groups:
      return { of: 'groups', groups: all(r, readGroupDescription) };
    case PART.groupFeatures:
      return { of: 'group-features', features: readGroupFeatures(r) };
    case PART.ports:
      return { of: 'ports', ports: all(r, readPort) };
    default:
      return { of: 'other', part, body: r.rest() };
  }
}

function all<T>(r: Reader, read: (r: Reader) => T): readonly T[] {
  const items: T[] = [];
  while (r.remaining > 0) items.push(read(r));
  return items;
}

function text(value: string, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.write(value, 0, bytes - 1, 'latin1');
  return buffer;
}

function untext(r: Reader, bytes: number): string {
  const raw = r.take(bytes);
  const end = raw.indexOf(0);
  return raw.toString('latin1', 0, end === -1 ? bytes : end);
}
