/** Ports (OpenFlow 1.3.5 §7.2.1), port-status (§7.4.3) and port statistics (§7.3.5.6). */

import { formatMac, parseMac } from '../../wire/mac.ts';
import { DecodeError, type Reader, u32, u64 } from '../../wire/reader.ts';

export interface Port {
  readonly number: number;
  readonly mac: string;
  readonly name: string;
  /** OFPPS_LINK_DOWN. */
  readonly linkDown: boolean;
}

const LINK_DOWN = 1;
const NAME_BYTES = 16;
/** Configuration before the state, and features and speeds after it: not ours to use. */
const FEATURES_BYTES = 24;

export function writePort(p: Port): Buffer {
  const name = Buffer.alloc(NAME_BYTES);
  name.write(p.name, 0, NAME_BYTES - 1, 'latin1');
  const state = [u32(0), u32(p.linkDown ? LINK_DOWN : 0)];
  return Buffer.concat([
    u32(p.number),
    u32(0),
    parseMac(p.mac),
    Buffer.alloc(2),
    name,
    ...state,
    Buffer.alloc(FEATURES_BYTES),
  ]);
}

export function readPort(r: Reader): Port {
  const number = r.u32();
  r.u32();
  const mac = formatMac(r.take(6));
  r.take(2);
  const name = r.take(NAME_BYTES);
  r.u32();
  const state = r.u32();
  r.take(FEATURES_BYTES);
  const end = name.indexOf(0);
  return {
    number,
    mac,
    name: name.toString('latin1', 0, end === -1 ? NAME_BYTES : end),
    linkDown: (state & LINK_DOWN) !== 0,
  };
}

const PORT_REASONS = ['add', 'delete', 'modify'] as const;

export interface PortStatus {
  readonly type: 'port-status';
  readonly xid: number;
  readonly reason: (typeof PORT_REASONS)[number];
  readonly port: Port;
}

export function writePortStatus(m: PortStatus): Buffer {
  return Buffer.concat([Buffer.of(PORT_REASONS.indexOf(m.reason)), Buffer.alloc(7), writePort(m.port)]);
}

export function readPortStatus(r: Reader, xid: number): PortStatus {
  const reason = PORT_REASONS[r.u8()];
  if (reason === undefined) throw new DecodeError('a port-status with an unknown reason');
  r.take(7);
  return { type: 'port-status', xid, reason, port: readPort(r) };
}

export interface PortStats {
  readonly port: number;
  readonly rxPackets: bigint;
  readonly txPackets: bigint;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
  readonly rxDropped: bigint;
  readonly txDropped: bigint;
}

/** Error and collision counters, and how long the port has been there. */
const REST_BYTES = 6 * 8 + 2 * 4;

export function writePortStats(s: PortStats): Buffer {
  const counters = [s.rxPackets, s.txPackets, s.rxBytes, s.txBytes, s.rxDropped, s.txDropped];
  return Buffer.concat([u32(s.port), u32(0), ...counters.map(u64), Buffer.alloc(REST_BYTES)]);
}

export function readPortStats(r: Reader): PortStats {
  const port = r.u32();
  r.u32();
  const [rxPackets, txPackets, rxBytes, txBytes] = [r.u64(), r.u64(), r.u64(), r.u64()];
  const [rxDropped, txDropped] = [r.u64(), r.u64()];
  r.take(REST_BYTES);
  return { port, rxPackets, txPackets, rxBytes, txBytes, rxDropped, txDropped };
}
