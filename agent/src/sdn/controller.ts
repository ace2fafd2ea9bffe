/**
 * The controller machine: keeps the switch's flow table equal to the one computed from the state.
 *
 * After every connect the table is read from the switch, compared and only the difference sent, so that a restart of the agent
 * disturbs nothing. It is read again now and then, after an error, and when the switch tells that somebody else deleted a flow: drift
 * is the same case as a restart. Flows with another cookie are not ours and stay.
 */

import { earliest, type Instant, type Machine } from '../machine.ts';
import { DecodeError } from '../wire/reader.ts';
import { addressesOf, COOKIE, desiredFlows, type SwitchState, TAP_PORT } from './desired.ts';
import { Drift } from './drift.ts';
import { type Flow, type FlowEdit, flowKey, flowText, leadsTo, planFlows, sameFlow } from './flow.ts';
import { answer } from './neighbours.ts';
import {
  ALL_FLOWS,
  FLOW_MOD_DEFAULTS,
  type Message,
  normal,
  type PacketIn,
  PORT,
  type Port,
  type PortStats,
  VERSION,
  WHOLE_FRAME,
} from './openflow/index.ts';

/** A connection without a word for this long is asked for an echo... */
export const ECHO_AFTER_MS = 5_000;
/** ...and given up after this long. */
export const SILENT_AFTER_MS = 15_000;
/** The table is read again after so long: often enough to mend by itself, seldom enough for a table of thousands. */
const RESYNC_MIN_MS = 4_000;
const RESYNC_MS_PER_FLOW = 10;
export const RESYNC_MS = 60_000;
/** Flows are deleted in bursts: they are put back together. */
const MEND_AFTER_MS = 50;
/** After an error the table is read again, ever later while errors go on. */
const ERROR_RESYNC_MS = 1_000;

export type ControllerEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'message'; readonly message: Message }
  /** A message that could not be decoded: the stream goes on. */
  | { readonly kind: 'undecodable'; readonly reason: string }
  /**
   * The state changed. Unless `settled`, flows are only added, since we may want once the picture is whole what we do not want yet;
   * but those that lead by a drained port go.
   */
  | { readonly kind: 'state'; readonly state: SwitchState; readonly settled: boolean }
  /** Port statistics are wanted. */
  | { readonly kind: 'poll' }
  | { readonly kind: 'deadline' };

export type ControllerAction =
  | { readonly kind: 'send'; readonly message: Message }
  | { readonly kind: 'close'; readonly reason: string }
  /** The table equals what was wanted when this was said. */
  | { readonly kind: 'synced'; readonly flows: number }
  | { readonly kind: 'port'; readonly reason: 'add' | 'delete' | 'modify'; readonly port: Port }
  | { readonly kind: 'port-stats'; readonly stats: readonly PortStats[] }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn'; readonly text: string };

export interface ControllerCounters {
  asked: number;
  answered: number;
  added: number;
  deleted: number;
  errors: number;
  undecodable: number;
}

export class Controller implements Machine<ControllerEvent, ControllerAction> {
  readonly counters: ControllerCounters = { asked: 0, answered: 0, added: 0, deleted: 0, errors: 0, undecodable: 0 };
  readonly #generation: bigint;
  #state: SwitchState | undefined;
  #desired: readonly Flow[] = [];
  #owners: ReadonlyMap<string, string> = new Map();
  #settled = false;
  #phase: 'away' | 'hello' | 'up' = 'away';
  /** The switch's table, once it was read. */
  #known: Map<string, Flow> | undefined;
  /** The read under way: nothing is changed meanwhile, or we would not know whether the answer has the change. */
  #reading: { readonly xid: number; readonly flows: Flow[] } | undefined;
  /** Edits the switch has not confirmed by a barrier, by their transaction. */
  readonly #sent = new Map<number, FlowEdit>();
  /** Our own deletions among them, by the flow's key: the switch tells of those too. */
  readonly #deleted = new Map<string, number>();
  readonly #drift = new Drift();
  #mendAt: Instant | undefined;
  /** Flows of others as last told. */
  #foreign = '';
  #barrier: number | undefined;
  #xid = 0;
  #heardAt: Instant = 0;
  #echoAt: Instant | undefined;
  #resyncAt: Instant | undefined;
  /** Reads since which the switch refused something, in a row; and whether it did since the last one. */
  #failures = 0;
  #failed = false;

  /**
   * @param generation ascends from one run of the agent to the next: an agent that is still dying cannot take the switch back
   * (OpenFlow 1.3.5 §6.3.6)
   */
  constructor(generation: bigint) {
    this.#generation = generation;
  }

  get connected(): boolean {
    return this.#phase === 'up';
  }

  get flows(): number {
    return this.#known?.size ?? 0;
  }

  deadline(): Instant | undefined {
    if (this.#phase === 'away') return undefined;
    return earliest(this.#echoAt, this.#heardAt + SILENT_AFTER_MS, this.#resyncAt, this.#mendAt);
  }

  handle(event: ControllerEvent, now: Instant): readonly ControllerAction[] {
    switch (event.kind) {
      case 'connected':
        return this.#begin(now);
      case 'disconnected':
        this.#reset();
        return [];
      case 'message':
        this.#heardAt = now;
        this.#echoAt = now + ECHO_AFTER_MS;
        return this.#message(event.message, now);
      case 'undecodable':
        this.counters.undecodable++;
        return [warning(`the switch sent something undecodable: ${event.reason}`)];
      case 'state':
        this.#setState(event.state, event.settled);
        return this.#reconcile(now);
      case 'poll':
        return this.connected ? [this.#request({ of: 'port-stats' })] : [];
      case 'deadline':
        return this.#due(now);
    }
  }

  #setState(state: SwitchState, settled: boolean): void {
    this.#state = state;
    this.#settled ||= settled;
    this.#desired = desiredFlows(state);
    const others = state.members.filter((m) => m.label !== state.self.label);
    this.#owners = new Map(
      others.flatMap((m) => [...addressesOf(m, 4), ...addressesOf(m, 6)].map((address) => [address, m.mac] as const)),
    );
  }

  #begin(now: Instant): readonly ControllerAction[] {
    this.#reset();
    this.#phase = 'hello';
    this.#heardAt = now;
    this.#echoAt = now + ECHO_AFTER_MS;
    return [this.#send({ type: 'hello', xid: this.#next(), versions: [VERSION] })];
  }

  #reset(): void {
    this.#phase = 'away';
    this.#known = undefined;
    this.#reading = undefined;
    this.#barrier = undefined;
    this.#resyncAt = undefined;
    this.#mendAt = undefined;
    this.#sent.clear();
    this.#deleted.clear();
    this.#drift.clear();
  }

  #due(now: Instant): readonly ControllerAction[] {
    if (this.#phase === 'away') return [];
    if (now >= this.#heardAt + SILENT_AFTER_MS) {
      this.#reset();
      return [{ kind: 'close', reason: `the switch has been silent for ${SILENT_AFTER_MS / 1_000} s` }];
    }
    const actions: ControllerAction[] = [];
    if (this.#echoAt !== undefined && now >= this.#echoAt) {
      this.#echoAt = undefined;
      actions.push(this.#send({ type: 'echo-request', xid: this.#next(), data: Buffer.alloc(0) }));
    }
    if (this.#mendAt !== undefined && now >= this.#mendAt) actions.push(...this.#reconcile(now));
    if (this.#resyncAt !== undefined && now >= this.#resyncAt && this.#phase === 'up') actions.push(this.#read());
    return actions;
  }

  #message(message: Message, now: Instant): readonly ControllerAction[] {
    switch (message.type) {
      case 'hello':
        return this.#hello(message.versions);
      case 'echo-request':
        return [this.#send({ type: 'echo-reply', xid: message.xid, data: message.data })];
      case 'error':
        return this.#error(message, now);
      case 'multipart-reply':
        if (message.body.of === 'port-stats') return [{ kind: 'port-stats', stats: message.body.stats }];
        if (message.body.of === 'flows') return this.#table(message.xid, message.body.flows, message.more, now);
        return [];
      case 'packet-in':
        return this.#packetIn(message);
      case 'port-status':
        return [{ kind: 'port', reason: message.reason, port: message.port }];
      case 'flow-removed':
        this.#removed(flowKey({ ...message, match: normal(message.match) }), now);
        return [];
      case 'barrier-reply':
        return this.#confirmed(message.xid);
      default:
        return [];
    }
  }

  #hello(versions: readonly number[]): readonly ControllerAction[] {
    if (this.#phase !== 'hello') return [];
    if (!versions.includes(VERSION)) {
      this.#reset();
      return [{ kind: 'close', reason: `the switch speaks OpenFlow versions ${versions.join(', ')}, not ${VERSION}` }];
    }
    this.#phase = 'up';
    return [
      this.#send({ type: 'features-request', xid: this.#next() }),
      this.#send({ type: 'set-config', xid: this.#next(), missSendBytes: WHOLE_FRAME }),
      this.#send({ type: 'role-request', xid: this.#next(), role: 'master', generation: this.#generation }),
      this.#read(),
    ];
  }

  #read(): ControllerAction {
    const action = this.#request({ of: 'flows', selection: ALL_FLOWS });
    this.#reading = { xid: this.#xid, flows: [] };
    this.#resyncAt = undefined;
    return action;
  }

  #table(xid: number, stats: readonly Flow[], more: boolean, now: Instant): readonly ControllerAction[] {
    if (this.#reading?.xid !== xid) return [];
    this.#reading.flows.push(
      ...stats.map(({ table, priority, cookie, flags, match, instructions }) => ({
        table,
        priority,
        cookie,
        flags,
        match: normal(match),
        instructions,
      })),
    );
    if (more) return [];
    const foreign = this.#reading.flows.filter((flow) => flow.cookie !== COOKIE);
    const ours = this.#reading.flows.filter((flow) => flow.cookie === COOKIE);
    const before = this.#failed ? undefined : this.#known;
    this.#known = new Map(ours.map((flow) => [flowKey(flow), flow]));
    // Somebody's flow in the place of ours has replaced it.
    const replaced = new Set(before === undefined ? [] : foreign.map(flowKey));
    for (const [key, flow] of before ?? []) {
      const is = this.#known.get(key);
      if (is === undefined) this.#drift.harmed(flow, replaced.has(key) ? 'changed' : 'deleted');
      else if (!sameFlow(is, flow)) this.#drift.harmed(flow, 'changed');
    }
    this.#reading = undefined;
    this.#failed = false;
    this.#resyncAt = now + Math.min(Math.max(RESYNC_MIN_MS, ours.length * RESYNC_MS_PER_FLOW), RESYNC_MS);
    return [...this.#foreigners(foreign), ...this.#reconcile(now)];
  }

  /** Somebody looking for a fault should know that there are flows beside ours. */
  #foreigners(flows: readonly Flow[]): readonly ControllerAction[] {
    const told = flows.map(flowText).sort().join('\n');
    if (told === this.#foreign) return [];
    this.#foreign = told;
    const [first] = flows;
    if (first === undefined) return [];
    const count = flows.length === 1 ? '1 flow that is not ours stays' : `${flows.length} flows that are not ours stay`;
    return [{ kind: 'log', level: 'info', text: `${count} in the table (the first: ${flowText(first)})` }];
  }

  #removed(key: string, now: Instant): void {
    const flow = this.#known?.get(key);
    if (flow === undefined || this.#deleted.has(key)) return;
    this.#known?.delete(key);
    this.#drift.harmed(flow, 'deleted');
    this.#mendAt ??= now + MEND_AFTER_MS;
  }

  #reconcile(now: Instant): readonly ControllerAction[] {
    if (this.#known === undefined || this.#reading !== undefined || this.#state === undefined) return [];
    this.#mendAt = undefined;
    const drained = new Set(this.#state.drained);
    const obsolete = this.#settled ? () => true : (flow: Flow) => leadsTo(flow, drained);
    const edits = planFlows(this.#known.values(), this.#desired, obsolete);
    // With nothing to send the table is as wanted, unless a barrier will say so.
    if (edits.length === 0) return this.#barrier === undefined ? [{ kind: 'synced', flows: this.flows }] : [];
    const mended = this.#drift.mended(edits, now);
    const sends = edits.map((edit) => this.#edit(edit));
    const barrier = this.#send({ type: 'barrier-request', xid: this.#next() });
    this.#barrier = this.#xid;
    return [...(mended === undefined ? [] : [warning(mended)]), ...sends, barrier];
  }

  #edit(edit: FlowEdit): ControllerAction {
    const xid = this.#next();
    this.#sent.set(xid, edit);
    if (edit.command === 'add') {
      this.counters.added++;
      this.#known?.set(flowKey(edit.flow), edit.flow);
    } else {
      this.counters.deleted++;
      this.#known?.delete(flowKey(edit.flow));
      this.#deleted.set(flowKey(edit.flow), xid);
    }
    const instructions = edit.command === 'add' ? edit.flow.instructions : [];
    return this.#send({
      type: 'flow-mod',
      ...FLOW_MOD_DEFAULTS,
      ...edit.flow,
      xid,
      command: edit.command,
      instructions,
    });
  }

  #confirmed(xid: number): readonly ControllerAction[] {
    // Edits sent after that barrier await their own.
    for (const sent of this.#sent.keys()) if (sent < xid) this.#sent.delete(sent);
    for (const [key, sent] of this.#deleted) if (sent < xid) this.#deleted.delete(key);
    if (xid !== this.#barrier) return [];
    this.#barrier = undefined;
    if (this.#failed) return [];
    this.#failures = 0;
    return [{ kind: 'synced', flows: this.flows }];
  }

  #error(message: Message & { type: 'error' }, now: Instant): readonly ControllerAction[] {
    this.counters.errors++;
    const edit = this.#sent.get(message.xid);
    const what = edit === undefined ? `message ${message.xid}` : `${edit.command} ${flowText(edit.flow)}`;
    const log = warning(`the switch refused ${what}: error type ${message.errorType} code ${message.code}`);
    if (message.xid === this.#reading?.xid) this.#reading = undefined;
    else if (edit === undefined) return [log];
    // What the switch has now is no longer known for sure.
    if (!this.#failed) this.#failures = Math.min(this.#failures + 1, 6);
    this.#failed = true;
    this.#resyncAt = earliest(this.#resyncAt, now + ERROR_RESYNC_MS * 2 ** (this.#failures - 1));
    return [log];
  }

  #packetIn(message: PacketIn): readonly ControllerAction[] {
    this.counters.asked++;
    const inPort = Number(message.match.in_port?.value ?? TAP_PORT);
    const frame = this.#answer(message.frame);
    if (frame === undefined) return [];
    this.counters.answered++;
    const actions = [{ type: 'output', port: inPort }] as const;
    return [this.#send({ type: 'packet-out', xid: this.#next(), inPort: PORT.controller, actions, frame })];
  }

  #answer(frame: Buffer): Buffer | undefined {
    try {
      return answer(frame, (address) => this.#owners.get(address));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return undefined;
    }
  }

  #request(body: (Message & { type: 'multipart-request' })['body']): ControllerAction {
    return this.#send({ type: 'multipart-request', xid: this.#next(), more: false, body });
  }

  #send(message: Message): ControllerAction {
    return { kind: 'send', message };
  }

  /** Transactions ascend within a connection; 2^32 of them outlast any. */
  #next(): number {
    this.#xid = (this.#xid + 1) >>> 0;
    return this.#xid;
  }
}

function warning(text: string): ControllerAction {
  return { kind: 'log', level: 'warn', text };
}
