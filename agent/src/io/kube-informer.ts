/** A cache of one kind kept by a list and a watch: carries out what `kube-api/reflector.ts` decides. */

import type { Cache, CacheOptions } from '../kube-api/cache.ts';
import { broken, refusal } from '../kube-api/failure.ts';
import { type Key, type Kind, type KubeObject, resourceOf, splitKey } from '../kube-api/object.ts';
import {
  type Failure,
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
  /** Called once after all that one word of the server has changed, the first time when all is known: also when there is nothing. */
  readonly updated?: () => void;
  /** A trouble that stays, or without `failure` its end; a line in the log by default. */
  readonly trouble?: (failure: Failure | undefined) => void;
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
    this.#machine = new Reflector<T>({ kind, keep, patience, random: Math.random });
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
    const news = this.synced && actions.some(({ kind }) => kind === 'changed' || kind === 'synced');
    const { updated } = this.#options;
    if (news && updated !== undefined) this.#guarded(resourceOf(this.kind), updated);
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
      case 'trouble':
        this.#trouble(action.failure);
        break;
    }
  }

  #trouble(failure: Failure | undefined): void {
    const { log, trouble } = this.#options;
    const name = resourceOf(this.kind);
    if (trouble !== undefined) trouble(failure);
    else if (failure === undefined) log.info(`${name}: watched again`);
    else log.warn(`${name}: ${failure.message}; trying until it works`);
  }

  #tell(after: T | undefined, before: T | undefined): void {
    const { name } = ((after ?? before) as T).metadata;
    for (const changed of this.#subscribers)
      this.#guarded(`${resourceOf(this.kind)} ${name}`, () => changed(after, before));
  }

  #guarded(what: string, tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#options.log.error(`a change of ${what} could not be handled: ${String(error)}`);
    }
  }

  #list(action: ReflectorAction<T> & { kind: 'list' }): void {
    const { id, limit } = action;
    const target = this.#target('list');
    const path = pathOf(target, { ...this.#selectors(), limit, continue: action.continue });
    const aborted = new AbortController();
    this.#ends.set(id, () => aborted.abort());
    this.#options.connection
      .request({ method: 'GET', path, timeoutMs: this.#machine.patience.pageMs, signal: aborted.signal })
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
    const end = this.#options.connection.stream(path, this.#machine.patience.openMs, {
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

/**
 * One object by its name: `changed` gets it as it is now, undefined when there is none, and each time it is another. Of several changes
 * at once (made anew under its name) it gets the last.
 */
export function watchObject<T extends KubeObject>(
  key: Key,
  options: Omit<InformerOptions<T>, 'namespace' | 'labelSelector' | 'fieldSelector' | 'keep' | 'updated'>,
  changed: (object: T | undefined) => void,
): Informer<T> {
  const { namespace, name } = splitKey(key);
  const informer: Informer<T> = new Informer({
    ...options,
    ...(namespace !== undefined && { namespace }),
    fieldSelector: `metadata.name=${name}`,
    updated: () => changed(informer.get(key)),
  });
  return informer;
}
