/** Flows: flow-mod (OpenFlow 1.3.5 §7.3.4.1), flow-removed (§7.4.2) and flow statistics (§7.3.5.2). */

import { DecodeError, Reader, u16, u32, u64 } from '../../wire/reader.ts';
import {
  ALL_TABLES,
  ANY_GROUP,
  type Instruction,
  NO_BUFFER,
  PORT,
  readInstructions,
  writeInstructions,
} from './actions.ts';
import { type Match, readMatch, writeMatch } from './match.ts';

export const FLOW_COMMANDS = ['add', 'modify', 'modify-strict', 'delete', 'delete-strict'] as const;
export type FlowCommand = (typeof FLOW_COMMANDS)[number];

/** OFPFF_SEND_FLOW_REM. */
export const SEND_FLOW_REMOVED = 1;

export interface FlowMod {
  readonly type: 'flow-mod';
  readonly xid: number;
  readonly command: FlowCommand;
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly cookieMask: bigint;
  readonly idleTimeoutS: number;
  readonly hardTimeoutS: number;
  readonly outPort: number;
  readonly outGroup: number;
  readonly flags: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

/** What a flow-mod says if nothing else is said. */
export const FLOW_MOD_DEFAULTS = {
  cookie: 0n,
  cookieMask: 0n,
  idleTimeoutS: 0,
  hardTimeoutS: 0,
  outPort: PORT.any,
  outGroup: ANY_GROUP,
  flags: 0,
} as const;

export function writeFlowMod(m: FlowMod): Buffer {
  return Buffer.concat([
    u64(m.cookie),
    u64(m.cookieMask),
    Buffer.of(m.table, FLOW_COMMANDS.indexOf(m.command)),
    u16(m.idleTimeoutS),
    u16(m.hardTimeoutS),
    u16(m.priority),
    u32(NO_BUFFER),
    u32(m.outPort),
    u32(m.outGroup),
    u16(m.flags),
    u16(0),
    writeMatch(m.match),
    writeInstructions(m.instructions),
  ]);
}

export function readFlowMod(r: Reader, xid: number): FlowMod {
  const [cookie, cookieMask, table] = [r.u64(), r.u64(), r.u8()];
  const command = FLOW_COMMANDS[r.u8()];
  if (command === undefined) throw new DecodeError('a flow-mod with an unknown command');
  const [idleTimeoutS, hardTimeoutS, priority] = [r.u16(), r.u16(), r.u16()];
  r.u32();
  const [outPort, outGroup, flags] = [r.u32(), r.u32(), r.u16()];
  r.u16();
  const match = readMatch(r);
  const instructions = readInstructions(r.rest());
  return {
    type: 'flow-mod',
    xid,
    command,
    table,
    priority,
    cookie,
    cookieMask,
    idleTimeoutS,
    hardTimeoutS,
    outPort,
    outGroup,
    flags,
    match,
    instructions,
  };
}

const REMOVED_REASONS = ['idle-timeout', 'hard-timeout', 'delete', 'group-delete'] as const;

export interface FlowRemoved {
  readonly type: 'flow-removed';
  readonly xid: number;
  readonly cookie: bigint;
  readonly priority: number;
  readonly reason: (typeof REMOVED_REASONS)[number];
  readonly table: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly match: Match;
}

export function writeFlowRemoved(m: FlowRemoved): Buffer {
  const [durationS, durationNs, idleTimeoutS, hardTimeoutS] = [0, 0, 0, 0];
  return Buffer.concat([
    u64(m.cookie),
    u16(m.priority),
    Buffer.of(REMOVED_REASONS.indexOf(m.reason), m.table),
    u32(durationS),
    u32(durationNs),
    u16(idleTimeoutS),
    u16(hardTimeoutS),
    u64(m.packets),
    u64(m.bytes),
    writeMatch(m.match),
  ]);
}

export function readFlowRemoved(r: Reader, xid: number): FlowRemoved {
  const [cookie, priority] = [r.u64(), r.u16()];
  const reason = REMOVED_REASONS[r.u8()];
  if (reason === undefined) throw new DecodeError('a flow removed for an unknown reason');
  const table = r.u8();
  r.take(12);
  const [packets, bytes] = [r.u64(), r.u64()];
  return { type: 'flow-removed', xid, cookie, priority, reason, table, packets, bytes, match: readMatch(r) };
}

/** Which flows a statistics request is about: all of them by default. */
export interface FlowSelection {
  readonly table: number;
  readonly outPort: number;
  readonly outGroup: number;
  readonly cookie: bigint;
  readonly cookieMask: bigint;
  readonly match: Match;
}

export const ALL_FLOWS: FlowSelection = {
  table: ALL_TABLES,
  outPort: PORT.any,
  outGroup: ANY_GROUP,
  cookie: 0n,
  cookieMask: 0n,
  match: {},
};

export function writeFlowSelection(s: FlowSelection): Buffer {
  const head = [Buffer.of(s.table, 0, 0, 0), u32(s.outPort), u32(s.outGroup), u32(0)];
  return Buffer.concat([...head, u64(s.cookie), u64(s.cookieMask), writeMatch(s.match)]);
}

export function readFlowSelection(r: Reader): FlowSelection {
  const table = r.u8();
  r.take(3);
  const [outPort, outGroup] = [r.u32(), r.u32()];
  r.u32();
  return { table, outPort, outGroup, cookie: r.u64(), cookieMask: r.u64(), match: readMatch(r) };
}

export interface FlowStats {
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly durationS: number;
  readonly idleTimeoutS: number;
  readonly hardTimeoutS: number;
  readonly flags: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

export function writeFlowStats(s: FlowStats): Buffer {
  const body = Buffer.concat([
    Buffer.of(s.table, 0),
    u32(s.durationS),
    u32(0),
    u16(s.priority),
    u16(s.idleTimeoutS),
    u16(s.hardTimeoutS),
    u16(s.flags),
    u32(0),
    u64(s.cookie),
    u64(s.packets),
    u64(s.bytes),
    writeMatch(s.match),
    writeInstructions(s.instructions),
  ]);
  return Buffer.concat([u16(body.length + 2), body]);
}

export function readFlowStats(r: Reader): FlowStats {
  const length = r.u16();
  if (length < 2) throw new DecodeError('flow statistics without length');
  const e = new Reader(r.take(length - 2));
  const table = e.u8();
  e.u8();
  const durationS = e.u32();
  e.u32();
  const [priority, idleTimeoutS, hardTimeoutS, flags] = [e.u16(), e.u16(), e.u16(), e.u16()];
  e.u32();
  const [cookie, packets, bytes] = [e.u64(), e.u64(), e.u64()];
  const match = readMatch(e);
  const instructions = readInstructions(e.rest());
  return {
    table,
    priority,
    cookie,
    durationS,
    idleTimeoutS,
    hardTimeoutS,
    flags,
    packets,
    bytes,
    match,
    instructions,
  };
}
