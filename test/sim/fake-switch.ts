/**
 * An OpenFlow switch that forwards, as thin as one can be: flow-mods, group-mods, dumps, packet-out, and the path of a frame through
 * the tables. It is held against tincan and Open vSwitch by the suites in test/contract.
 */

import {
  type Action,
  entries,
  type FieldName,
  type Group,
  type Instruction,
  type Match,
  type Message,
  normal,
  PORT,
  SEND_FLOW_REMOVED,
} from '../../agent/src/sdn/openflow/index.ts';
import { fieldsOf } from './frame.ts';

/** A frame as the tables see it: its fields, by name. */
export type Fields = { readonly [name in FieldName]?: bigint };

export interface Entry {
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly flags: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

/** Where a frame leaves, with its tunnel id as it was then. */
export interface Output {
  readonly port: number;
  readonly tunnelId: bigint | undefined;
  /** Of the flow that sent it. */
  readonly table: number;
  readonly cookie: bigint;
}

interface CountedEntry extends Entry {
  packets: bigint;
}

export class FakeSwitch {
  readonly #flows = new Map<string, CountedEntry>();
  /** As they are looked up, until something changes. */
  readonly #tables = new Map<number, readonly CountedEntry[]>();
  readonly datapathId: bigint;
  readonly #groups = new Map<number, Group>();
  /** Ports whose link is down: what a fast-failover group watches. */
  readonly down = new Set<number>();
  /** Flow-mods and group-mods taken since the switch began. */
  changes = 0;

  constructor(datapathId: bigint) {
    this.datapathId = datapathId;
  }

  get flows(): readonly Entry[] {
    return [...this.#flows.values()];
  }

  get groups(): readonly Group[] {
    return [...this.#groups.values()];
  }

  clear(): void {
    this.#groups.clear();
    this.#flows.clear();
    this.#tables.clear();
  }

  /** What the switch answers to a controller's message. */
  handle(message: Message): readonly Message[] {
    switch (message.type) {
      case 'hello':
        return [{ type: 'hello', xid: message.xid, versions: [4] }];
      case 'features-request':
        return [{ type: 'features-reply', xid: message.xid, datapathId: this.datapathId, tables: 6, capabilities: 7 }];
      case 'role-request':
        return [{ ...message, type: 'role-reply' }];
      case 'echo-request':
        return [{ ...message, type: 'echo-reply' }];
      case 'barrier-request':
        return [{ type: 'barrier-reply', xid: message.xid }];
      case 'multipart-request':
        return this.#dump(message.xid, message.body.of);
      case 'flow-mod':
        return this.#change(message);
      case 'group-mod':
        return this.#changeGroup(message);
      case 'packet-out':
        return this.#send(message);
      default:
        return [];
    }
  }

  #dump(xid: number, of: string): readonly Message[] {
    if (of === 'groups') {
      return [{ type: 'multipart-reply', xid, more: false, body: { of, groups: this.groups } }];
    }
    if (of !== 'flows') return [];
    const stats = { durationS: 0, idleTimeoutS: 0, hardTimeoutS: 0, bytes: 0n };
    const flows = [...this.#flows.values()].map((flow) => ({ ...flow, ...stats }));
    const half = Math.floor(flows.length / 2);
    // In two parts, as a switch with many flows does.
    return [flows.slice(0, half), flows.slice(half)].map((part, i) => ({
      type: 'multipart-reply',
      xid,
      more: i === 0,
      body: { of: 'flows', flows: part },
    }));
  }

  #change(message: Message & { type: 'flow-mod' }): readonly Message[] {
    const { table, priority, cookie, flags, match, instructions } = message;
    const key = `${table}/${priority}/${JSON.stringify(entries(normal(match)), (_, v) => (typeof v === 'bigint' ? String(v) : v))}`;
    this.changes++;
    const lost = groupsOf(instructions).find((group) => !this.#groups.has(group));
    if (message.command === 'add' && lost !== undefined) return [error(message.xid, BAD_OUT_GROUP)];
    this.#tables.delete(table);
    if (message.command === 'add')
      this.#flows.set(key, { table, priority, cookie, flags, match, instructions, packets: 0n });
    const gone = message.command === 'delete-strict' ? this.#flows.get(key) : undefined;
    if (gone === undefined) return [];
    this.#flows.delete(key);
    return (gone.flags & SEND_FLOW_REMOVED) === 0 ? [] : [removed(gone, 'delete')];
  }

  #changeGroup({ xid, command, group, groupType, buckets }: Message & { type: 'group-mod' }): readonly Message[] {
    this.changes++;
    if (command === 'delete') return this.deleteGroupByHand(group);
    if (this.#groups.has(group) !== (command === 'modify')) {
      return [error(xid, command === 'add' ? GROUP_EXISTS : UNKNOWN_GROUP)];
    }
    this.#groups.set(group, { group, type: groupType, buckets });
    return [];
  }

  /** Flows that lead to a group go with it. */
  deleteGroupByHand(group: number): readonly Message[] {
    this.#groups.delete(group);
    return this.deleteByHand((flow) => groupsOf(flow.instructions).includes(group), 'group-delete');
  }

  /** Somebody else deletes all flows that `which` names; what the switch tells its controller of it. */
  deleteByHand(which: (flow: Entry) => boolean, reason: Reason = 'delete'): readonly Message[] {
    const gone = [...this.#flows].filter(([, flow]) => which(flow));
    for (const [key] of gone) this.#flows.delete(key);
    this.#tables.clear();
    return gone.filter(([, flow]) => (flow.flags & SEND_FLOW_REMOVED) !== 0).map(([, flow]) => removed(flow, reason));
  }

  /** A frame that is to pass the tables comes back if they send it to the controller. */
  #send({ actions, inPort, frame }: Message & { type: 'packet-out' }): readonly Message[] {
    if (!actions.some((action) => action.type === 'output' && action.port === PORT.table)) return [];
    const outputs = this.outputs({ in_port: BigInt(inPort), ...fieldsOf(frame) });
    return outputs
      .filter((output) => output.port === PORT.controller)
      .map((output) => ({
        type: 'packet-in',
        xid: 0,
        reason: 'action',
        table: output.table,
        cookie: output.cookie,
        match: { in_port: { value: BigInt(inPort) } },
        frame,
      }));
  }

  /** Where a frame goes that enters at `table`. */
  outputs(fields: Fields, table = 0): readonly Output[] {
    const outputs: Output[] = [];
    let frame = fields;
    let next: number | undefined = table;
    while (next !== undefined) {
      const entry = this.#lookup(next, frame);
      next = undefined;
      if (entry === undefined) break;
      entry.packets++;
      for (const instruction of entry.instructions) {
        if (instruction.type === 'goto') next = instruction.table;
        if (instruction.type !== 'apply') continue;
        for (const action of instruction.actions) frame = this.#apply(action, frame, entry, outputs);
      }
    }
    return outputs;
  }

  #apply(action: Action, frame: Fields, entry: Entry, outputs: Output[]): Fields {
    switch (action.type) {
      case 'set-field':
        return { ...frame, [action.field.name]: action.field.value };
      case 'group':
        for (const bucket of this.#chosen(action.group)) {
          let copy = frame;
          for (const each of bucket.actions) copy = this.#apply(each, copy, entry, outputs);
        }
        return frame;
      case 'output': {
        // Back by the port it came in goes a frame only by that port's reserved name (OpenFlow 1.3.5 §7.2.5).
        if (frame.in_port === BigInt(action.port)) return frame;
        const port = action.port === PORT.inPort ? Number(frame.in_port ?? 0n) : action.port;
        outputs.push({ port, tunnelId: frame.tunnel_id, table: entry.table, cookie: entry.cookie });
        return frame;
      }
      case 'other':
        return frame;
    }
  }

  #chosen(id: number): Group['buckets'] {
    const group = this.#groups.get(id);
    if (group === undefined) return [];
    const live = group.buckets.filter((bucket) => bucket.watchPort === PORT.any || !this.down.has(bucket.watchPort));
    return group.type === 'all' ? group.buckets : live.slice(0, 1);
  }

  #lookup(table: number, frame: Fields): CountedEntry | undefined {
    return this.#ordered(table).find((entry) => fits(entry.match, frame));
  }

  /** The flows of a table, highest priority first. */
  #ordered(table: number): readonly CountedEntry[] {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const flows = [...this.#flows.values()].filter((flow) => flow.table === table);
    flows.sort((x, y) => y.priority - x.priority);
    this.#tables.set(table, flows);
    return flows;
  }
}

type Reason = (Message & { type: 'flow-removed' })['reason'];

function removed({ table, priority, cookie, match, packets }: CountedEntry, reason: Reason): Message {
  return { type: 'flow-removed', xid: 0, cookie, priority, reason, table, packets, bytes: 0n, match };
}

/** Error types and codes of OpenFlow 1.3.5 §7.5.4. */
const BAD_OUT_GROUP = { errorType: 2, code: 9 };
const GROUP_EXISTS = { errorType: 6, code: 0 };
const UNKNOWN_GROUP = { errorType: 6, code: 8 };

function error(xid: number, what: typeof GROUP_EXISTS): Message {
  return { type: 'error', xid, ...what, data: Buffer.alloc(0) };
}

function groupsOf(instructions: readonly Instruction[]): readonly number[] {
  return instructions.flatMap((instruction) =>
    instruction.type === 'apply' ? instruction.actions.flatMap((a) => (a.type === 'group' ? [a.group] : [])) : [],
  );
}

function fits(match: Match, frame: Fields): boolean {
  return entries(match).every(({ name, value, mask }) => {
    const actual = frame[name];
    return actual !== undefined && (mask === undefined ? actual === value : (actual & mask) === value);
  });
}
