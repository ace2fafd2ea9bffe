/** Frames between switch and controller: packet-in (OpenFlow 1.3.5 §7.4.1) and packet-out (§7.3.7). */

import { DecodeError, type Reader, u16, u32, u64 } from '../../wire/reader.ts';
import { type Action, NO_BUFFER, readActions, writeActions } from './actions.ts';
import { type Match, readMatch, writeMatch } from './match.ts';

const IN_REASONS = ['no-match', 'action', 'invalid-ttl'] as const;

export interface PacketIn {
  readonly type: 'packet-in';
  readonly xid: number;
  readonly reason: (typeof IN_REASONS)[number];
  readonly table: number;
  readonly cookie: bigint;
  /** What the frame had beside its headers: `in_port`, `tunnel_id`. */
  readonly match: Match;
  readonly frame: Buffer;
}

export function writePacketIn(m: PacketIn): Buffer {
  const head = [u32(NO_BUFFER), u16(m.frame.length), Buffer.of(IN_REASONS.indexOf(m.reason), m.table), u64(m.cookie)];
  return Buffer.concat([...head, writeMatch(m.match), u16(0), m.frame]);
}

export function readPacketIn(r: Reader, xid: number): PacketIn {
  r.u32();
  r.u16();
  const reason = IN_REASONS[r.u8()];
  if (reason === undefined) throw new DecodeError('a packet-in for an unknown reason');
  const [table, cookie] = [r.u8(), r.u64()];
  // A switch tells whatever it knows of the frame: Open vSwitch has many more words than the standard.
  const match = readMatch(r, 'skip');
  r.u16();
  return { type: 'packet-in', xid, reason, table, cookie, match, frame: r.rest() };
}

export interface PacketOut {
  readonly type: 'packet-out';
  readonly xid: number;
  readonly inPort: number;
  readonly actions: readonly Action[];
  readonly frame: Buffer;
}

export function writePacketOut(m: PacketOut): Buffer {
  const actions = writeActions(m.actions);
  const head = [u32(NO_BUFFER), u32(m.inPort), u16(actions.length), Buffer.alloc(6)];
  return Buffer.concat([...head, actions, m.frame]);
}

export function readPacketOut(r: Reader, xid: number): PacketOut {
  r.u32();
  const inPort = r.u32();
  const length = r.u16();
  r.take(6);
  return { type: 'packet-out', xid, inPort, actions: readActions(r.take(length)), frame: r.rest() };
}
