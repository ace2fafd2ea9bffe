/** Groups: group-mod (OpenFlow 1.3.5 §7.3.4.2), group descriptions, statistics and features (§7.3.5.8 to §7.3.5.10). */

import { DecodeError, Reader, u16, u32, u64 } from '../../wire/reader.ts';
import { type Action, ANY_GROUP, PORT, readActions, writeActions } from './actions.ts';

/** By OFPGT_*. `select` is never ours, but a switch may have one of somebody else. */
export const GROUP_TYPES = ['all', 'select', 'indirect', 'fast-failover'] as const;
export type GroupType = (typeof GROUP_TYPES)[number];

export const GROUP_COMMANDS = ['add', 'modify', 'delete'] as const;
export type GroupCommand = (typeof GROUP_COMMANDS)[number];

export interface Bucket {
  /** Counts in a `select` group alone. */
  readonly weight: number;
  /** What has to be live for a bucket of a `fast-failover` group to be taken; `PORT.any` and `ANY_GROUP` elsewhere. */
  readonly watchPort: number;
  readonly watchGroup: number;
  readonly actions: readonly Action[];
}

/** What a bucket says if nothing else is said. */
export const BUCKET_DEFAULTS = { weight: 0, watchPort: PORT.any, watchGroup: ANY_GROUP } as const;

export interface Group {
  readonly group: number;
  readonly type: GroupType;
  readonly buckets: readonly Bucket[];
}

export interface GroupMod {
  readonly type: 'group-mod';
  readonly xid: number;
  readonly command: GroupCommand;
  readonly groupType: GroupType;
  readonly group: number;
  readonly buckets: readonly Bucket[];
}

/** OFPG_ALL: every group, where one is deleted or asked for. */
export const ALL_GROUPS = 0xfffffffc;

export function writeGroupMod(m: GroupMod): Buffer {
  return Buffer.concat([
    u16(GROUP_COMMANDS.indexOf(m.command)),
    Buffer.of(GROUP_TYPES.indexOf(m.groupType), 0),
    u32(m.group),
    ...m.buckets.map(writeBucket),
  ]);
}

export function readGroupMod(r: Reader, xid: number): GroupMod {
  const command = GROUP_COMMANDS[r.u16()];
  if (command === undefined) throw new DecodeError('a group-mod with an unknown command');
  const groupType = readType(r);
  r.u8();
  return { type: 'group-mod', xid, command, groupType, group: r.u32(), buckets: readBuckets(r) };
}

function readType(r: Reader): GroupType {
  const type = GROUP_TYPES[r.u8()];
  if (type === undefined) throw new DecodeError('a group of an unknown type');
  return type;
}

/** length (2) | weight (2) | watched port (4) | watched group (4) | zero (4) | actions */
function writeBucket(b: Bucket): Buffer {
  const body = Buffer.concat([
    u16(b.weight),
    u32(b.watchPort),
    u32(b.watchGroup),
    Buffer.alloc(4),
    writeActions(b.actions),
  ]);
  return Buffer.concat([u16(2 + body.length), body]);
}

function readBuckets(r: Reader): readonly Bucket[] {
  const buckets: Bucket[] = [];
  while (r.remaining > 0) {
    const b = sized(r);
    const [weight, watchPort, watchGroup] = [b.u16(), b.u32(), b.u32()];
    b.take(4);
    buckets.push({ weight, watchPort, watchGroup, actions: readActions(b.rest()) });
  }
  return buckets;
}

/** What begins with its own length of two bytes. */
function sized(r: Reader): Reader {
  const length = r.u16();
  if (length < 2) throw new DecodeError('a part of a group without length');
  return new Reader(r.take(length - 2));
}

/** length (2) | type (1) | zero (1) | group (4) | buckets */
export function writeGroupDescription(g: Group): Buffer {
  const body = Buffer.concat([Buffer.of(GROUP_TYPES.indexOf(g.type), 0), u32(g.group), ...g.buckets.map(writeBucket)]);
  return Buffer.concat([u16(2 + body.length), body]);
}

export function readGroupDescription(r: Reader): Group {
  const g = sized(r);
  const type = readType(g);
  g.u8();
  return { group: g.u32(), type, buckets: readBuckets(g) };
}

export interface Counted {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface GroupStats extends Counted {
  readonly group: number;
  /** Flows and groups that lead here. */
  readonly references: number;
  readonly durationS: number;
  readonly buckets: readonly Counted[];
}

/** length (2) | zero (2) | group (4) | references (4) | zero (4) | packets (8) | bytes (8) | s (4) | ns (4) | buckets' counters */
export function writeGroupStats(s: GroupStats): Buffer {
  const counted = ({ packets, bytes }: Counted) => Buffer.concat([u64(packets), u64(bytes)]);
  const body = Buffer.concat([
    u16(0),
    u32(s.group),
    u32(s.references),
    u32(0),
    counted(s),
    u32(s.durationS),
    u32(0),
    ...s.buckets.map(counted),
  ]);
  return Buffer.concat([u16(2 + body.length), body]);
}

export function readGroupStats(r: Reader): GroupStats {
  const s = sized(r);
  s.u16();
  const [group, references] = [s.u32(), s.u32()];
  s.u32();
  const [packets, bytes, durationS] = [s.u64(), s.u64(), s.u32()];
  s.u32();
  const buckets: Counted[] = [];
  while (s.remaining > 0) buckets.push({ packets: s.u64(), bytes: s.u64() });
  return { group, references, packets, bytes, durationS, buckets };
}

export interface GroupFeatures {
  readonly types: readonly GroupType[];
  /** OFPGFC_*. */
  readonly capabilities: number;
  /** How many groups of each type there may be, and a bit set of the actions in them; by OFPGT_*. */
  readonly most: readonly number[];
  readonly actions: readonly number[];
}

export function writeGroupFeatures(f: GroupFeatures): Buffer {
  const types = f.types.reduce((bits, type) => bits | (1 << GROUP_TYPES.indexOf(type)), 0);
  const each = (values: readonly number[]) => GROUP_TYPES.map((_, i) => u32(values[i] ?? 0));
  return Buffer.concat([u32(types), u32(f.capabilities), ...each(f.most), ...each(f.actions)]);
}

export function readGroupFeatures(r: Reader): GroupFeatures {
  const [types, capabilities] = [r.u32(), r.u32()];
  const each = () => GROUP_TYPES.map(() => r.u32());
  return { types: GROUP_TYPES.filter((_, i) => (types & (1 << i)) !== 0), capabilities, most: each(), actions: each() };
}
