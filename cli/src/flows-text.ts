/** Flows as people read them, and what was counted between two readings. */

import type { FlowLine, Flows } from '../../agent/src/api.ts';
import { bytesText, columns, durationText } from './output.ts';

const PAIRS_SHOWN = 10;
const HEAD = ['TABLE', 'PRIORITY', 'MATCH', 'ACTIONS', 'PACKETS', 'BYTES', 'AGE'];
const WORDS = { tincan: "tincan's switch", ovs: 'Open vSwitch' } as const;

export interface FlowsView {
  /** Also flows that have counted nothing. */
  readonly all: boolean;
  /** What is counted was counted within so many; undefined: since the flows were made. */
  readonly seconds?: number;
}

export function flowsText({ switches, pairs }: Flows, { all, seconds }: FlowsView): string {
  const tables = switches.map(({ name, flows, error }) => {
    if (error !== null) return `${WORDS[name]}: ${error}\n`;
    const shown = flows.filter(({ packets }) => all || packets > 0);
    const idle = flows.length - shown.length;
    const rest = idle === 0 ? '' : `; ${idle} counted nothing (--all shows them)`;
    const head = `${WORDS[name]}: ${flows.length} flows${rest}\n`;
    return head + (shown.length === 0 ? '' : columns([HEAD, ...shown.map(flowRow)]));
  });
  return [...tables, pairsText(pairs, seconds)].join('\n');
}

function flowRow(flow: FlowLine): readonly string[] {
  const table = flow.ours ? flow.tableName : `${flow.tableName} (not Evio's)`;
  return [
    table,
    String(flow.priority),
    flow.match,
    flow.actions,
    String(flow.packets),
    bytesText(flow.bytes),
    durationText(flow.ageS * 1000),
  ];
}

function pairsText(pairs: Flows['pairs'], seconds: number | undefined): string {
  const busy = pairs.filter(({ bytes }) => bytes > 0);
  if (busy.length === 0) return 'no frames to or from other nodes\n';
  const rate = (bytes: number) =>
    seconds === undefined ? bytesText(bytes) : `${bytesText(Math.round(bytes / seconds))}/s`;
  const rows = busy
    .slice(0, PAIRS_SHOWN)
    .map(({ name, bytes, viaBytes, path }) => [name, path, rate(bytes), viaBytes === 0 ? '-' : rate(viaBytes)]);
  return columns([['WITH', 'PATH', seconds === undefined ? 'BYTES' : 'RATE', 'VIA OTHERS'], ...rows]);
}

/** The same flows and pairs, with what they counted since; a flow or a tincan that is new begins at nothing. */
export function since(before: Flows, after: Flows): Flows {
  const key = (flow: FlowLine) => `${flow.table} ${flow.priority} ${flow.match}`;
  const more = (was: number, is: number) => (is < was ? is : is - was);
  return {
    switches: after.switches.map((table) => {
      const old = before.switches.find(({ name }) => name === table.name)?.flows ?? [];
      const known = new Map(old.map((flow) => [key(flow), flow]));
      const flows = table.flows.map((flow) => {
        const was = known.get(key(flow));
        return {
          ...flow,
          packets: more(was?.packets ?? 0, flow.packets),
          bytes: more(was?.bytes ?? 0, flow.bytes),
        };
      });
      return { ...table, flows };
    }),
    pairs: after.pairs
      .map((pair) => {
        const was = before.pairs.find(({ id }) => id === pair.id);
        const [bytes, viaBytes] = [more(was?.bytes ?? 0, pair.bytes), more(was?.viaBytes ?? 0, pair.viaBytes)];
        return { ...pair, bytes, viaBytes };
      })
      .toSorted((a, b) => b.bytes - a.bytes),
  };
}
