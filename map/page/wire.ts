/** Keeps the store as the server tells it: the whole once, then steps. Without events it asks from time to time. */
import { type Snapshot, type Step, stepped, type TimedEvent } from '../src/feed.ts';
import type { Route, TraceShown } from '../src/model.ts';
import type { Store } from './store.ts';

export type Link = 'loading' | 'live' | 'polling' | 'away';

const POLL_MS = 5_000;
const AGAIN_MS = 3_000;
const EVENTS_MAX = 200;

export class Wire {
  readonly #store: Store;
  readonly #told: (link: Link) => void;
  #version = '';
  #source: EventSource | undefined;

  constructor(store: Store, told: (link: Link) => void) {
    this.#store = store;
    this.#told = told;
  }

  async start(): Promise<void> {
    if (await this.#whole()) this.#listen();
    else setTimeout(() => void this.start(), AGAIN_MS);
  }

  async route(from: string, to: string): Promise<Route | undefined> {
    try {
      const answer = await fetch(`api/route?${new URLSearchParams({ from, to })}`);
      return answer.ok ? ((await answer.json()) as Route) : undefined;
    } catch {
      return undefined;
    }
  }

  /** The text says why there is none. */
  async trace(key: string, from: string, to: string): Promise<TraceShown | string> {
    try {
      const answer = await fetch('api/trace', {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ from, to }),
      });
      return answer.ok ? ((await answer.json()) as TraceShown) : (await answer.text()).trim();
    } catch {
      return 'no answer: is evio dashboard still there?';
    }
  }

  async #whole(): Promise<boolean> {
    try {
      const answer = await fetch('api/map', { signal: AbortSignal.timeout(30_000) });
      if (!answer.ok) throw new Error(String(answer.status));
      this.#take((await answer.json()) as Snapshot);
      return true;
    } catch {
      this.#told('away');
      return false;
    }
  }

  #take({ version, model, events }: Snapshot): void {
    if (version === this.#version) return;
    const first = this.#version === '';
    const last = this.#store.events.at(-1)?.id ?? 0;
    // Of another process the numbers mean nothing.
    const same = version.split('-')[0] === this.#version.split('-')[0];
    this.#version = version;
    this.#store.take(model);
    this.#store.news(events, first || !same ? [] : events.filter(({ id }) => id > last));
  }

  #listen(): void {
    const source = new EventSource(`api/events?${new URLSearchParams({ since: this.#version })}`);
    this.#source = source;
    source.addEventListener('open', () => this.#told('live'));
    source.addEventListener('step', (message) =>
      this.#step(JSON.parse((message as MessageEvent<string>).data) as Step),
    );
    source.addEventListener('reset', () => this.#anew());
    source.addEventListener('error', () => {
      // The browser tries again by itself, unless it was refused.
      if (source.readyState !== EventSource.CLOSED) this.#told('away');
      else void this.#poll();
    });
  }

  #step(step: Step): void {
    const next = stepped({ version: this.#version, model: this.#store.model }, step);
    if (next === undefined) {
      if (step.version !== this.#version) this.#anew();
      return;
    }
    this.#version = next.version;
    this.#store.take(next.model);
    if (step.events.length > 0) this.#store.news(lastOf([...this.#store.events, ...step.events]), step.events);
  }

  #anew(): void {
    this.#source?.close();
    void this.start();
  }

  /** As many pages as may listen do so already: this one asks, and tries to listen again in a while. */
  async #poll(): Promise<void> {
    this.#source?.close();
    for (let i = 0; i < 6; i++) {
      await new Promise((done) => setTimeout(done, POLL_MS));
      if (await this.#whole()) this.#told('polling');
    }
    this.#listen();
  }
}

const lastOf = (events: readonly TimedEvent[]): readonly TimedEvent[] => events.slice(-EVENTS_MAX);
