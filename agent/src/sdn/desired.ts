/** The whole flow table, computed from the state: what is sent at start is what is compared after a reconnect. */

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

/** Labels with `label & mask == value` leave by `port`: what the overlay's `coreFlows` answers. */
export interface CoreRoute {
  readonly value: bigint;
  readonly mask: bigint;
  readonly port: number;
  readonly priority: number;
}

export interface SwitchState {
  readonly self: SwitchMember;
  /** The other members. */
  readonly members: readonly SwitchMember[];
  readonly core: readonly CoreRoute[];
  /** Ports of tunnels that no route may lead by any more. */
  readonly drained: readonly number[];
}

/** docs/wire.md §10.2. */
export const TAP_PORT = 1;
/** "EVIO": tells our flows from those somebody added by hand, which are left alone. */
export const COOKIE = 0x4556494fn;

const ETH_ARP = 0x0806n;
const ETH_IPV6 = 0x86ddn;
const ICMPV6 = 58n;
const NEIGHBOR_SOLICITATION = 135n;
const ARP_REQUEST = 1n;

const BROADCAST: FieldValue = mac('ff:ff:ff:ff:ff:ff');
const GROUP = mac('01:00:00:00:00:00', '01:00:00:00:00:00');
const IPV6_GROUP = mac('33:33:00:00:00:00', 'ff:ff:00:00:00:00');
/** IEEE 802.1Q §8.6.3: spanning tree, LLDP and the like must not cross a bridge. */
const BRIDGE_GROUP = mac('01:80:c2:00:00:00', 'ff:ff:ff:ff:ff:f0');
/** docs/wire.md §3: MACs only a certificate gives the right to. */
const RULED = ['02:45:00:00:00:00', '02:46:00:00:00:00', '02:47:00:00:00:00'].map((m) => mac(m, 'ff:ff:00:00:00:00'));

/** Within a table: the table-miss flow, what a class of frames is due, and what stands out of its class. */
const PRIORITY = { miss: 0, class: 100, own: 200, exception: 300 } as const;

export function desiredFlows(state: SwitchState): readonly Flow[] {
  const others = state.members.filter((member) => member.label !== state.self.label);
  return [...forSelf(state.self), ...others.flatMap((member) => forMember(member)), ...core(state)];
}

/** Everything but the other members and the routes to them: always the same for one node. */
const forSelf = once((self: SwitchMember): readonly Flow[] => [
  ...classify(),
  ...source(self),
  ...local(self),
  ...edge(self),
  ...deliver(),
]);

function classify(): readonly Flow[] {
  return [
    flow('classify', PRIORITY.class, { in_port: exactly(BigInt(TAP_PORT)) }, goto('source')),
    flow('classify', PRIORITY.miss, {}, goto('deliver')),
  ];
}

/** A frame from the tap must not say that it comes from another member, or from a group. */
function source(self: SwitchMember): readonly Flow[] {
  return [
    ...self.macs.map((rule) => flow('source', PRIORITY.own, { eth_src: mac(rule.mac, rule.mask) }, goto('local'))),
    ...RULED.map((ruled) => flow('source', PRIORITY.class, { eth_src: ruled })),
    flow('source', PRIORITY.class, { eth_src: GROUP }),
    flow('source', PRIORITY.miss, {}, goto('local')),
  ];
}

/**
 * Who asks for a member's address gets the answer here, from the membership, and nobody else hears of it (see `forMember`).
 * Questions for our own address are answered by the kernel behind the tap. Unicast ARP and ND (a check whether a neighbour still
 * lives) pass.
 */
function local(self: SwitchMember): readonly Flow[] {
  return [
    flow('local', PRIORITY.exception, { eth_dst: BRIDGE_GROUP }),
    ...addressesOf(self, 4).map((address) =>
      flow('local', PRIORITY.exception, { ...arpRequestFor(address), arp_spa: ip(address) }, goto('edge')),
    ),
    ...addressesOf(self, 4).map((address) => flow('local', PRIORITY.own, arpRequestFor(address))),
    ...addressesOf(self, 6).map((address) => flow('local', PRIORITY.own, solicitationFor(address))),
    flow('local', PRIORITY.miss, {}, goto('edge')),
  ];
}

function edge(self: SwitchMember): readonly Flow[] {
  return [
    // A frame for somebody behind our own tap came from there: the bridge has delivered it already.
    ...self.macs.map((rule) => flow('edge', PRIORITY.own, { eth_dst: mac(rule.mac, rule.mask) })),
    flow('edge', PRIORITY.class, { eth_dst: GROUP }, output(PORT.flood)),
    flow('edge', PRIORITY.miss, {}, output(PORT.normal)),
  ];
}

/** In tables `local` and `edge`. A MAC range of the longer mask goes first, as with routes. */
const forMember = once((member: SwitchMember): readonly Flow[] => {
  const priority = (mask: string) => PRIORITY.class + ones(toNumber(parseMac(mask)));
  const { label, macs } = member;
  return [
    ...addressesOf(member, 4).map((address) => flow('local', PRIORITY.class, arpRequestFor(address), ASK)),
    ...addressesOf(member, 6).map((address) => flow('local', PRIORITY.class, solicitationFor(address), ASK)),
    ...macs.map((rule) => flow('edge', priority(rule.mask), { eth_dst: mac(rule.mac, rule.mask) }, ...toLabel(label))),
  ];
});

function core({ core }: SwitchState): readonly Flow[] {
  return core.map(({ value, mask, port, priority }) =>
    flow('core', priority, { tunnel_id: { value, mask } }, output(port)),
  );
}

function deliver(): readonly Flow[] {
  return [flow('deliver', PRIORITY.miss, {}, output(TAP_PORT))];
}

/** Addresses a member answers for: those of its certificate, and its link-local one. */
const answeredFor = once((member: SwitchMember): { readonly [family in 4 | 6]: readonly string[] } => {
  const certified = (family: 4 | 6) => member.addresses.map((a) => a.address).filter((a) => familyOf(a) === family);
  return { 4: certified(4), 6: [...certified(6), linkLocalOf(member.mac)] };
});

export function addressesOf(member: SwitchMember, family: 4 | 6): readonly string[] {
  return answeredFor(member)[family];
}

/** A thousand members do not change when one does: what follows from one alone is made once. */
function once<T>(make: (member: SwitchMember) => T): (member: SwitchMember) => T {
  const made = new WeakMap<SwitchMember, T>();
  return (member) => {
    const known = made.get(member);
    if (known !== undefined) return known;
    const fresh = make(member);
    made.set(member, fresh);
    return fresh;
  };
}

function arpRequestFor(address: string): Match {
  return { eth_dst: BROADCAST, eth_type: exactly(ETH_ARP), arp_op: exactly(ARP_REQUEST), arp_tpa: ip(address) };
}

function solicitationFor(address: string): Match {
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

function toLabel(label: bigint): readonly Instruction[] {
  const set = { type: 'set-field', field: { name: 'tunnel_id', value: label } } as const;
  return [{ type: 'apply', actions: [set] }, goto('core')];
}

function goto(table: TableName): Instruction {
  return { type: 'goto', table: PIPELINE[table].id };
}

function output(port: number): Instruction {
  return { type: 'apply', actions: [{ type: 'output', port }] };
}

function flow(table: TableName, priority: number, match: Match, ...instructions: readonly Instruction[]): Flow {
  return { table: PIPELINE[table].id, priority, cookie: COOKIE, flags: SEND_FLOW_REMOVED, match, instructions };
}

function exactly(value: bigint): FieldValue {
  return { value };
}

function mac(value: string, mask?: string): FieldValue {
  const v = toNumber(parseMac(value));
  return mask === undefined ? { value: v } : { value: v, mask: toNumber(parseMac(mask)) };
}

function ip(address: string): FieldValue {
  return { value: toNumber(parseAddress(address)) };
}

function ones(mask: bigint): number {
  return mask.toString(2).replaceAll('0', '').length;
}
