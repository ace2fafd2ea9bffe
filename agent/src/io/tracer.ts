/**
 * The world around traces (`../trace`): those this node begins, and those of others that it counts for. tincan counts, the switches are
 * asked over connections of their own, other nodes by messages over the overlay (docs/wire.md §9.3).
 */
import { randomBytes, randomInt } from 'node:crypto';
import type { Agent } from '../agent.ts';
import type { Flows, TraceResult } from '../api.ts';
import { fields, list, number, readTraceNext, readTraceTold } from '../tincan.ts';
import { whyNot } from '../trace/elsewhere.ts';
import { beginOf, type End, EndError, endsOf } from '../trace/ends.ts';
import { FRAME_MAX_BYTES, FRAME_MIN_BYTES, probeFrame } from '../trace/frame.ts';
import { type Outcome, Trace, type TraceAction, type TraceEvent } from '../trace/machine.ts';
import { type ResultParts, resultOf } from '../trace/result.ts';
import type { Hop, KernelCounts, NextAnswer, Refusal, ToldAnswer } from '../trace/types.ts';
import { kernelSince, WATCH_MS, Watchman } from '../trace/watchman.ts';
import { findMember } from '../view.ts';
import { contains } from '../wire/address.ts';
import { type Body, TRACE_FRAMES_MAX, type TraceTalk } from '../wire/bodies.ts';
import type { Certificate } from '../wire/certificate.ts';
import { labelHex, labelOf, type NodeId } from '../wire/ids.ts';
import { ApiError } from './api-server.ts';
import { ControlError } from './control.ts';
import { drive } from './drive.ts';
import { kernelCounts } from './kernel-counts.ts';
import type { CandidatePair } from './rtc.ts';
import { flowsOf, type SwitchPlace, TraceEdge } from './switches.ts';
import { TracesElsewhere } from './tracer-elsewhere.ts';

/** tincan answers within microseconds; the stations wait for each other. */
const TINCAN_MS = 1_000;
const BEGUN_MAX = 4;
const FRAMES = { least: 1, most: TRACE_FRAMES_MAX, usual: 3 } as const;

export interface TracerParts {
  readonly agent: Agent;
  /** The edge first: that is where a frame of this node begins. */
  readonly switches: readonly SwitchPlace[];
  selected(peer: NodeId): CandidatePair | null;
  request(method: string, params: object, timeoutMs?: number): Promise<unknown>;
}

interface Run {
  readonly trace: string;
  readonly destination: NodeId;
  readonly frames: number;
  /** Of each frame. */
  readonly bytes: number;
  /** The address at the destination that is to answer, where that is not its own. */
  readonly behind: string | undefined;
  /** Sends a frame, and says why not. */
  send(sequence: number): string | undefined;
}

interface Running<E> {
  give(event: E): void;
}

/** What came of the frames of this node's own switch. */
interface Sent {
  readonly trace: string;
  readonly bytes: number;
  readonly outcome: Outcome;
  readonly lookups: TraceResult['lookups'];
}

export class Tracer {
  readonly #parts: TracerParts;
  readonly #watchman = new Watchman();
  readonly #running = new Map<string, Running<TraceEvent>>();
  readonly #elsewhere: TracesElsewhere;
  #begun = 0;

  constructor(parts: TracerParts) {
    this.#parts = parts;
    this.#elsewhere = new TracesElsewhere({
      send: (to, body) => this.#send(to, body),
      run: async (named, to, frames) => {
        const ends = this.#ends(parts.agent.certificate, named, to);
        return this.#sent(ends.from, ends.to, frames);
      },
      ovs: () => this.#ovs,
    });
  }

  async flows(): Promise<Flows> {
    const { agent, switches, request } = this.#parts;
    const demand = list(fields(await request('demand', {}, TINCAN_MS).catch(() => ({}))).labels).map(fields);
    const byLabel = new Map(demand.map((one) => [one.label, one]));
    const pairs = agent.members.flatMap((member) => {
      const one = byLabel.get(labelHex(member.label));
      if (one === undefined) return [];
      const path = agent.status(member.nodeId)?.path ?? 'none';
      return [
        {
          id: member.nodeId,
          name: member.name,
          bytes: number(one.bytes) ?? 0,
          viaBytes: number(one.viaBytes) ?? 0,
          path: path === 'none' && agent.routed(member) ? ('via' as const) : path,
        },
      ];
    });
    const tables = await Promise.all(switches.map(flowsOf));
    return { switches: tables, pairs: pairs.toSorted((a, b) => b.bytes - a.bytes) };
  }

  /** Throws ApiError. */
  async trace(named: {
    readonly from: string | undefined;
    readonly to: string;
    readonly frames: number | undefined;
  }): Promise<TraceResult> {
    const frames = Math.min(Math.max(Math.round(named.frames ?? FRAMES.usual), FRAMES.least), FRAMES.most);
    const { certificate } = this.#parts.agent;
    const begin =
      named.from === undefined ? certificate : this.#orNotFound(() => beginOf(this.#nodes, named.from ?? ''));
    const { from, to } = this.#ends(begin, named.from, named.to);
    return begin === certificate ? this.#here(from, to, frames) : this.#begunBy(begin, from, to, frames);
  }

  get #nodes(): readonly Certificate[] {
    const { certificate, members } = this.#parts.agent;
    return [certificate, ...members];
  }

  async #here(from: End, to: End, frames: number): Promise<TraceResult> {
    const { trace, bytes, outcome, lookups } = await this.#sent(from, to, frames);
    return this.#result({ trace, from, to, frameBytes: bytes, outcome, lookups, ovs: this.#ovs });
  }

  get #ovs(): boolean {
    return this.#parts.agent.edge !== undefined;
  }

  #result(parts: Omit<ResultParts, 'nameOf'>): TraceResult {
    return resultOf({ ...parts, nameOf: (id) => this.#nameOf(id) });
  }

  async #sent(from: End, to: End, frames: number): Promise<Sent> {
    if (this.#begun >= BEGUN_MAX)
      throw new ApiError('busy', `${BEGUN_MAX} traces run on this node already; try again in some seconds`);
    this.#begun++;
    try {
      return await this.#traced(from, to, frames);
    } finally {
      this.#begun--;
    }
  }

  async #traced(from: End, to: End, frames: number): Promise<Sent> {
    // The length tells the frames of one trace from all else between two nodes, where only sealed records are seen.
    const [trace, bytes] = [randomBytes(8).toString('hex'), randomInt(FRAME_MIN_BYTES + 50, FRAME_MAX_BYTES)];
    const echo = { fromMac: from.mac, toMac: to.mac, from: from.address, to: to.address };
    const edge = await TraceEdge.open(this.#parts.switches, echo);
    try {
      const send = (sequence: number): string | undefined => {
        edge.send(probeFrame({ trace, sequence, ...echo, bytes }));
        return edge.refused;
      };
      const behind = to.pod ? to.address : undefined;
      const outcome = await this.#run({ trace, destination: to.id, frames, bytes, behind, send });
      const lookups = await edge.lookups();
      return { trace, bytes, outcome: { ...outcome, unsendable: outcome.unsendable ?? edge.refused }, lookups };
    } finally {
      edge.close();
    }
  }

  #ends(begin: Certificate, from: string | undefined, to: string): { readonly from: End; readonly to: End } {
    const others = this.#nodes.filter(({ nodeId }) => nodeId !== begin.nodeId);
    return this.#orNotFound(() => endsOf(begin, others, from, to));
  }

  #orNotFound<T>(find: () => T): T {
    try {
      return find();
    } catch (error) {
      if (error instanceof EndError) throw new ApiError('not-found', error.message);
      throw error;
    }
  }

  /** The agent of the node where it is to begin is asked. */
  async #begunBy(begin: Certificate, from: End, to: End, frames: number): Promise<TraceResult> {
    const answer = await this.#elsewhere.ask(begin.nodeId, { from: from.address, to: to.address, frames });
    if (answer.kind !== 'over')
      throw new ApiError(answer.kind === 'silent' ? 'timeout' : 'refused', whyNot(begin.name, to, answer));
    const { trace, outcome, bytes, ovs } = answer;
    return this.#result({ trace, from, to, frameBytes: bytes, outcome, lookups: [], ovs });
  }

  #run({ trace, destination, frames, bytes, behind, send }: Run): Promise<Outcome> {
    const { self } = this.#parts.agent;
    const act = (action: TraceAction, done: (outcome: Outcome) => void, give: (event: TraceEvent) => void): void => {
      switch (action.kind) {
        case 'ask-next': {
          const { station, cameBy } = action;
          if (station === self)
            void this.#watch(trace, self, destination, bytes, undefined).then((answer) =>
              give({ kind: 'next', station, answer }),
            );
          else
            this.#send(station, {
              type: 'trace-watch',
              trace,
              destination,
              bytes,
              ...(cameBy && { cameBy }),
              ...(station === destination && behind && { behind }),
            });
          return;
        }
        case 'ask-told': {
          const { station } = action;
          if (station === self)
            void this.#read(trace, null, undefined).then((answer) => give({ kind: 'told', station, answer }));
          else this.#send(station, { type: 'trace-read', trace });
          return;
        }
        case 'send': {
          const reason = send(action.sequence);
          if (reason !== undefined) give({ kind: 'unsendable', reason });
          return;
        }
        case 'done':
          done(action.outcome);
          return;
      }
    };
    return drive<TraceEvent, TraceAction, Outcome>(new Trace({ self, destination, frames }), act, {
      start: (give) => this.#running.set(trace, { give }),
      end: () => this.#running.delete(trace),
    });
  }

  /** A message of another node: an answer to a trace of ours, or a question of its own. */
  message(from: NodeId, body: TraceTalk): void {
    const running = this.#running.get(body.trace);
    switch (body.type) {
      case 'trace-next':
        running?.give({ kind: 'next', station: from, answer: { next: body.next } });
        return;
      case 'trace-told':
        running?.give({ kind: 'told', station: from, answer: body });
        return;
      case 'trace-begun':
      case 'trace-station':
      case 'trace-ended':
        this.#elsewhere.said(from, body);
        return;
      case 'trace-refused': {
        this.#elsewhere.said(from, body);
        // Only who was asked to begin one says so.
        if (body.reason === 'unknown') return;
        const answer = { refused: body.reason };
        running?.give({ kind: 'next', station: from, answer });
        running?.give({ kind: 'told', station: from, answer });
        return;
      }
      case 'trace-watch':
      case 'trace-read':
        if (this.#watchman.hears(from, performance.now())) void this.#answer(from, body);
        return;
      case 'trace-begin':
        if (this.#watchman.hears(from, performance.now())) void this.#elsewhere.host(from, body);
        return;
    }
  }

  async #answer(from: NodeId, body: TraceTalk & { type: 'trace-watch' | 'trace-read' }): Promise<void> {
    const { trace } = body;
    const refuse = (reason: Refusal) => this.#send(from, { type: 'trace-refused', trace, reason });
    if (body.type === 'trace-watch') {
      const behind = this.#own(body.behind);
      if (!this.#watchman.takes(from, trace, kernelCounts(behind), performance.now(), behind)) return refuse('busy');
      const answer = await this.#watch(trace, from, body.destination, body.bytes, body.cameBy);
      if ('refused' in answer) return refuse(answer.refused);
      return this.#send(from, { type: 'trace-next', trace, next: answer.next });
    }
    // Of a trace that is over, or somebody else's, nothing is said.
    const since = this.#watchman.since(from, trace);
    if (since === undefined) return;
    const answer = await this.#read(trace, since.kernel, since.behind);
    if ('refused' in answer) return refuse(answer.refused);
    this.#send(from, { type: 'trace-told', trace, ...answer });
  }

  /** Of links to other addresses nothing is told. */
  #own(address: string | undefined): string | undefined {
    const { routes } = this.#parts.agent.certificate;
    return address !== undefined && routes.some((route) => contains(route, address)) ? address : undefined;
  }

  async #watch(
    trace: string,
    source: NodeId,
    destination: NodeId,
    bytes: number,
    cameBy: NodeId | undefined,
  ): Promise<NextAnswer> {
    const params = {
      trace,
      source: labelHex(labelOf(source)),
      destination: labelHex(labelOf(destination)),
      frameBytes: bytes,
      forMs: WATCH_MS,
      ...(cameBy && { cameBy }),
    };
    return this.#ask('trace-watch', params, (result) => ({ next: this.#relayed(readTraceNext(result)) }));
  }

  #read(trace: string, before: KernelCounts | null, behind: string | undefined): Promise<ToldAnswer> {
    return this.#ask('trace-read', { trace }, (result) => {
      const told = readTraceTold(result);
      const counted = (one: typeof told.there) => ({
        counts: one.counts,
        cameBy: this.#relayed(one.cameBy),
        leftBy: this.#relayed(one.leftBy),
      });
      const kernel = kernelSince(before, before === null ? null : kernelCounts(behind));
      return { there: counted(told.there), back: counted(told.back), kernel };
    });
  }

  async #ask<T>(
    method: string,
    params: object,
    read: (result: unknown) => T,
  ): Promise<T | { readonly refused: Refusal }> {
    try {
      return read(await this.#parts.request(method, params, TINCAN_MS));
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      return { refused: error.code === 'bad-request' ? 'old' : 'away' };
    }
  }

  /** What no answer comes of tells by that: the machine asks again. */
  #send(to: NodeId, body: Body): void {
    this.#parts.request('send', { to, body }, TINCAN_MS).catch(() => undefined);
  }

  #relayed(hop: Omit<Hop, 'relayed'> | null): Hop | null {
    if (hop === null) return null;
    const pair = hop.path === 'webrtc' ? this.#parts.selected(hop.peer) : null;
    return { ...hop, relayed: pair?.local.type === 'relay' || pair?.remote.type === 'relay' };
  }

  #nameOf(id: NodeId): string {
    const { certificate } = this.#parts.agent;
    return id === certificate.nodeId ? certificate.name : (findMember(this.#parts.agent, id)?.name ?? id);
  }
}
