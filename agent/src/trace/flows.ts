/** Flows of a switch as `evio flows` and `evio trace` show them. Pure. */
import type { FlowLine, TraceLookup } from '../api.ts';
import { flowKey, instructionsText } from '../sdn/flow.ts';
import type { LookedUp } from '../sdn/lookup.ts';
import { type FlowStats, normal } from '../sdn/openflow/index.ts';
import { COOKIE } from '../sdn/parts.ts';
import { PIPELINE } from '../sdn/pipeline.ts';

const NAMES = new Map<number, string>(Object.entries(PIPELINE).map(([name, { id }]) => [id, name]));

export const tableName = (table: number): string => NAMES.get(table) ?? String(table);

export function flowLine(flow: FlowStats): FlowLine {
  const head = flowKey({ table: 0, priority: 0, match: {} });
  const match = flowKey({ table: 0, priority: 0, match: normal(flow.match) }).slice(head.length + 1);
  return {
    table: flow.table,
    tableName: tableName(flow.table),
    priority: flow.priority,
    match: match === '' ? 'any' : match,
    actions: instructionsText(flow.instructions),
    packets: Number(flow.packets),
    bytes: Number(flow.bytes),
    ageS: flow.durationS,
    ours: flow.cookie === COOKIE,
  };
}

/** In the order frames meet them. */
export function flowLines(flows: readonly FlowStats[]): readonly FlowLine[] {
  return flows
    .map(flowLine)
    .sort(
      (a, b) => a.table - b.table || b.priority - a.priority || (a.match < b.match ? -1 : a.match > b.match ? 1 : 0),
    );
}

/** The flows that were met before the frames were sent, with what they have counted until after. */
export function lookupOf(
  name: 'tincan' | 'ovs',
  before: readonly LookedUp[],
  after: readonly FlowStats[],
): TraceLookup {
  const key = (flow: FlowStats) => flowKey({ ...flow, match: normal(flow.match) });
  const later = new Map(after.map((flow) => [key(flow), flow.packets]));
  return {
    switch: name,
    flows: before.map(({ table, flow }) => {
      if (flow === undefined) return { table, tableName: tableName(table), flow: null, packets: 0 };
      const now = later.get(key(flow));
      const packets = now === undefined ? 0 : Number(now - flow.packets);
      return { table, tableName: tableName(table), flow: flowLine(flow), packets: Math.max(0, packets) };
    }),
  };
}
