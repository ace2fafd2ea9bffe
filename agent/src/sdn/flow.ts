/** A flow as this agent wants it, its text, and the edits between two tables. */

import { formatAddress } from '../wire/address.ts';
import { formatMac } from '../wire/mac.ts';
import {
  type Action,
  entries,
  FIELDS,
  type FieldName,
  type Instruction,
  type Match,
  normal,
  number,
  PORT,
} from './openflow/index.ts';

export interface Flow {
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  /** OFPFF_*. */
  readonly flags: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

/** Two flows with one key cannot stand in one table: adding the second replaces the first (OpenFlow 1.3.5 §6.4). */
export function flowKey(flow: Pick<Flow, 'table' | 'priority' | 'match'>): string {
  return `table=${flow.table},priority=${flow.priority}${fieldsText(flow.match)}`;
}

/** One line, in the manner of `ovs-ofctl dump-flows` but with the field names of the standard. */
export function flowText(flow: Flow): string {
  const { key, actions } = wordsOf(flow);
  return `cookie=0x${flow.cookie.toString(16)},${key} actions=${actions}`;
}

interface Words {
  readonly key: string;
  readonly actions: string;
}

/** Most flows are looked at again and again and stay as they are. */
const WORDS = new WeakMap<Flow, Words>();

function wordsOf(flow: Flow): Words {
  const known = WORDS.get(flow);
  if (known !== undefined) return known;
  const words = { key: flowKey(flow), actions: instructionsText(flow.instructions) };
  WORDS.set(flow, words);
  return words;
}

export function sameFlow(a: Flow, b: Flow): boolean {
  return a === b || (a.cookie === b.cookie && a.flags === b.flags && wordsOf(a).actions === wordsOf(b).actions);
}

export type FlowEdit = { readonly command: 'add' | 'delete-strict'; readonly flow: Flow };

/**
 * Edits that turn the `known` table into the `desired` one: additions before deletions, so that no frame falls through a gap, and
 * a table filled before the one that leads to it. Of the flows that are not desired those go for which `obsolete` is true.
 */
export function planFlows(
  known: Iterable<Flow>,
  desired: readonly Flow[],
  obsolete: (flow: Flow) => boolean,
): readonly FlowEdit[] {
  const have = new Map([...known].map((flow) => [wordsOf(flow).key, flow]));
  const want = new Map(desired.map((flow) => [wordsOf(flow).key, flow]));
  const add = [...want].filter(([key, flow]) => {
    const present = have.get(key);
    return present === undefined || !sameFlow(present, flow);
  });
  const gone = [...have].filter(([key, flow]) => !want.has(key) && obsolete(flow));
  return [
    ...add
      .map(([, flow]) => ({ command: 'add' as const, flow }))
      .sort((a, b) => b.flow.table - a.flow.table || b.flow.priority - a.flow.priority),
    ...gone
      .map(([, flow]) => ({ command: 'delete-strict' as const, flow }))
      .sort((a, b) => a.flow.table - b.flow.table || a.flow.priority - b.flow.priority),
  ];
}

/** Whether the flow sends out by one of these ports. */
export function leadsTo(flow: Flow, ports: ReadonlySet<number>): boolean {
  return flow.instructions.some(
    (instruction) =>
      (instruction.type === 'apply' || instruction.type === 'write') &&
      instruction.actions.some((action) => action.type === 'output' && ports.has(action.port)),
  );
}

function fieldsText(match: Match): string {
  return entries(normal(match))
    .map(({ name, value, mask }) => {
      const text = valueText(name, value);
      return mask === undefined ? `,${name}=${text}` : `,${name}=${text}/${valueText(name, mask)}`;
    })
    .join('');
}

function valueText(name: FieldName, value: bigint): string {
  const { form, bits } = FIELDS[name];
  switch (form) {
    case 'decimal':
      return value.toString();
    case 'hex':
      return `0x${value.toString(16)}`;
    case 'mac':
      return formatMac(number(value, bits / 8));
    case 'ipv4':
    case 'ipv6':
      return formatAddress(number(value, bits / 8));
  }
}

export function instructionsText(instructions: readonly Instruction[]): string {
  const parts = instructions.map((instruction) => {
    switch (instruction.type) {
      case 'goto':
        return `goto_table:${instruction.table}`;
      case 'write':
        return `write_actions(${instruction.actions.map(actionText).join(',')})`;
      case 'apply':
        return instruction.actions.map(actionText).join(',');
      case 'clear':
        return 'clear_actions';
      case 'meter':
        return `meter:${instruction.meter}`;
      default:
        return '';
    }
  });
  return parts.filter((part) => part !== '').join(',') || 'drop';
}

const PORT_NAMES = new Map<number, string>([
  [PORT.inPort, 'IN_PORT'],
  [PORT.normal, 'NORMAL'],
  [PORT.flood, 'FLOOD'],
  [PORT.all, 'ALL'],
  [PORT.local, 'LOCAL'],
]);

export function actionText(action: Action): string {
  switch (action.type) {
    case 'output':
      if (action.port === PORT.controller) return `CONTROLLER:${action.maxBytes ?? 0}`;
      return PORT_NAMES.get(action.port) ?? `output:${action.port}`;
    case 'group':
      return `group:${action.group}`;
    case 'other':
      return `action_${action.number}(${action.body.toString('hex')})`;
    case 'set-field':
      return `set_field:${valueText(action.field.name, action.field.value)}->${action.field.name}`;
  }
}
