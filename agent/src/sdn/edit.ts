/** Edits of flows and groups: as messages, and which of them the switch has not confirmed yet. */

import { type Flow, type FlowEdit, flowKey, flowText } from './flow.ts';
import { type GroupEdit, groupText } from './group.ts';
import { FLOW_MOD_DEFAULTS, type Group, type Message } from './openflow/index.ts';

export type Edit = FlowEdit | GroupEdit;

/** Tells a flow or a group from all others there may be. */
export function keyOf(item: Flow | Group): string {
  return 'group' in item ? `group_id=${item.group}` : flowKey(item);
}

export function itemOf(edit: Edit): Flow | Group {
  return 'flow' in edit ? edit.flow : edit.group;
}

export function textOf(edit: Edit): string {
  return 'flow' in edit ? flowText(edit.flow) : groupText(edit.group);
}

export function messageOf(edit: Edit, xid: number): Message {
  if ('flow' in edit) {
    const instructions = edit.command === 'add' ? edit.flow.instructions : [];
    return { type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...edit.flow, xid, command: edit.command, instructions };
  }
  const { group, type: groupType, buckets } = edit.group;
  const { command } = edit;
  return { type: 'group-mod', xid, command, groupType, group, buckets: command === 'delete' ? [] : buckets };
}

/** What the switch holds as far as is known: as it was read, and as edits have changed it since. */
export class Known {
  readonly flows: Map<string, Flow>;
  readonly groups: Map<number, Group>;

  constructor(flows: readonly Flow[], groups: readonly Group[]) {
    this.flows = new Map(flows.map((flow) => [flowKey(flow), flow]));
    this.groups = new Map(groups.map((group) => [group.group, group]));
  }

  apply(edit: Edit): void {
    if ('flow' in edit) {
      if (edit.command === 'add') this.flows.set(flowKey(edit.flow), edit.flow);
      else this.flows.delete(flowKey(edit.flow));
    } else if (edit.command === 'delete') this.groups.delete(edit.group.group);
    else this.groups.set(edit.group.group, edit.group);
  }
}

/** Edits the switch has not confirmed by a barrier, by their transaction. */
export class Unconfirmed {
  readonly #sent = new Map<number, Edit>();
  /** Our own deletions of flows among them, by the flow's key: the switch tells of those too. */
  readonly #deleted = new Map<string, number>();

  sent(xid: number, edit: Edit): void {
    this.#sent.set(xid, edit);
    if ('flow' in edit && edit.command === 'delete-strict') this.#deleted.set(flowKey(edit.flow), xid);
  }

  get(xid: number): Edit | undefined {
    return this.#sent.get(xid);
  }

  deletes(key: string): boolean {
    return this.#deleted.has(key);
  }

  /** Edits sent after that barrier await their own. */
  confirmed(barrier: number): void {
    for (const sent of this.#sent.keys()) if (sent < barrier) this.#sent.delete(sent);
    for (const [key, sent] of this.#deleted) if (sent < barrier) this.#deleted.delete(key);
  }

  clear(): void {
    this.#sent.clear();
    this.#deleted.clear();
  }
}
