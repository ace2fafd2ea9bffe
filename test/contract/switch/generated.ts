/**
 * Tables, groups and frames from a seed, of every match and action the agent's programs use (and of IPv4 and UDP). What becomes of a
 * frame is told by packet-ins alone, so that any switch can be asked: each flow has a cookie of its own, and buckets name themselves
 * by the tunnel id they set. Of what leaves by the one port that is up only the number is compared.
 */

import type { Random } from '../../../agent/src/machine.ts';
import type { Flow } from '../../../agent/src/sdn/index.ts';
import {
  type Action,
  BUCKET_DEFAULTS,
  FIELDS,
  type FieldName,
  type FieldValue,
  fullMask,
  type Group,
  type Instruction,
  type Match,
  number,
  PORT,
  WHOLE_FRAME,
} from '../../../agent/src/sdn/openflow/index.ts';
import type { Fields } from '../../sim/fake-switch.ts';
import { pick, randomBytes, seeded } from '../../sim/random.ts';

export const UP = 1;
export const DOWN = [16, 17] as const;
const PORTS = [UP, ...DOWN];
const TABLES = 6;
const FRAME_BYTES = 90;

export interface GeneratedFrame {
  readonly fields: Fields;
  /** Ends with its number (4 bytes), by which packet-ins are told apart. */
  readonly bytes: Buffer;
}

export interface Generated {
  readonly flows: readonly Flow[];
  readonly groups: readonly Group[];
  readonly frames: readonly GeneratedFrame[];
}

export function generate(seed: number, frames: number): Generated {
  const random = seeded(seed);
  const pools = poolsOf(random);
  const groups = Array.from({ length: 5 }, (_, i) => groupOf(random, i + 1));
  const flows = Array.from({ length: TABLES }, (_, table) => tableOf(random, pools, table)).flat();
  return {
    groups,
    flows: flows.map((flow, i) => ({ ...flow, cookie: BigInt(i + 1) })),
    frames: Array.from({ length: frames }, (_, i) => frameOf(random, pools, i)),
  };
}

/** Few values of each field, so that matches and frames meet. */
type Pools = ReadonlyMap<FieldName, readonly bigint[]>;

function poolsOf(random: Random): Pools {
  const some = (name: FieldName, common: readonly bigint[] = []) => {
    const bytes = FIELDS[name].bits / 8;
    const near = BigInt(`0x${randomBytes(random, bytes).toString('hex')}`);
    // Values that differ in few bits tell masks from one another.
    const values = [near, near ^ 1n, near ^ (1n << BigInt(FIELDS[name].bits - 3)), near ^ 0x30n];
    return [name, [...values, ...common]] as const;
  };
  const unicast = (values: readonly bigint[]) => values.map((mac) => mac & ~(1n << 40n));
  const macs = some('eth_src')[1];
  return new Map([
    ['in_port', PORTS.map(BigInt)],
    ['eth_src', unicast(macs)],
    ['eth_dst', [...unicast(macs), 0xffffffffffffn, 0x333300000001n, 0x0180c2000000n]],
    some('arp_spa'),
    some('arp_tpa'),
    ['arp_op', [1n, 2n]],
    some('ipv4_src'),
    some('ipv4_dst'),
    some('ipv6_src'),
    some('ipv6_dst'),
    some('ipv6_nd_target'),
    some('udp_src'),
    some('udp_dst'),
    ['icmpv6_type', [135n, 136n]],
    some('tunnel_id', [1n]),
  ]);
}

const KINDS = ['other', 'arp', 'nd', 'udp4', 'udp6'] as const;
type Kind = (typeof KINDS)[number];

/** The fields a frame of each kind has beside those of all, and the ones a match on those presupposes. */
const OWN: Readonly<Record<Kind, { readonly given: Fields; readonly free: readonly FieldName[] }>> = {
  other: { given: { eth_type: 0x88b5n }, free: [] },
  arp: { given: { eth_type: 0x0806n }, free: ['arp_op', 'arp_spa', 'arp_tpa'] },
  nd: { given: { eth_type: 0x86ddn, ip_proto: 58n }, free: ['icmpv6_type', 'ipv6_nd_target', 'ipv6_src', 'ipv6_dst'] },
  udp4: { given: { eth_type: 0x0800n, ip_proto: 17n }, free: ['ipv4_src', 'ipv4_dst', 'udp_src', 'udp_dst'] },
  udp6: { given: { eth_type: 0x86ddn, ip_proto: 17n }, free: ['ipv6_src', 'ipv6_dst', 'udp_src', 'udp_dst'] },
};
const COMMON: readonly FieldName[] = ['in_port', 'eth_dst', 'eth_src', 'tunnel_id'];

function frameOf(random: Random, pools: Pools, i: number): GeneratedFrame {
  const kind = pick(random, KINDS);
  const { given, free } = OWN[kind];
  const chosen = [...COMMON, ...free].map((name) => [name, pick(random, pools.get(name) ?? [])] as const);
  const fields: Fields = { ...given, ...Object.fromEntries(chosen) };
  const bytes = Buffer.alloc(FRAME_BYTES);
  compose(kind, fields).copy(bytes);
  bytes.writeUInt32BE(i, FRAME_BYTES - 4);
  return { fields, bytes };
}

function compose(kind: Kind, fields: Fields): Buffer {
  const at = (name: FieldName) => number(fields[name] ?? 0n, FIELDS[name].bits / 8);
  const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
  const ethernet = [at('eth_dst'), at('eth_src'), at('eth_type')];
  const udp = [at('udp_src'), at('udp_dst'), hex('0008 0000')];
  switch (kind) {
    case 'other':
      return Buffer.concat(ethernet);
    case 'arp': {
      const [sender, target] = [
        [at('eth_src'), at('arp_spa')],
        [Buffer.alloc(6), at('arp_tpa')],
      ];
      return Buffer.concat([...ethernet, hex('0001 0800 06 04'), at('arp_op'), ...sender, ...target]);
    }
    case 'nd': {
      const ip = [hex('60000000 0018 3a ff'), at('ipv6_src'), at('ipv6_dst')];
      return Buffer.concat([...ethernet, ...ip, at('icmpv6_type'), hex('00 0000 00000000'), at('ipv6_nd_target')]);
    }
    case 'udp4': {
      const ip = [hex('4500 001c 0000 0000 40 11 0000'), at('ipv4_src'), at('ipv4_dst')];
      return Buffer.concat([...ethernet, ...ip, ...udp]);
    }
    case 'udp6':
      return Buffer.concat([...ethernet, hex('60000000 0008 11 40'), at('ipv6_src'), at('ipv6_dst'), ...udp]);
  }
}

/** No two flows of one priority: which of them counts is left open where both match (OpenFlow 1.3.5 §5.3). */
function tableOf(random: Random, pools: Pools, table: number): readonly Flow[] {
  const flows = Array.from({ length: 4 + Math.floor(random() * 14) }, (_, i) => ({
    match: matchOf(random, pools),
    priority: 10 * (i + 1),
  }));
  // Two same matches would be two flows all the same: the one of lower priority is never met.
  if (random() < 0.7) flows.push({ match: {}, priority: 0 });
  return flows.map((flow) => ({ table, cookie: 0n, flags: 0, ...flow, instructions: instructionsOf(random, table) }));
}

function matchOf(random: Random, pools: Pools): Match {
  const kind = pick(random, KINDS);
  const { given, free } = OWN[kind];
  // One that matches everything hides all flows of lower priority.
  const names = [pick(random, COMMON), ...COMMON.filter(() => random() < 0.3)];
  const exact = (value: bigint): FieldValue => ({ value });
  const match: { [name in FieldName]?: FieldValue } = {};
  for (const name of names) match[name] = fieldOf(random, name, pools);
  if (random() < 0.4) return match;
  for (const [name, value] of Object.entries(given)) match[name as FieldName] = exact(value);
  for (const name of free.filter(() => random() < 0.4)) {
    // A match on an ND target presupposes the type (OpenFlow 1.3.5 §7.2.3.8).
    if (name === 'ipv6_nd_target') match.icmpv6_type ??= exact(pick(random, [135n, 136n]));
    match[name] ??= fieldOf(random, name, pools);
  }
  return match;
}

function fieldOf(random: Random, name: FieldName, pools: Pools): FieldValue {
  const value = pick(random, pools.get(name) ?? []);
  const { bits, maskable } = FIELDS[name];
  if (!maskable || random() < 0.4) return { value };
  const all = fullMask(name);
  const prefix = BigInt(1 + Math.floor(random() * (bits - 1)));
  const masks = [
    (all << (BigInt(bits) - prefix)) & all,
    BigInt(`0x${randomBytes(random, bits / 8).toString('hex')}`) | 1n,
    1n << BigInt(Math.floor(random() * bits)),
  ];
  const mask = pick(random, masks);
  return mask === all ? { value } : { value: value & mask, mask };
}

const ASK: Action = { type: 'output', port: PORT.controller, maxBytes: WHOLE_FRAME };

function setTunnel(random: Random): Action {
  return { type: 'set-field', field: { name: 'tunnel_id', value: BigInt(1 + Math.floor(random() * 1_000)) } };
}

function instructionsOf(random: Random, table: number): readonly Instruction[] {
  const actions: Action[] = [];
  const may = (chance: number, action: () => Action) => {
    if (random() < chance) actions.push(action());
  };
  may(0.3, () => ASK);
  may(0.3, () => setTunnel(random));
  may(0.3, () => ({ type: 'group', group: 1 + Math.floor(random() * 5) }));
  may(0.2, () => ({ type: 'output', port: UP }));
  may(0.2, () => setTunnel(random));
  may(0.3, () => ASK);
  const apply: readonly Instruction[] = actions.length === 0 ? [] : [{ type: 'apply', actions }];
  const last = TABLES - 1 - table;
  if (last === 0 || random() < 0.2) return apply;
  return [...apply, { type: 'goto', table: table + 1 + Math.floor(random() * Math.min(2, last)) }];
}

function groupOf(random: Random, group: number): Group {
  const type = pick(random, ['all', 'indirect', 'fast-failover'] as const);
  const count = type === 'indirect' ? 1 : 1 + Math.floor(random() * 3);
  const buckets = Array.from({ length: count }, () => {
    const output: Action = random() < 0.8 ? ASK : { type: 'output', port: UP };
    const actions = random() < 0.8 ? [setTunnel(random), output] : [output];
    return { ...BUCKET_DEFAULTS, actions, ...(type === 'fast-failover' ? { watchPort: pick(random, PORTS) } : {}) };
  });
  return { group, type, buckets };
}
