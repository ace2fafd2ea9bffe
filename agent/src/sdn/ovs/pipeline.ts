/**
 * The tables of Open vSwitch at the edge. They are those of tincan's switch (`../pipeline.ts`) with the same numbers, without `core`:
 * transit records never enter Open vSwitch. docs/pipeline-ovs.md shows each with a real dump.
 *
 *     from a leaf port    classify ─► source ─► local ─► edge ─► a tap, or other leaf ports
 *                                                 └► the agent: ARP, ND
 *     from anywhere else  classify ─► deliver ─► leaf ports
 *
 * Leaf ports are LOCAL and the ports of others on the bridge; a tap is the bridge's port of one tunnel. No path leads from `deliver`
 * to a tap, so that no frame goes from one tunnel to another here.
 */

import type { FieldName } from '../openflow/index.ts';
import { PIPELINE, type TableName } from '../pipeline.ts';

export type OvsTableName = Exclude<TableName, 'core'>;

interface Table {
  readonly id: number;
  readonly matches: readonly FieldName[];
  readonly next: readonly OvsTableName[];
  /** What becomes of a frame no other flow of the table matches. */
  readonly miss: string;
}

const { classify, source, local, edge, deliver } = PIPELINE;

export const OVS_PIPELINE: { readonly [name in OvsTableName]: Table } = {
  classify: { id: classify.id, matches: ['in_port'], next: ['source', 'deliver'], miss: 'deliver' },
  source: { id: source.id, matches: source.matches, next: ['local'], miss: 'local' },
  local: { id: local.id, matches: local.matches, next: ['edge'], miss: 'edge' },
  edge: { id: edge.id, matches: ['eth_dst'], next: [], miss: 'leaf ports and a tap' },
  deliver: { id: deliver.id, matches: ['eth_dst'], next: [], miss: 'leaf ports' },
};

export const OVS_TABLE_NAMES = Object.keys(OVS_PIPELINE) as readonly OvsTableName[];
