/**
 * The OpenFlow 1.3 codec: `encode` a message, `decode` one, `Splitter` between a byte stream and messages.
 *
 *     decode(Buffer.from('0400000800000001', 'hex'))   // { type: 'hello', xid: 1, versions: [1, 2, 3, 4] }
 */

export {
  type Action,
  ALL_TABLES,
  ANY_GROUP,
  type Instruction,
  NO_BUFFER,
  PORT,
  WHOLE_FRAME,
} from './actions.ts';
export { FIELDS, type FieldName, type FieldValue, fullMask, number, toNumber } from './fields.ts';
export {
  ALL_FLOWS,
  FLOW_MOD_DEFAULTS,
  type FlowCommand,
  type FlowMod,
  type FlowSelection,
  type FlowStats,
  SEND_FLOW_REMOVED,
} from './flow.ts';
export {
  ALL_GROUPS,
  BUCKET_DEFAULTS,
  type Bucket,
  GROUP_TYPES,
  type Group,
  type GroupCommand,
  type GroupMod,
  type GroupType,
} from './group.ts';
export { entries, type Match, normal } from './match.ts';
export { decode, encode, HEADER_BYTES, type Message, type Role, VERSION } from './message.ts';
export type { MultipartReply, MultipartRequest } from './multipart.ts';
export type { PacketIn, PacketOut } from './packet.ts';
export type { Port, PortStats, PortStatus } from './port.ts';
export { Splitter } from './splitter.ts';
