/**
 * The tables of the switch, in order, with what each may match and where a frame may go next. docs/pipeline.md shows each with a
 * real dump. The number of `core` is fixed by docs/wire.md §10.2, because transit records enter there.
 *
 * A frame from the tap passes 0-1-2-3-4 and leaves by a tunnel; one from a tunnel passes 0-5 and leaves by the tap; a transit
 * record sees 4 only.
 */

import type { FieldName } from './openflow/index.ts';

interface Table {
  readonly id: number;
  readonly matches: readonly FieldName[];
  readonly next: readonly string[];
  /** What becomes of a frame no other flow of the table matches. `drop`: there is no table-miss flow (OpenFlow 1.3.5 §5.4). */
  readonly miss: string;
}

export const PIPELINE = {
  classify: { id: 0, matches: ['in_port'], next: ['source', 'deliver'], miss: 'deliver' },
  source: { id: 1, matches: ['eth_src'], next: ['local'], miss: 'local' },
  local: {
    id: 2,
    matches: ['eth_dst', 'eth_type', 'arp_op', 'arp_spa', 'arp_tpa', 'ip_proto', 'icmpv6_type', 'ipv6_nd_target'],
    next: ['edge'],
    miss: 'edge',
  },
  edge: { id: 3, matches: ['eth_dst'], next: ['core'], miss: 'normal' },
  core: { id: 4, matches: ['tunnel_id'], next: [], miss: 'drop' },
  deliver: { id: 5, matches: [], next: [], miss: 'tap' },
} as const satisfies Record<string, Table>;

export type TableName = keyof typeof PIPELINE;

export const TABLE_NAMES = Object.keys(PIPELINE) as readonly TableName[];
