/**
 * The program of Open vSwitch at the edge: a flow names the first hop, by eth_dst to the tap of a neighbour, and tincan behind the
 * tap finds the rest of the way.
 *
 * Each member has a fast-failover group of taps, the best first hop first: tincan drops the carrier of a tap whose tunnel is down,
 * and Open vSwitch takes the next one by itself. Floods are tincan's: of a broadcast it gets one copy, by any tap that is up.
 *
 * Behind the leaf ports may be MACs that nobody has told us. Frames for those go to all leaf ports, and NORMAL, which would learn
 * where they are, is not used: it learns from taps too and forwards from tap to tap, and it floods by every tap. What is known of
 * leaf ports (pods: the CNI plugin gives them their MACs) has flows of its own, so that little is left to be flooded.
 */

import { type Flow, instructionsText } from '../flow.ts';
import { ALL_FLOWS, type Group, type Instruction, PORT } from '../openflow/index.ts';
import {
  addressesOf,
  arpRequestFor,
  BRIDGE_GROUP,
  COOKIE,
  exactly,
  flow,
  GROUP,
  goto,
  ip,
  mac,
  output,
  PRIORITY,
  questions,
  RULED,
  rangePriority,
  type SwitchMember,
  solicitationFor,
  source,
} from '../parts.ts';
import type { Program, ProgramState, Tables } from '../program.ts';
import { all, failover, Groups, ownGroup } from './groups.ts';

const ONE_MAC = 'ff:ff:ff:ff:ff:ff';

/** A port of others on the bridge: a pod's, a virtual machine's, an interface of the host. */
export interface Leaf {
  readonly port: number;
  /** MACs known to be behind it, as `formatMac` writes them. */
  readonly macs: readonly string[];
}

export interface OvsState extends ProgramState {
  /** The neighbours' taps: OpenFlow ports of the bridge, by the neighbour's label. */
  readonly taps: ReadonlyMap<bigint, number>;
  /** For each member's label the neighbours by whom it is reached, best first: what the overlay's `firstHops` answers. */
  readonly hops: ReadonlyMap<bigint, readonly bigint[]>;
  /** All other ports of the bridge, but for LOCAL. */
  readonly leaves: readonly Leaf[];
}

export const ovsProgram: Program<OvsState> = {
  wanted,
  // The bridge may be that of others too, whose flows can have matches and actions this agent has no words for.
  selection: { ...ALL_FLOWS, cookie: COOKIE, cookieMask: 2n ** 64n - 1n },
  ownGroup,
};

/**
 * The taps by which a member is reached: the best first hops to it in their order, and behind them every other tap. All of them in
 * the order they are best in would make nearly as many groups as there are members (844 for 1,000 with 14 neighbours); so it is 182
 * at most, and the third best is asked for only until the agent has heard that two tunnels are down.
 */
export function tapsFor({ taps, hops, drained }: OvsState, label: bigint): readonly number[] {
  const known = (hops.get(label) ?? []).flatMap((hop) => taps.get(hop) ?? []);
  const usable = (ports: readonly number[]) => ports.filter((port) => !drained.includes(port));
  const others = [...taps.values()].sort((a, b) => a - b);
  return [...new Set([...usable(known).slice(0, RANKED), ...usable(others)])];
}

/** A tunnel that is down, and one more, while the agent may be away. */
const RANKED = 2;

function wanted(state: OvsState): Tables {
  const { self } = state;
  const others = state.members.filter((member) => member.label !== self.label);
  const groups = new Groups();
  const locals = groups.want(all([PORT.local, ...state.leaves.map((leaf) => leaf.port)]));
  const away = tapsKey(groups, tapsFor(state, self.label));
  const ways = new Map(others.map((member) => [member, tapsKey(groups, tapsFor(state, member.label))]));
  const numbered = groups.numbered();
  const to = (...keys: readonly (string | undefined)[]) => lead(numbered, keys);
  return {
    flows: [
      ...classify(state),
      ...source(self),
      ...local(self),
      ...edge(state, to(locals), to(locals, away)),
      ...others.flatMap((member) => forMember(member, to(ways.get(member)))),
      ...deliver(state, to(locals)),
    ],
    groups: [...numbered.values()],
  };
}

function tapsKey(groups: Groups, taps: readonly number[]): string | undefined {
  return taps.length === 0 ? undefined : groups.want(failover(taps));
}

/** Each group gets its own copy of the frame. */
function lead(numbered: ReadonlyMap<string, Group>, keys: readonly (string | undefined)[]): readonly Instruction[] {
  const groups = keys.flatMap((key) => (key === undefined ? [] : (numbered.get(key)?.group ?? [])));
  if (groups.length === 0) return [];
  return [{ type: 'apply', actions: groups.map((group) => ({ type: 'group', group })) }];
}

/**
 * A port is a tunnel's until it is known to be a leaf. The other way round, a tap that was plugged in a moment ago would be one: its
 * broadcasts would go out by another tap, and in a cyclic overlay come back.
 */
function classify({ leaves }: OvsState): readonly Flow[] {
  const ports = [PORT.local, ...leaves.map((leaf) => leaf.port)];
  return [
    ...ports.map((port) => flow('classify', PRIORITY.class, { in_port: exactly(BigInt(port)) }, goto('source'))),
    flow('classify', PRIORITY.miss, {}, goto('deliver')),
  ];
}

/**
 * Who asks for a member's address gets the answer from the agent (`questions`). Questions of leaf ports for this node's own address
 * are for the kernel behind LOCAL; its own gratuitous ARP goes out.
 */
function local(self: SwitchMember): readonly Flow[] {
  return [
    flow('local', PRIORITY.exception, { eth_dst: BRIDGE_GROUP }),
    ...addressesOf(self, 4).flatMap((address) => [
      flow('local', PRIORITY.exception, { ...arpRequestFor(address), arp_spa: ip(address) }, goto('edge')),
      flow('local', PRIORITY.own, arpRequestFor(address), output(PORT.local)),
    ]),
    ...addressesOf(self, 6).map((address) => flow('local', PRIORITY.own, solicitationFor(address), output(PORT.local))),
    flow('local', PRIORITY.miss, {}, goto('edge')),
  ];
}

/** Beside the flows for members. A frame is never sent out by the port it came in: the switch sees to that (§5.6.1, §7.2.1). */
function edge(state: OvsState, locals: readonly Instruction[], everywhere: readonly Instruction[]): readonly Flow[] {
  return [
    ...known(state, 'edge'),
    ...state.self.macs.map((rule) =>
      flow('edge', PRIORITY.own, { eth_dst: mac(rule.mac, rule.mask) }, ...behind(state.self, rule, locals)),
    ),
    flow('edge', PRIORITY.class, { eth_dst: GROUP }, ...everywhere),
    flow('edge', PRIORITY.miss, {}, ...everywhere),
  ];
}

/** What came by a tunnel. Group addresses and MACs of hosts nobody has told us go to every leaf port. */
function deliver(state: OvsState, locals: readonly Instruction[]): readonly Flow[] {
  return [
    ...known(state, 'deliver'),
    flow('deliver', PRIORITY.own, { eth_dst: mac(state.self.mac) }, output(PORT.local)),
    flow('deliver', PRIORITY.miss, {}, ...locals),
  ];
}

/** To MACs that are known to be behind a leaf port. */
function known({ self, leaves }: OvsState, table: 'edge' | 'deliver'): readonly Flow[] {
  const ports = new Map(leaves.flatMap(({ port, macs }) => macs.map((mac) => [mac, port] as const)));
  return [...ports].flatMap(([address, port]) =>
    mayBeHere(self, address) ? [flow(table, PRIORITY.exception, { eth_dst: mac(address) }, output(port))] : [],
  );
}

/** A leaf port does not get frames for another member by saying that its MAC is there; `source` drops what it sends by that name. */
function mayBeHere(self: SwitchMember, address: string): boolean {
  const { value } = mac(address);
  const within = (range: { readonly value: bigint; readonly mask?: bigint }) =>
    (value & (range.mask ?? -1n)) === range.value;
  if (value === mac(self.mac).value || within(GROUP)) return false;
  return self.macs.some((rule) => within(mac(rule.mac, rule.mask))) || !RULED.some(within);
}

/** This node's MAC is the kernel's; the ranges beside it are those of pods, and a pod's port is not always known. */
function behind(
  self: SwitchMember,
  rule: SwitchMember['macs'][number],
  locals: readonly Instruction[],
): readonly Instruction[] {
  return rule.mac === self.mac && rule.mask === ONE_MAC ? [output(PORT.local)] : locals;
}

/** In tables `local` and `edge`. Without a tap there is no way to a member, and frames for it are nobody else's. */
function forMember(member: SwitchMember, way: readonly Instruction[]): readonly Flow[] {
  const leads = instructionsText(way);
  const known = FLOWS.get(member);
  if (known?.leads === leads) return known.flows;
  const ranges = member.macs.map((rule) =>
    flow('edge', rangePriority(rule.mask), { eth_dst: mac(rule.mac, rule.mask) }, ...way),
  );
  const flows = [...questions(member), ...ranges];
  FLOWS.set(member, { leads, flows });
  return flows;
}

/** A thousand members do not change when one does: flows stay the same objects while they lead to the same group. */
const FLOWS = new WeakMap<SwitchMember, { readonly leads: string; readonly flows: readonly Flow[] }>();
