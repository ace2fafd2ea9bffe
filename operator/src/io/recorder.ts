/** Writes Kubernetes Events, one after the other and never in anybody's way. */
import { randomUUID } from 'node:crypto';
import type { Client } from '../../../agent/src/kube-api/client.ts';
import { isNotFound } from '../../../agent/src/kube-api/client.ts';
import { EVENT, type Event } from '../../../agent/src/kube-api/kinds.ts';
import { type Applied, apiVersionOf, type Kind, type KubeObject } from '../../../agent/src/kube-api/object.ts';
import type { Note, Recorder } from '../events/recorder.ts';
import { EventSeries } from '../events/series.ts';

export interface RecorderOptions {
  readonly client: Client;
  /** `evio.io/operator`: a domain and a name. */
  readonly controller: string;
  /** Of this process. */
  readonly instance: string;
  /** For metrics. */
  readonly observe?: (outcome: 'written' | 'failed' | 'dropped') => void;
}

const WAITING_MAX = 100;
/** The API takes a note of at most 1 kB, and instances of at most 128 bytes. */
const NOTE_MAX_BYTES = 1024;

export class EventWriter implements Recorder {
  readonly #options: RecorderOptions;
  readonly #series = new EventSeries();
  readonly #waiting: (() => Promise<unknown>)[] = [];
  #writing = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  event<T extends KubeObject>(kind: Kind<T>, regarding: T, note: Note): void {
    const { name, namespace = 'default', uid } = regarding.metadata;
    const id = `${namespace}/${name.slice(0, 200)}.${randomUUID().slice(0, 13)}`;
    const dropped = this.#series.dropped;
    const action = this.#series.note({ ...note, uid }, id, performance.now());
    if (this.#series.dropped > dropped) this.#options.observe?.('dropped');
    if (action.kind === 'create') this.#later(() => this.#create(action.id, kind, regarding, note));
    else if (action.kind === 'count') this.#later(() => this.#count(action.id, action.count));
  }

  #create(id: string, kind: Kind, regarding: KubeObject, note: Note): Promise<unknown> {
    const { name, namespace, uid, resourceVersion } = regarding.metadata;
    const [eventNamespace = 'default', eventName = ''] = id.split('/');
    const event: Applied<Event> = {
      metadata: { name: eventName, namespace: eventNamespace },
      eventTime: microTime(),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance.slice(0, 128),
      type: note.type,
      reason: note.reason,
      action: note.action,
      note: cut(note.note),
      regarding: {
        apiVersion: apiVersionOf(kind),
        kind: kind.kind,
        name,
        uid,
        resourceVersion,
        ...(namespace !== undefined && { namespace }),
      },
    };
    return this.#options.client.create(EVENT, event);
  }

  #count(id: string, count: number): Promise<unknown> {
    const value = { count, lastObservedTime: microTime() };
    return this.#options.client.patch(EVENT, id, [{ op: 'add', path: '/series', value }]).catch((error: unknown) => {
      // Its hour was over: it is made anew when it is meant the next time after the series.
      if (!isNotFound(error)) throw error;
    });
  }

  #later(write: () => Promise<unknown>): void {
    if (this.#waiting.length >= WAITING_MAX) {
      this.#options.observe?.('dropped');
      return;
    }
    this.#waiting.push(write);
    if (!this.#writing) void this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await next();
        this.#options.observe?.('written');
      } catch {
        this.#options.observe?.('failed');
      }
    }
    this.#writing = false;
  }
}

const microTime = (): string => new Date().toISOString().replace('Z', '000Z');

function cut(note: string): string {
  const bytes = Buffer.from(note);
  return bytes.length <= NOTE_MAX_BYTES
    ? note
    : `${bytes
        .subarray(0, NOTE_MAX_BYTES - 6)
        .toString('utf8')
        .replace(/\uFFFD$/, '')}...`;
}
