/** The whole flow table, computed from the state: what is sent at start is what is compared after a reconnect. */

import type { Flow } from './flow.ts';
import { ALL_FLOWS, type Instruction, PORT } from './openflow/index.ts';
import {
  addressesOf,
  arpRequestFor,
  BRIDGE_GROUP,
  exactly,
  flow,
  GROUP,
  goto,
  ip,
  mac,
  once,
  output,
  PRIORITY,
  questions,
  rangePriority,
  type SwitchMember,
  solicitationFor,
  source,
} from './parts.ts';
import type { Program } from './program.ts';

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

/** The program of the switch in tincan. */
export const tincanProgram: Program<SwitchState> = {
  wanted: (state) => ({ flows: desiredFlows(state), groups: [] }),
  // All of them: the switch is tincan's own, and somebody looking for a fault should know of others' flows.
  selection: ALL_FLOWS,
  ownGroup: undefined,
};

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

/** In tables `local` and `edge`. */
const forMember = once((member: SwitchMember): readonly Flow[] => [
  ...questions(member),
  ...member.macs.map((rule) =>
    flow('edge', rangePriority(rule.mask), { eth_dst: mac(rule.mac, rule.mask) }, ...toLabel(member.label)),
  ),
]);

function core({ core }: SwitchState): readonly Flow[] {
  return core.map(({ value, mask, port, priority }) =>
    flow('core', priority, { tunnel_id: { value, mask } }, output(port)),
  );
}

function deliver(): readonly Flow[] {
  return [flow('deliver', PRIORITY.miss, {}, output(TAP_PORT))];
}

function toLabel(label: bigint): readonly Instruction[] {
  const set = { type: 'set-field', field: { name: 'tunnel_id', value: label } } as const;
  return [{ type: 'apply', actions: [set] }, goto('core')];
}
