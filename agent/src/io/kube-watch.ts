/** One object of the API server, followed: `kube/watch.ts` decides, this asks. */
import { KubeError } from '../kube/api-error.ts';
import { type KubeObject, ObjectWatch, type WatchAction, type WatchEvent } from '../kube/watch.ts';
import { isObject } from './json-lines.ts';
import type { KubeClient } from './kube-client.ts';

export interface KubeWatchHandlers<T> {
  /** As it is now; undefined: there is none. */
  object(object: T | undefined): void;
  problem(error: Error): void;
  well(): void;
}

export class KubeWatch<T extends KubeObject> {
  readonly #client: KubeClient;
  readonly #collection: string;
  readonly #name: string;
  readonly #handlers: KubeWatchHandlers<T>;
  readonly #machine: ObjectWatch<T>;
  #cut: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `collection` is the path of the objects, like /apis/evio.io/v1alpha1/evionodes; `idleMs` makes tests short. */
  constructor(client: KubeClient, collection: string, name: string, handlers: KubeWatchHandlers<T>, idleMs?: number) {
    this.#machine = new ObjectWatch<T>(Math.random, idleMs);
    this.#client = client;
    this.#collection = collection;
    this.#name = name;
    this.#handlers = handlers;
  }

  start(): void {
    this.#give({ kind: 'start' });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#cut();
  }

  #give(event: WatchEvent<T>): void {
    if (this.#stopped) return;
    for (const action of this.#machine.handle(event, performance.now())) this.#do(action);
    clearTimeout(this.#timer);
    const at = this.#machine.deadline();
    if (at === undefined || this.#stopped) return;
    this.#timer = setTimeout(() => this.#give({ kind: 'deadline' }), Math.max(1, Math.ceil(at - performance.now())));
  }

  #do(action: WatchAction<T>): void {
    switch (action.kind) {
      case 'list':
        void this.#list();
        return;
      case 'watch':
        this.#watch(action.resourceVersion, action.timeoutSeconds);
        return;
      case 'cut':
        this.#cut();
        return;
      case 'object':
        this.#handlers.object(action.object);
        return;
      case 'problem':
        this.#handlers.problem(action.error);
        return;
      case 'well':
        this.#handlers.well();
        return;
    }
  }

  async #list(): Promise<void> {
    try {
      const answer = await this.#client.request({ method: 'GET', path: this.#path({}) });
      const list = isObject(answer) ? answer : {};
      const version = isObject(list.metadata) ? list.metadata.resourceVersion : undefined;
      if (!Array.isArray(list.items) || typeof version !== 'string')
        throw new KubeError(`API server: ${this.#collection}: the answer is no list`);
      const items = list.items as readonly T[];
      const object = items.find((item) => item?.metadata?.name === this.#name);
      this.#give({ kind: 'listed', object, resourceVersion: version });
    } catch (error) {
      this.#give({ kind: 'failed', error: error instanceof KubeError ? error : new KubeError(String(error)) });
    }
  }

  #watch(resourceVersion: string, timeoutSeconds: number): void {
    const query = { watch: '1', allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds: String(timeoutSeconds) };
    this.#cut = this.#client.stream(this.#path(query), {
      line: ({ type, object }) => this.#give({ kind: 'line', type: String(type), object }),
      ended: () => this.#give({ kind: 'ended' }),
      failed: (error) => this.#give({ kind: 'failed', error }),
    });
  }

  #path(query: Readonly<Record<string, string>>): string {
    const words = new URLSearchParams({ fieldSelector: `metadata.name=${this.#name}`, ...query });
    return `${this.#collection}?${words}`;
  }
}
