/** A cache of one kind kept by a list and a watch: carries out what `kube-api/reflector.ts` decides. */

import type { Cache, CacheOptions } from '../kube-api/cache.ts';
import { broken, refusal } from '../kube-api/failure.ts';
import { type Key, type Kind, type KubeObject, resourceOf } from '../kube-api/object.ts';
import {
  type Failure,
  OPEN_TIMEOUT_MS,
  PAGE_TIMEOUT_MS,
  type Patience,
  Reflector,
  type ReflectorAction,
  type ReflectorEvent,
} from '../kube-api/reflector.ts';
import { pathOf, type Target } from '../kube-api/request.ts';
import { Alarm } from './alarm.ts';
import { type Connection, NoAnswer } from './kube-connection.ts';
import type { Log } from './log.ts';

export interface InformerOptions<T extends KubeObject> extends CacheOptions<T> {
  readonly kind: Kind<T>;
  readonly connection: Connection;
  readonly log: Log;
  readonly patience?: Partial<Patience>;
}

type Changed<T> = (after: T | undefined, before: T | undefined) => void;

export class Informer<T extends KubeObject> implements Cache<T> {
  readonly kind: Kind<T>;
  readonly #options: InformerOptions<T>;
  readonly #machine: Reflector<T>;
  readonly #alarm = new Alarm(
    () => performance.now(),
    () => this.#handle({ kind: 'deadline' }),
  );
  readonly #subscribers: Changed<T>[] = [];
  readonly #ends = new Map<number, () => void>();
  #whenSynced = Promise.withResolvers<void>();
  #relists = 0;

  constructor(options: InformerOptions<T>) {
    this.kind = options.kind;
    this.#options = options;
    const { kind, keep, patience } = options;
    this.#machine = new Reflector<T>({ kind, keep, patience, name: resourceOf(kind), random: Math.random });
  }

  /** For metrics: `nodes`, `secrets evio-system`. */
  get name(): string {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    const parts = [resourceOf(this.kind), namespace, labelSelector, fieldSelector];
    return parts.filter((part) => part !== undefined).join(' ');
  }

  get synced(): boolean {
    return this.#machine.synced;
  }

  get size(): number {
    return this.#machine.store.size;
  }

  /** How often all was listed; more than one for each half hour means trouble. */
  get lists(): number {
    return this.#relists;
  }

  /** Milliseconds since anything came from the server; undefined before the first word. On a sound watch at most about a minute. */
  get lastEventAge(): number | undefined {
    const at = this.#machine.heardAt;
    return at === undefined ? undefined : performance.now() - at;
  }

  get(key: Key): T | undefined {
    return this.#machine.store.get(key);
  }

  list(): readonly T[] {
    return this.#machine.store.list();
  }

  /** What `changed` throws is logged and hinders nobody else. */
  subscribe(changed: Changed<T>): void {
    this.#subscribers.push(changed);
  }

  start(): void {
    this.#handle({ kind: 'start' });
  }

  stop(): void {
    this.#handle({ kind: 'stop' });
    this.#alarm.clear();
  }

  whenSynced(): Promise<void> {
    return this.#whenSynced.promise;
  }

  #handle(event: ReflectorEvent): void {
    const actions = this.#machine.handle(event, performance.now());
    for (const action of actions) this.#do(action);
    this.#alarm.set(this.#machine.deadline());
  }

  #do(action: ReflectorAction<T>): void {
    switch (action.kind) {
      case 'list':
        if (action.continue === undefined) this.#relists++;
        this.#list(action);
        break;
      case 'watch':
        this.#watch(action);
        break;
      case 'abort':
        this.#ends.get(action.id)?.();
        this.#ends.delete(action.id);
        break;
      case 'changed':
        this.#tell(action.change.after, action.change.before);
        break;
      case 'synced':
        this.#whenSynced.resolve();
        break;
      case 'report':
        this.#options.log[action.trouble ? 'warn' : 'info'](action.line);
        break;
    }
  }

  #tell(after: T | undefined, before: T | undefined): void {
    for (const changed of this.#subscribers) {
      try {
        changed(after, before);
      } catch (error) {
        const { name } = ((after ?? before) as T).metadata;
        this.#options.log.error(`a change of ${resourceOf(this.kind)} ${name} could not be handled: ${String(error)}`);
      }
    }
  }

  #list(action: ReflectorAction<T> & { kind: 'list' }): void {
    const { id, limit } = action;
    const target = this.#target('list');
    const path = pathOf(target, { ...this.#selectors(), limit, continue: action.continue });
    const aborted = new AbortController();
    this.#ends.set(id, () => aborted.abort());
    this.#options.connection
      .request({ method: 'GET', path, timeoutMs: PAGE_TIMEOUT_MS, signal: aborted.signal })
      .then(
        (answer): ReflectorEvent =>
          answer.status === 200
            ? { kind: 'page', id, text: answer.text }
            : { kind: 'ended', id, failure: refusal(target, answer) },
        (error: unknown): ReflectorEvent => ({ kind: 'ended', id, failure: failureOf(target, error) }),
      )
      .then((event) => {
        this.#ends.delete(id);
        this.#handle(event);
      })
      .catch((error: unknown) => this.#options.log.error(`${target.kind.plural}: ${String(error)}`));
  }

  #watch({ id, resourceVersion, timeoutSeconds }: ReflectorAction<T> & { kind: 'watch' }): void {
    const target = this.#target('watch');
    const path = pathOf(target, {
      ...this.#selectors(),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
    });
    const end = this.#options.connection.stream(path, OPEN_TIMEOUT_MS, {
      opened: () => this.#handle({ kind: 'opened', id }),
      line: (line) => this.#handle({ kind: 'line', id, line }),
      ended: (problem) => {
        this.#ends.delete(id);
        this.#handle(
          problem === undefined ? { kind: 'ended', id } : { kind: 'ended', id, failure: failureOf(target, problem) },
        );
      },
    });
    this.#ends.set(id, end);
  }

  #target(verb: 'list' | 'watch'): Target {
    return { verb, kind: this.kind, key: '', namespace: this.#options.namespace };
  }

  #selectors(): { readonly labelSelector?: string | undefined; readonly fieldSelector?: string | undefined } {
    const { labelSelector, fieldSelector } = this.#options;
    return { labelSelector, fieldSelector };
  }
}

function failureOf(target: Target, problem: unknown): Failure {
  if (problem instanceof NoAnswer) return broken(target, problem.reason, problem.message);
  if (problem instanceof Error) return broken(target, 'Unreachable', problem.message);
  return refusal(target, problem as Parameters<typeof refusal>[1]);
}
