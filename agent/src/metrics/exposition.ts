/** The metrics as Prometheus reads them, by prom-client: loaded when somebody asks, so that an agent nobody asks does not carry it. */
import type { Counter, Gauge, Registry } from 'prom-client';
import { METRICS, type Metric, type MetricState } from './catalogue.ts';

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

let registry: Registry | undefined;
let state: MetricState | undefined;

/** One reading after the other: what is read is what was handed over last. */
export async function exposition(now: MetricState): Promise<Exposition> {
  registry ??= await made();
  state = now;
  return { contentType: registry.contentType, text: await registry.metrics() };
}

async function made(): Promise<Registry> {
  // In the bundle it has a default export alone.
  const { default: client } = await import('prom-client');
  const all = new client.Registry();
  const set = (metric: Metric, made: Gauge | Counter): void => {
    made.reset();
    if (state === undefined) return;
    const samples = metric.read(state);
    // Without labels it would be told as 0, which is not the same as unknown.
    if (samples.length === 0 && metric.labels.length === 0) made.remove();
    for (const { labels, value } of samples) made.inc({ ...labels }, value);
  };
  for (const metric of METRICS) {
    const { name, help, type } = metric;
    const about = { name, help, labelNames: [...metric.labels], registers: [all] };
    if (type === 'gauge')
      new client.Gauge({
        ...about,
        collect() {
          set(metric, this);
        },
      });
    else
      new client.Counter({
        ...about,
        collect() {
          set(metric, this);
        },
      });
  }
  return all;
}
