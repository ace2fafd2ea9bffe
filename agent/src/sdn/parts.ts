/** Parts of tables that both switches have, and the words flows are written in. */

import { familyOf, parseAddress } from '../wire/address.ts';
import type { Certificate } from '../wire/certificate.ts';
import { linkLocalOf, parseMac } from '../wire/mac.ts';
import type { Flow } from './flow.ts';
import {
  type FieldValue,
  type Instruction,
  type Match,
  PORT,
  SEND_FLOW_REMOVED,
  toNumber,
  WHOLE_FRAME,
} from './openflow/index.ts';
import { PIPELINE, type TableName } from './pipeline.ts';

/** What the switch has to know of a node; a certificate has it all. */
export type SwitchMember = Pick<Certificate, 'label' | 'mac' | 'macs'> & {
  readonly addresses: readonly { readonly address: string }[];
};

/** "EVIO": tells our flows from those somebody added by hand, which are left alone. */
export const COOKIE = 0x4556494fn;

const ETH_ARP = 0x0806n;
const ETH_IPV6 = 0x86ddn;
const ICMPV6 = 58n;
const NEIGHBOR_SOLICITATION = 135n;
const ARP_REQUEST = 1n;

const BROADCAST: FieldValue = mac('ff:ff:ff:ff:ff:ff');
export const GROUP = mac('01:00:00:00:00:00', '01:00:00:00:00:00');
const IPV6_GROUP = mac('33:33:00:00:00:00', 'ff:ff:00:00:00:00');
/** IEEE 802.1Q §8.6.3: spanning tree, LLDP and the like must not cross a bridge. */
export const BRIDGE_GROUP = mac('01:80:c2:00:00:00', 'ff:ff:ff:ff:ff:f0');
/** docs/wire.md §3: MACs only a certificate gives the right to. */
export const RULED = ['02:45:00:00:00:00', '02:46:00:00:00:00', '02:47:00:00:00:00'].map((m) =>
  mac(m, 'ff:ff:00:00:00:00'),
);

/** Within a table: the table-miss flow, what a class of frames is due, and what stands out of its class. */
export const PRIORITY = { miss: 0, class: 100, own: 200, exception: 300 } as const;

/** A frame from the tap must not say that it comes from another member, or from a group. */
export function source(self: SwitchMember): readonly Flow[] {
  return [
    ...self.macs.map((rule) => flow('source', PRIORITY.own, { eth_src: mac(rule.mac, rule.mask) }, goto('local'))),
    ...RULED.map((ruled) => flow('source', PRIORITY.class, { eth_src: ruled })),
    flow('source', PRIORITY.class, { eth_src: GROUP }),
    flow('source', PRIORITY.miss, {}, goto('local')),
  ];
}

/** Questions for a member's address, which the controller answers. */
export const questions = once((member: SwitchMember): readonly Flow[] => [
  ...addressesOf(member, 4).map((address) => flow('local', PRIORITY.class, arpRequestFor(address), ASK)),
  ...addressesOf(member, 6).map((address) => flow('local', PRIORITY.class, solicitationFor(address), ASK)),
]);

/** Addresses a member answers for: those of its certificate, and its link-local one. */
const answeredFor = once((member: SwitchMember): { readonly [family in 4 | 6]: readonly string[] } => {
  const certified = (family: 4 | 6) => member.addresses.map((a) => a.address).filter((a) => familyOf(a) === family);
  return { 4: certified(4), 6: [...certified(6), linkLocalOf(member.mac)] };
});

export function addressesOf(member: SwitchMember, family: 4 | 6): readonly string[] {
  return answeredFor(member)[family];
}

/** A thousand members do not change when one does: what follows from one alone is made once. */
export function once<T>(make: (member: SwitchMember) => T): (member: SwitchMember) => T {
  const made = new WeakMap<SwitchMember, T>();
  return (member) => {
    const known = made.get(member);
    if (known !== undefined) return known;
    const fresh = make(member);
    made.set(member, fresh);
    return fresh;
  };
}

export function arpRequestFor(address: string): Match {
  return { eth_dst: BROADCAST, eth_type: exactly(ETH_ARP), arp_op: exactly(ARP_REQUEST), arp_tpa: ip(address) };
}

export function solicitationFor(address: string): Match {
  return {
    eth_dst: IPV6_GROUP,
    eth_type: exactly(ETH_IPV6),
    ip_proto: exactly(ICMPV6),
    icmpv6_type: exactly(NEIGHBOR_SOLICITATION),
    ipv6_nd_target: ip(address),
  };
}

const ASK: Instruction = {
  type: 'apply',
  actions: [{ type: 'output', port: PORT.controller, maxBytes: WHOLE_FRAME }],
};

export function goto(table: TableName): Instruction {
  return { type: 'goto', table: PIPELINE[table].id };
}

export function output(port: number): Instruction {
  return { type: 'apply', actions: [{ type: 'output', port }] };
}

export function flow(table: TableName, priority: number, match: Match, ...instructions: readonly Instruction[]): Flow {
  return { table: PIPELINE[table].id, priority, cookie: COOKIE, flags: SEND_FLOW_REMOVED, match, instructions };
}

export function exactly(value: bigint): FieldValue {
  return { value };
}

export function mac(value: string, mask?: string): FieldValue {
  const v = toNumber(parseMac(value));
  return mask === undefined ? { value: v } : { value: v, mask: toNumber(parseMac(mask)) };
}

export function ip(address: string): FieldValue {
  return { value: toNumber(parseAddress(address)) };
}

/** Among MAC ranges the one of the longer mask goes first, as with routes. */
export function rangePriority(mask: string): number {
  return PRIORITY.class + ones(toNumber(parseMac(mask)));
}

function ones(mask: bigint): number {
  return mask.toString(2).replaceAll('0', '').length;
}
