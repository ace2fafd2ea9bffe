/** The operator's metrics (prom-client), read at /metrics. Names follow https://prometheus.io/docs/practices/naming/. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds: most reconciles read caches only; those that talk to servers take longer. */
const RECONCILE_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export interface WatchNumbers {
  readonly kind: string;
  readonly objects: number;
  readonly lists: number;
  /** Seconds; undefined before the first word. */
  readonly ageSeconds: number | undefined;
}
export interface QueueNumbers {
  readonly controller: string;
  readonly depth: number;
  readonly running: number;
}

/** One condition of an EvioNetwork. */
export interface ConditionNumbers {
  readonly network: string;
  readonly type: string;
  readonly status: string;
}

/** What is asked when somebody reads the metrics. */
export interface Numbers {
  watches(): readonly WatchNumbers[];
  queues(): readonly QueueNumbers[];
  leads(): boolean;
  conditions(): readonly ConditionNumbers[];
}

export class Metrics {
  readonly registry = new Registry();
  readonly #reconciles: Counter<'controller' | 'result'>;
  readonly #durations: Histogram<'controller'>;
  readonly #waits: Histogram<'controller'>;
  readonly #requests: Counter<'verb' | 'resource' | 'status'>;
  readonly #events: Counter<'outcome'>;

  constructor(numbers: Numbers) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#reconciles = new Counter({
      name: 'evio_operator_reconciles_total',
      help: 'Reconciles that ended, by result: success, again (a later run was asked for) or error.',
      labelNames: ['controller', 'result'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'evio_operator_reconcile_duration_seconds',
      help: 'How long reconciles took.',
      labelNames: ['controller'],
      buckets: RECONCILE_BUCKETS,
      registers,
    });
    this.#waits = new Histogram({
      name: 'evio_operator_queue_wait_seconds',
      help: 'How long keys that were ready waited for their reconcile.',
      labelNames: ['controller'],
      buckets: RECONCILE_BUCKETS,
      registers,
    });
    this.#requests = new Counter({
      name: 'evio_operator_api_requests_total',
      help: 'Requests to the API server, by HTTP status; 0 when there was no answer.',
      labelNames: ['verb', 'resource', 'status'],
      registers,
    });
    this.#events = new Counter({
      name: 'evio_operator_events_total',
      help: 'Kubernetes Events by outcome: written, failed, or dropped because there were too many.',
      labelNames: ['outcome'],
      registers,
    });
    asked('evio_operator_leader', 'Whether this process leads.', [], registers, (gauge) =>
      gauge.set(numbers.leads() ? 1 : 0),
    );
    asked(
      'evio_operator_network_condition',
      'A condition of an EvioNetwork (docs/api.md), by its type and its status: True, False or Unknown; always 1.',
      ['network', 'type', 'status'],
      registers,
      (gauge) => {
        for (const { network, type, status } of numbers.conditions()) gauge.set({ network, type, status }, 1);
      },
    );
    asked('evio_operator_queue_depth', 'Keys that are ready and wait.', ['controller'], registers, (gauge) => {
      for (const { controller, depth } of numbers.queues()) gauge.set({ controller }, depth);
    });
    asked('evio_operator_queue_running', 'Keys that are reconciled now.', ['controller'], registers, (gauge) => {
      for (const { controller, running } of numbers.queues()) gauge.set({ controller }, running);
    });
    asked('evio_operator_watch_objects', 'Objects in a cache.', ['kind'], registers, (gauge) => {
      for (const { kind, objects } of numbers.watches()) gauge.set({ kind }, objects);
    });
    asked('evio_operator_watch_lists', 'How often a whole kind was listed.', ['kind'], registers, (gauge) => {
      for (const { kind, lists } of numbers.watches()) gauge.set({ kind }, lists);
    });
    asked(
      'evio_operator_watch_age_seconds',
      'Since anything last came on a watch; a sound one hears a bookmark about every minute.',
      ['kind'],
      registers,
      (gauge) => {
        for (const { kind, ageSeconds } of numbers.watches())
          if (ageSeconds !== undefined) gauge.set({ kind }, ageSeconds);
      },
    );
  }

  reconciled(controller: string, result: 'success' | 'again' | 'error', seconds: number): void {
    this.#reconciles.inc({ controller, result });
    this.#durations.observe({ controller }, seconds);
  }

  waited(controller: string, seconds: number): void {
    this.#waits.observe({ controller }, seconds);
  }

  requested(verb: string, resource: string, status: number): void {
    this.#requests.inc({ verb, resource, status: String(status) });
  }

  event(outcome: 'written' | 'failed' | 'dropped'): void {
    this.#events.inc({ outcome });
  }
}

/** Those of the operator itself, for docs/metrics.md. */
export function operatorMetrics(): readonly {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}[] {
  const { registry } = new Metrics({ watches: () => [], queues: () => [], leads: () => false, conditions: () => [] });
  // prom-client's types leave out what each metric has.
  const all = registry.getMetricsAsArray() as unknown as readonly {
    readonly name: string;
    readonly type: string;
    readonly help: string;
    readonly labelNames: readonly string[];
  }[];
  return all
    .filter(({ name }) => name.startsWith('evio_'))
    .map(({ name, type, help, labelNames }) => ({ name, type, help, labels: labelNames }));
}

/** A gauge whose value is asked for when it is read. */
function asked(
  name: string,
  help: string,
  labelNames: readonly string[],
  registers: Registry[],
  set: (gauge: Gauge) => void,
): void {
  new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers,
    collect() {
      this.reset();
      set(this);
    },
  });
}
