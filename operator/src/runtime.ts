/** Composition of what controllers stand on: caches, queues, leader election, metrics, probes; and an orderly end. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { ApiClient } from '../../agent/src/io/kube-client.ts';
import type { Connection } from '../../agent/src/io/kube-connection.ts';
import { Informer } from '../../agent/src/io/kube-informer.ts';
import type { Log } from '../../agent/src/io/log.ts';
import type { Cache, CacheOptions } from '../../agent/src/kube-api/cache.ts';
import type { Client } from '../../agent/src/kube-api/client.ts';
import { EVIO_NETWORK, type EvioNetwork } from '../../agent/src/kube-api/evio-kinds.ts';
import { type Key, type Kind, type KubeObject, resourceOf } from '../../agent/src/kube-api/object.ts';
import type { Controller, Runtime, Source } from './controller.ts';
import type { Recorder } from './events/recorder.ts';
import { Elector } from './io/elector.ts';
import { Metrics } from './io/metrics.ts';
import { Probes } from './io/probes.ts';
import { EventWriter } from './io/recorder.ts';
import { Worker } from './io/work.ts';
import { REQUEST_MS } from './leader/machine.ts';

export interface RuntimeOptions {
  readonly connection: Connection;
  readonly log: Log;
  /** Owner of applied fields, and what Events and the Lease name: `evio-operator`. */
  readonly name: string;
  /** The Lease of the election, `namespace/name`. */
  readonly lease: Key;
  /** Of this process alone; default: the host's name and a random part. */
  readonly identity?: string;
  /** Where probes and metrics are served; nowhere without it. `port` 0 takes a free one. */
  readonly probes?: { readonly host: string; readonly port: number };
  /** What runs at the end gets this long before it is told to hurry; default 15 s. */
  readonly graceMs?: number;
}

const GRACE_MS = 15_000;

export function createRuntime(options: RuntimeOptions): OperatorRuntime {
  return new OperatorRuntime(options);
}

export class OperatorRuntime implements Runtime {
  readonly client: Client;
  readonly events: Recorder;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly #options: RuntimeOptions;
  readonly #elector: Elector;
  readonly #caches = new Map<string, Informer<KubeObject>>();
  readonly #workers: Worker[] = [];
  #probes: Probes | undefined;

  constructor(options: RuntimeOptions) {
    const { connection, log, name, lease } = options;
    const identity = options.identity ?? `${hostname()}_${randomUUID()}`;
    this.#options = options;
    this.log = log;
    this.metrics = new Metrics({
      watches: () => [...this.#caches.values()].map(numbersOf),
      queues: () => this.#workers.map(({ name: controller, depth, running }) => ({ controller, depth, running })),
      leads: () => this.#elector.leads(),
      conditions: () => [...this.#caches.values()].flatMap(conditionsOf),
    });
    const observe = (verb: string, resource: string, status: number) => this.metrics.requested(verb, resource, status);
    const voting = new ApiClient(connection, { fieldManager: name, timeoutMs: REQUEST_MS, observe });
    this.#elector = new Elector({ client: voting, lease, identity, log });
    this.client = new ApiClient(connection, { fieldManager: name, mayWrite: () => this.#elector.leads(), observe });
    this.events = new EventWriter({
      client: this.client,
      controller: `evio.io/${name}`,
      instance: identity,
      observe: (outcome) => this.metrics.event(outcome),
    });
  }

  get leads(): boolean {
    return this.#elector.leads();
  }

  /** Where probes and metrics are served, while `run` runs. */
  get probesPort(): number | undefined {
    return this.#probes?.port;
  }

  cache<T extends KubeObject>(kind: Kind<T>, options: CacheOptions<T> = {}): Cache<T> & Source<T> {
    const { namespace, labelSelector, fieldSelector } = options;
    const name = JSON.stringify([resourceOf(kind), kind.version, namespace, labelSelector, fieldSelector]);
    const known = this.#caches.get(name);
    // The same kind with the same options has the same type.
    if (known !== undefined) return known as unknown as Informer<T>;
    const { connection, log } = this.#options;
    const informer = new Informer<T>({ ...options, kind, connection, log });
    this.#caches.set(name, informer as unknown as Informer<KubeObject>);
    return informer;
  }

  add(controller: Controller): void {
    this.#workers.push(new Worker(controller, this.log, this.metrics));
  }

  async run(signal: AbortSignal): Promise<boolean> {
    const { connection, probes, graceMs = GRACE_MS } = this.#options;
    if (probes !== undefined) this.#probes = await Probes.listen(probes.host, probes.port, this.#answers());
    const ended = new Promise<'ended'>((resolve) => {
      if (signal.aborted) resolve('ended');
      signal.addEventListener('abort', () => resolve('ended'), { once: true });
    });
    try {
      // Who waits to lead keeps its caches, so that it acts at once when it does.
      for (const cache of this.#caches.values()) cache.start();
      this.#elector.start();
      const synced = Promise.all([...this.#caches.values()].map((cache) => cache.whenSynced()));
      const ready = Promise.all([synced, this.#elector.led]).then(() => 'ready' as const);
      const first = await Promise.race([ready, ended, this.#elector.over]);
      if (first === 'ready') {
        for (const worker of this.#workers) worker.start();
        if ((await Promise.race([ended, this.#elector.over])) === 'ended')
          await Promise.race([this.#finish(graceMs), this.#elector.over]);
      }
      await this.#elector.stop();
      return (await this.#elector.over) === 'stopped';
    } finally {
      for (const worker of this.#workers) worker.abort();
      for (const cache of this.#caches.values()) cache.stop();
      this.#probes?.close();
      connection.close();
    }
  }

  async #finish(graceMs: number): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop(graceMs)));
  }

  #answers() {
    return {
      alive: () => undefined,
      ready: () => {
        const missing = [...this.#caches.values()].filter((cache) => !cache.synced).map(({ kind }) => resourceOf(kind));
        return missing.length === 0 ? undefined : `not listed yet: ${missing.join(', ')}`;
      },
      metrics: async () => ({
        text: await this.metrics.registry.metrics(),
        contentType: this.metrics.registry.contentType,
      }),
    };
  }
}

function conditionsOf(cache: Informer<KubeObject>) {
  if (resourceOf(cache.kind) !== resourceOf(EVIO_NETWORK)) return [];
  return cache.list().flatMap((object) => {
    const { metadata, status } = object as EvioNetwork;
    return (status?.conditions ?? []).map(({ type, status }) => ({ network: metadata.name, type, status }));
  });
}

function numbersOf({ name, size, lists, lastEventAge }: Informer<KubeObject>) {
  return {
    kind: name,
    objects: size,
    lists,
    ageSeconds: lastEventAge === undefined ? undefined : lastEventAge / 1000,
  };
}
