/**
 * The controller machine: keeps the switch's flows and groups equal to those a program computes from the state.
 *
 * After every connect they are read from the switch, compared and only the difference sent, so that a restart of the agent
 * disturbs nothing. They are read again now and then, after an error, and when the switch tells that somebody else deleted a flow:
 * drift is the same case as a restart. Flows with another cookie are not ours and stay. Groups come before the flows that lead to
 * them and go after those.
 */

import { earliest, type Instant, type Machine } from '../machine.ts';
import { Answerer } from './answerer.ts';
import type { SwitchState } from './desired.ts';
import { Drift } from './drift.ts';
import { type Edit, Known, messageOf, textOf, Unconfirmed } from './edit.ts';
import { type Flow, flowKey, leadsTo, planFlows } from './flow.ts';
import { Foreign } from './foreign.ts';
import { missingGroups, unusedGroups } from './group.ts';
import {
  type Message,
  normal,
  type PacketIn,
  type Port,
  type PortStats,
  VERSION,
  WHOLE_FRAME,
} from './openflow/index.ts';
import { COOKIE } from './parts.ts';
import type { Program, ProgramState, Tables } from './program.ts';
import { Reading } from './reading.ts';

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

export type ControllerEvent<State extends ProgramState = SwitchState> =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'message'; readonly message: Message }
  /** A message that could not be decoded: the stream goes on. */
  | { readonly kind: 'undecodable'; readonly reason: string }
  /**
   * The state changed. Unless `settled`, flows are only added, since we may want once the picture is whole what we do not want yet;
   * but those that lead by a drained port go.
   */
  | { readonly kind: 'state'; readonly state: State; readonly settled: boolean }
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

export class Controller<State extends ProgramState = SwitchState>
  implements Machine<ControllerEvent<State>, ControllerAction>
{
  readonly counters: ControllerCounters = { asked: 0, answered: 0, added: 0, deleted: 0, errors: 0, undecodable: 0 };
  readonly #generation: bigint;
  readonly #program: Program<State>;
  readonly #answerer = new Answerer();
  #state: State | undefined;
  #wanted: Tables = { flows: [], groups: [] };
  #settled = false;
  #phase: 'away' | 'hello' | 'up' = 'away';
  /** What the switch holds, once it was read. */
  #known: Known | undefined;
  #reading: Reading | undefined;
  readonly #unconfirmed = new Unconfirmed();
  readonly #drift = new Drift();
  #mendAt: Instant | undefined;
  readonly #foreign = new Foreign();
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
  constructor(generation: bigint, program: Program<State>) {
    this.#generation = generation;
    this.#program = program;
  }

  get connected(): boolean {
    return this.#phase === 'up';
  }

  get flows(): number {
    return this.#known?.flows.size ?? 0;
  }

  deadline(): Instant | undefined {
    if (this.#phase === 'away') return undefined;
    return earliest(this.#echoAt, this.#heardAt + SILENT_AFTER_MS, this.#resyncAt, this.#mendAt);
  }

  handle(event: ControllerEvent<State>, now: Instant): readonly ControllerAction[] {
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

  #setState(state: State, settled: boolean): void {
    this.#state = state;
    this.#settled ||= settled;
    this.#wanted = this.#program.wanted(state);
    this.#answerer.setState(state);
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
    this.#unconfirmed.clear();
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
    if (this.#resyncAt !== undefined && now >= this.#resyncAt && this.#phase === 'up') actions.push(...this.#read());
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
        this.#reading?.take(message);
        return this.#taken(now);
      case 'packet-in':
        return this.#packetIn(message);
      case 'port-status':
        return [{ kind: 'port', reason: message.reason, port: message.port }];
      case 'flow-removed':
        this.#removed(message, now);
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
      ...this.#read(),
    ];
  }

  #read(): readonly ControllerAction[] {
    const flows = this.#request({ of: 'flows', selection: this.#program.selection });
    const flowsXid = this.#xid;
    const groups = this.#program.ownGroup === undefined ? [] : [this.#request({ of: 'groups' })];
    this.#reading = new Reading(flowsXid, groups.length === 0 ? undefined : this.#xid);
    this.#resyncAt = undefined;
    return [flows, ...groups];
  }

  /** Something was read: with the last of it the switch is compared with what is wanted. */
  #taken(now: Instant): readonly ControllerAction[] {
    if (this.#reading === undefined || !this.#reading.done) return [];
    const { flows, groups } = this.#reading;
    const foreign = flows.filter((flow) => flow.cookie !== COOKIE);
    const ours = flows.filter((flow) => flow.cookie === COOKIE);
    const before = this.#failed ? undefined : this.#known;
    this.#known = new Known(
      ours,
      groups.filter(({ group }) => this.#program.ownGroup?.(group)),
    );
    if (before !== undefined) this.#drift.compare(before, this.#known, foreign);
    this.#reading = undefined;
    this.#failed = false;
    this.#resyncAt = now + Math.min(Math.max(RESYNC_MIN_MS, ours.length * RESYNC_MS_PER_FLOW), RESYNC_MS);
    const news = this.#foreign.news(foreign);
    const told = news === undefined ? [] : [{ kind: 'log', level: 'info', text: news } as const];
    return [...told, ...this.#reconcile(now)];
  }

  #removed(message: Message & { type: 'flow-removed' }, now: Instant): void {
    const key = flowKey({ ...message, match: normal(message.match) });
    const flow = this.#known?.flows.get(key);
    if (flow === undefined || this.#unconfirmed.deletes(key)) return;
    this.#known?.flows.delete(key);
    this.#drift.harmed(flow, 'deleted');
    // Of groups that went nothing tells but perhaps the flows that went with them: which they were has to be read.
    if (this.#program.ownGroup !== undefined) this.#resyncAt = earliest(this.#resyncAt, now + MEND_AFTER_MS);
    else this.#mendAt ??= now + MEND_AFTER_MS;
  }

  #reconcile(now: Instant): readonly ControllerAction[] {
    if (this.#known === undefined || this.#reading !== undefined || this.#state === undefined) return [];
    this.#mendAt = undefined;
    const drained = new Set(this.#state.drained);
    const obsolete = this.#settled ? () => true : (flow: Flow) => leadsTo(flow, drained);
    const { flows, groups } = this.#wanted;
    const known = this.#known;
    const first = missingGroups(known.groups, groups);
    const then = planFlows(known.flows.values(), flows, obsolete);
    const mended = this.#drift.mended([...first, ...then], now);
    const sends = [...this.#edits(known, first), ...this.#edits(known, then)];
    sends.push(...this.#edits(known, unusedGroups(known.groups, groups, known.flows.values())));
    // With nothing to send the table is as wanted, unless a barrier will say so.
    if (sends.length === 0) return this.#barrier === undefined ? [{ kind: 'synced', flows: this.flows }] : [];
    this.#barrier = this.#xid;
    return [...(mended === undefined ? [] : [warning(mended)]), ...sends];
  }

  /** With a barrier behind them: a switch may otherwise carry out what follows before (OpenFlow 1.3.5 §6.2). */
  #edits(known: Known, edits: readonly Edit[]): readonly ControllerAction[] {
    if (edits.length === 0) return [];
    const sends = edits.map((edit) => {
      const xid = this.#next();
      this.#unconfirmed.sent(xid, edit);
      known.apply(edit);
      if (edit.command === 'delete' || edit.command === 'delete-strict') this.counters.deleted++;
      else this.counters.added++;
      return this.#send(messageOf(edit, xid));
    });
    return [...sends, this.#send({ type: 'barrier-request', xid: this.#next() })];
  }

  #confirmed(xid: number): readonly ControllerAction[] {
    this.#unconfirmed.confirmed(xid);
    if (xid !== this.#barrier) return [];
    this.#barrier = undefined;
    if (this.#failed) return [];
    this.#failures = 0;
    return [{ kind: 'synced', flows: this.flows }];
  }

  #error(message: Message & { type: 'error' }, now: Instant): readonly ControllerAction[] {
    this.counters.errors++;
    const edit = this.#unconfirmed.get(message.xid);
    const what = edit === undefined ? `message ${message.xid}` : `${edit.command} ${textOf(edit)}`;
    const log = warning(`the switch refused ${what}: error type ${message.errorType} code ${message.code}`);
    const read = this.#reading?.refused(message.xid);
    if (read === 'groups') return [log, ...this.#taken(now)];
    if (read === 'flows') this.#reading = undefined;
    else if (edit === undefined) return [log];
    // What the switch has now is no longer known for sure.
    const first = !this.#failed;
    if (first) this.#failures = Math.min(this.#failures + 1, 6);
    this.#failed = true;
    this.#resyncAt = earliest(this.#resyncAt, now + ERROR_RESYNC_MS * 2 ** (this.#failures - 1));
    // One reason seldom refuses one change alone; all are counted.
    return first ? [log] : [];
  }

  #packetIn(message: PacketIn): readonly ControllerAction[] {
    this.counters.asked++;
    const answer = this.#answerer.answer(message);
    if (answer === undefined) return [];
    this.counters.answered++;
    return [this.#send({ ...answer, xid: this.#next() })];
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
