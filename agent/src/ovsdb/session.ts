/**
 * The session with ovsdb-server (RFC 7047): connect, look at the schema, have every row that concerns us told (`monitor_cond`, or
 * `monitor` of the RFC where the server knows no other), and keep a replica of them; transactions and their replies; echo both ways;
 * and again from the start after a connection is lost.
 */
import type { Instant, Machine, Random } from '../machine.ts';
import { type Patience, Reconnect, type ReconnectAction, type ReconnectEvent } from '../signal/reconnect.ts';
import { DecodeError } from '../wire/reader.ts';
import { isList, isRecord, type Json, type RpcMessage, RpcSplitter } from './json-rpc.ts';
import { Replica } from './replica.ts';
import { columnsOf, DATABASE, schemaProblem, tableNames } from './schema.ts';

/** The server runs on this machine: it is back within a second or two of a restart, and asking costs nothing. */
export const NEAR: Patience = { backoffMinMs: 100, backoffMaxMs: 2_000, pingIdleMs: 5_000, pingTimeoutMs: 5_000 };

export type SessionEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'closed'; readonly reason: string }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** Operations of RFC 7047 §5.2; `tag` comes back with the outcome. */
  | { readonly kind: 'transact'; readonly operations: readonly Json[]; readonly tag: string }
  | { readonly kind: 'stop' }
  | { readonly kind: 'deadline' };

export type SessionAction =
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly text: string }
  | { readonly kind: 'close' }
  /** The replica is whole: it is kept so from now on. */
  | { readonly kind: 'up' }
  | { readonly kind: 'changed' }
  /** There is no connection, or none that is of use (`lasting`), for this reason. Told after each attempt. */
  | { readonly kind: 'down'; readonly reason: string; readonly lasting: boolean }
  /** `error` is undefined when the transaction was committed. */
  | { readonly kind: 'outcome'; readonly tag: string; readonly error: string | undefined };

type Pending =
  | { readonly what: 'get_schema' | 'monitor_cond' | 'monitor' | 'echo' }
  | { readonly what: 'transact'; readonly tag: string };

export class Session implements Machine<SessionEvent, SessionAction> {
  readonly replica = new Replica();
  readonly #reconnect: Reconnect;
  #splitter = new RpcSplitter();
  readonly #pending = new Map<number, Pending>();
  /** Ascends over all connections: a reply to an earlier one is nobody's. */
  #id = 0;
  #up = false;

  constructor(random: Random) {
    this.#reconnect = new Reconnect(random, NEAR);
  }

  get up(): boolean {
    return this.#up;
  }

  deadline(): Instant | undefined {
    return this.#reconnect.deadline();
  }

  handle(event: SessionEvent, now: Instant): readonly SessionAction[] {
    switch (event.kind) {
      case 'start':
        return this.#step(event, now);
      case 'stop':
        return [...this.#step(event, now), ...this.#down('stopped'), { kind: 'close' }];
      case 'deadline':
        return this.#step(event, now);
      case 'connected':
        return this.#reconnect.state === 'connecting' ? [this.#call({ what: 'get_schema' }, [DATABASE])] : [];
      case 'closed':
        if (this.#reconnect.state === 'connecting' || this.#reconnect.state === 'online')
          return [...this.#step({ kind: 'closed' }, now), ...this.#down(event.reason)];
        return [];
      case 'transact': {
        if (!this.#up) return [{ kind: 'outcome', tag: event.tag, error: 'ovsdb-server is away' }];
        this.#reconnect.handle({ kind: 'sent' }, now);
        return [this.#call({ what: 'transact', tag: event.tag }, [DATABASE, ...event.operations])];
      }
      case 'bytes':
        return this.#bytes(event.bytes, now);
    }
  }

  #step(event: ReconnectEvent, now: Instant): readonly SessionAction[] {
    return this.#reconnect.handle(event, now).flatMap((action) => this.#carryOut(action));
  }

  #carryOut(action: ReconnectAction): readonly SessionAction[] {
    switch (action.kind) {
      case 'connect':
        this.#splitter = new RpcSplitter();
        return [{ kind: 'connect' }];
      case 'ping':
        return [this.#call({ what: 'echo' }, [])];
      case 'abort':
        return [...this.#down(action.reason), { kind: 'close' }];
    }
  }

  #down(reason: string, lasting = false): readonly SessionAction[] {
    this.#up = false;
    const lost = [...this.#pending.values()].flatMap((pending) =>
      pending.what === 'transact'
        ? [{ kind: 'outcome', tag: pending.tag, error: 'ovsdb-server is away' } as const]
        : [],
    );
    this.#pending.clear();
    return [...lost, { kind: 'down', reason, lasting }];
  }

  /** What goes on there cannot be followed: begin anew. `lasting` as in Reconnect. */
  #giveUp(reason: string, lasting: boolean, now: Instant): readonly SessionAction[] {
    const event = this.#up ? ({ kind: 'closed' } as const) : ({ kind: 'failed', lasting } as const);
    return [...this.#step(event, now), ...this.#down(reason, lasting), { kind: 'close' }];
  }

  #bytes(bytes: Buffer, now: Instant): readonly SessionAction[] {
    if (this.#reconnect.state !== 'connecting' && this.#reconnect.state !== 'online') return [];
    this.#reconnect.handle({ kind: 'received' }, now);
    const { messages, error } = this.#splitter.push(bytes);
    const actions: SessionAction[] = [];
    for (const message of messages) {
      actions.push(...this.#guarded(message, now));
      if (actions.at(-1)?.kind === 'close') return actions;
    }
    if (error !== undefined) actions.push(...this.#giveUp(`it cannot be understood: ${error}`, true, now));
    return actions;
  }

  #guarded(message: RpcMessage, now: Instant): readonly SessionAction[] {
    try {
      return this.#message(message, now);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return this.#giveUp(`it cannot be understood: ${error.message}`, true, now);
    }
  }

  #message(message: RpcMessage, now: Instant): readonly SessionAction[] {
    switch (message.kind) {
      case 'request':
        return [send(answerTo(message))];
      case 'notification': {
        // Before the monitor's reply nothing can be made of a change.
        if (!this.#up) return [];
        const updates = message.params[1] ?? null;
        if (message.method === 'update') this.replica.update(updates);
        else if (message.method === 'update2') this.replica.update2(updates);
        else return [];
        return [{ kind: 'changed' }];
      }
      case 'reply':
        return this.#reply(message, now);
    }
  }

  #reply({ id, result, error }: RpcMessage & { kind: 'reply' }, now: Instant): readonly SessionAction[] {
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    if (pending === undefined) return [];
    this.#pending.delete(Number(id));
    switch (pending.what) {
      case 'echo':
        return [];
      case 'transact':
        return [{ kind: 'outcome', tag: pending.tag, error: error === null ? failure(result) : errorText(error) }];
      case 'get_schema': {
        const problem = error === null ? schemaProblem(result) : `get_schema: ${errorText(error)}`;
        if (problem !== undefined) return this.#giveUp(problem, true, now);
        return [
          this.#call(
            { what: 'monitor_cond' },
            monitorParams((request) => [request]),
          ),
        ];
      }
      case 'monitor_cond':
        // RFC 7047 §4.1: "unknown method" is how a server of the RFC alone answers.
        if (error !== null)
          return [
            this.#call(
              { what: 'monitor' },
              monitorParams((request) => request),
            ),
          ];
        this.replica.clear();
        this.replica.update2(result);
        return this.#online(now);
      case 'monitor':
        if (error !== null) return this.#giveUp(`monitor: ${errorText(error)}`, true, now);
        this.replica.clear();
        this.replica.update(result);
        return this.#online(now);
    }
  }

  #online(now: Instant): readonly SessionAction[] {
    this.#up = true;
    return [...this.#step({ kind: 'online' }, now), { kind: 'up' }];
  }

  #call(pending: Pending, params: readonly Json[]): SessionAction {
    const id = ++this.#id;
    this.#pending.set(id, pending);
    return send({ id, method: pending.what, params });
  }
}

/** RFC 7047 §4.1.11; a server asks nothing else of its clients. */
function answerTo({ method, params, id }: RpcMessage & { kind: 'request' }): Json {
  if (method === 'echo') return { id, result: params, error: null };
  return { id, result: null, error: 'unknown method' };
}

function monitorParams(form: (request: Json) => Json): readonly Json[] {
  const requests = tableNames().map((table) => [table, form({ columns: Object.keys(columnsOf(table)) })] as const);
  return [DATABASE, 'evio', Object.fromEntries(requests)];
}

/** What failed of a transaction's results (RFC 7047 §4.1.3: an error stands at its operation, or behind all of them). */
function failure(result: Json): string | undefined {
  if (!isList(result)) return 'a reply without results';
  for (const one of result) if (isRecord(one) && one.error !== undefined && one.error !== null) return errorText(one);
  return undefined;
}

function errorText(error: Json): string {
  if (!isRecord(error)) return typeof error === 'string' ? error : JSON.stringify(error);
  // ovsdb-server adds the system's words under a name of its own.
  const { error: name, details } = error;
  return (
    [name, details, error['io-error']].filter((part) => typeof part === 'string').join(': ') || JSON.stringify(error)
  );
}

function send(message: Json): SessionAction {
  return { kind: 'send', text: JSON.stringify(message) };
}
