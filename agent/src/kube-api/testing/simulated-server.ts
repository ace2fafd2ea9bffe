/**
 * As much of an API server as a list and a watch can tell apart, in simulated time: revisions, history, compaction, pages, bookmarks,
 * and what etcd and the network do to them. As the real one it says nothing on a watch from a revision it has not reached.
 */

import type { Clock } from '../../../../test/sim/clock.ts';
import type { Random } from '../../machine.ts';
import type { Failure, ReflectorAction, ReflectorEvent } from '../reflector.ts';

interface Stored {
  readonly name: string;
  readonly uid: string;
  readonly revision: number;
  readonly value: number;
}
interface Past {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: Stored;
}
interface Stream {
  readonly id: number;
  readonly from: number;
  silent: boolean;
  /** The next event is not sent: a line that was cut swallowed it. */
  lossy: boolean;
  over: boolean;
  cancel: (() => void)[];
  lastAt: number;
}
type Mood = 'well' | 'silent' | 'refuses' | '429' | '500' | 'html';

const LATENCY_MS = 40;
const BOOKMARK_MS = 60_000;

export class SimulatedServer {
  mood: Mood = 'well';
  requests = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #tell: (event: ReflectorEvent) => void;
  #objects = new Map<string, Stored>();
  #revision = 10;
  #compacted = 0;
  #past: Past[] = [];
  #backup: { readonly objects: Map<string, Stored>; readonly revision: number } = { objects: new Map(), revision: 1 };
  #streams: Stream[] = [];
  /** Pages of a list that was begun: continue tokens. */
  #lists = new Map<string, { readonly items: readonly Stored[]; readonly revision: number }>();
  #values = 0;

  constructor(clock: Clock, random: Random, tell: (event: ReflectorEvent) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#tell = tell;
  }

  /** What a client has to know in the end: name to uid, revision and value. */
  state(): Record<string, string> {
    return Object.fromEntries([...this.#objects].map(([name, object]) => [name, JSON.stringify(bodyOf(object))]));
  }

  put(name: string): void {
    const known = this.#objects.get(name);
    const revision = ++this.#revision;
    const value = ++this.#values;
    const object: Stored = { name, uid: known?.uid ?? `uid-${value}`, revision, value };
    this.#objects.set(name, object);
    this.#happened({ revision, type: known === undefined ? 'ADDED' : 'MODIFIED', object });
  }

  remove(name: string): void {
    const known = this.#objects.get(name);
    if (known === undefined) return;
    this.#objects.delete(name);
    const revision = ++this.#revision;
    this.#happened({ revision, type: 'DELETED', object: { ...known, revision } });
  }

  compact(): void {
    this.#compacted = this.#revision;
    this.#past = [];
    this.#lists.clear();
  }

  backup(): void {
    this.#backup = { objects: new Map(this.#objects), revision: this.#revision };
  }

  /** Ends the streams by a reset, or in order. */
  cut(how: 'reset' | 'close'): void {
    for (const stream of this.#take()) this.#end(stream, how === 'reset' ? UNREACHABLE : undefined);
  }

  /** Nothing comes any more, and nobody says so. */
  halfOpen(): void {
    for (const stream of this.#streams) stream.silent = true;
  }

  /** Lines that are none of an API server; the event after them is lost. */
  say(line: string): void {
    for (const stream of this.#streams) {
      this.#line(stream, line);
      stream.lossy = true;
    }
  }

  /** The process ends, its streams with it; `lost` takes etcd back to the last backup, or to nothing. */
  restart(how: 'reset' | 'close', lost: 'nothing' | 'to backup' | 'everything'): void {
    this.cut(how);
    this.#lists.clear();
    if (lost === 'nothing') return;
    const { objects, revision } =
      lost === 'to backup' ? this.#backup : { objects: new Map<string, Stored>(), revision: 1 };
    this.#objects = new Map(objects);
    this.#revision = revision;
    this.#backup = { objects: new Map(objects), revision };
    this.compact();
  }

  do(action: ReflectorAction<never>): void {
    if (action.kind === 'abort') {
      // What is on its way is not called back.
      this.#streams = this.#streams.filter((stream) => stream.id !== action.id);
    }
    if (action.kind !== 'list' && action.kind !== 'watch') return;
    this.requests++;
    this.#clock.after(this.#latency(), () => {
      const failure = this.#refusal();
      if (this.mood === 'silent') return;
      if (failure !== undefined) this.#tell({ kind: 'ended', id: action.id, failure });
      else if (this.mood === 'html') this.#tell(html(action));
      else if (action.kind === 'list') this.#list(action);
      else this.#watch(action);
    });
  }

  #refusal(): Failure | undefined {
    if (this.mood === 'refuses') return UNREACHABLE;
    if (this.mood === '429')
      return { status: 429, reason: 'TooManyRequests', message: 'too many', retryAfterMs: 7_000 };
    return this.mood === '500' ? { status: 500, reason: 'InternalError', message: 'etcd is away' } : undefined;
  }

  #list({ id, limit, continue: token }: ReflectorAction<never> & { kind: 'list' }): void {
    const begun =
      token === undefined ? { items: [...this.#objects.values()], revision: this.#revision } : this.#lists.get(token);
    if (begun === undefined) {
      this.#tell({ kind: 'ended', id, failure: { status: 410, reason: 'Expired', message: 'the token is too old' } });
      return;
    }
    // Small pages, so that few objects already make several.
    const size = limit === undefined ? begun.items.length : 3;
    const rest = begun.items.slice(size);
    const next = `token-${id}`;
    if (rest.length > 0) this.#lists.set(next, { items: rest, revision: begun.revision });
    const metadata = { resourceVersion: String(begun.revision), ...(rest.length > 0 && { continue: next }) };
    this.#tell({ kind: 'page', id, text: JSON.stringify({ metadata, items: begun.items.slice(0, size).map(bodyOf) }) });
  }

  #watch({ id, resourceVersion, timeoutSeconds }: ReflectorAction<never> & { kind: 'watch' }): void {
    const from = Number(resourceVersion);
    const stream: Stream = { id, from, silent: false, lossy: false, over: false, cancel: [], lastAt: this.#clock.now };
    this.#tell({ kind: 'opened', id });
    if (from < this.#compacted) {
      this.#line(stream, JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }));
      return;
    }
    this.#streams.push(stream);
    for (const past of this.#past) this.#send(stream, past);
    stream.cancel.push(
      this.#clock.every(BOOKMARK_MS, () => {
        const metadata = { resourceVersion: String(this.#revision) };
        if (this.#revision >= from) this.#line(stream, JSON.stringify({ type: 'BOOKMARK', object: { metadata } }));
      }),
      this.#clock.after(timeoutSeconds * 1000, () => {
        this.#streams = this.#streams.filter((other) => other !== stream);
        this.#end(stream, undefined);
      }),
    );
  }

  #happened(past: Past): void {
    this.#past.push(past);
    for (const stream of this.#streams) this.#send(stream, past);
  }

  #send(stream: Stream, { revision, type, object }: Past): void {
    if (revision <= stream.from) return;
    if (stream.lossy) stream.lossy = false;
    else this.#line(stream, JSON.stringify({ type, object: bodyOf(object) }));
  }

  /** In order, after some time; half-open streams lose it. */
  #line(stream: Stream, line: string): void {
    if (stream.silent) return;
    stream.lastAt = Math.max(stream.lastAt, this.#clock.now + this.#latency());
    this.#clock.after(stream.lastAt - this.#clock.now, () => {
      if (!stream.over) this.#tell({ kind: 'line', id: stream.id, line });
    });
  }

  /** Of what is on its way nothing arrives when it is a reset. */
  #end(stream: Stream, failure: Failure | undefined): void {
    if (stream.silent) return;
    const delay = failure === undefined ? Math.max(0, stream.lastAt - this.#clock.now) : 0;
    this.#clock.after(delay, () => {
      this.#forget(stream);
      this.#tell({ kind: 'ended', id: stream.id, ...(failure !== undefined && { failure }) });
    });
  }

  #take(): readonly Stream[] {
    const streams = this.#streams;
    this.#streams = [];
    return streams;
  }

  #forget(stream: Stream): void {
    stream.over = true;
    for (const cancel of stream.cancel) cancel();
  }

  #latency(): number {
    return 1 + this.#random() * LATENCY_MS;
  }
}

const UNREACHABLE: Failure = { status: 0, reason: 'Unreachable', message: 'the connection was cut' };

function html(action: ReflectorAction<never> & { kind: 'list' | 'watch' }): ReflectorEvent {
  const text = '<html>please log in</html>';
  return action.kind === 'list' ? { kind: 'page', id: action.id, text } : { kind: 'line', id: action.id, line: text };
}

function bodyOf({ name, uid, revision, value }: Stored) {
  return { metadata: { name, uid, resourceVersion: String(revision) }, spec: { value } };
}
