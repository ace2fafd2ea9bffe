/** Keeps a feed going: reads the source in turns, often while somebody looks, seldom else, so that the last events are there for who comes. */
import { Feed, type Snapshot, type Step } from '../feed.ts';
import type { MapModel, Route } from '../model.ts';
import { routeOf } from '../route.ts';

export interface LiveOptions {
  /** Its present state; undefined: nothing is different since it was read last. What it throws is told to `failed`. */
  read(): MapModel | undefined | Promise<MapModel | undefined>;
  /** Told when reading fails or works again: undefined or one line. */
  readonly failed?: (problem: string | undefined) => void;
  /** How long after a reading the next one comes; default 1 s while somebody looks, 10 s else. */
  readonly busyMs?: number;
  readonly idleMs?: number;
}

const BUSY_MS = 1_000;
const IDLE_MS = 10_000;

export class Live {
  readonly #feed = new Feed(Date.now().toString(36));
  readonly #options: LiveOptions;
  readonly #listeners = new Set<(step: Step) => void>();
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #problem: string | undefined;
  #over = false;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Why there is nothing new, in one line; undefined: there is nothing wrong. */
  get problem(): string | undefined {
    return this.#problem;
  }

  start(): void {
    this.#next(0);
  }

  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  /** As of now. */
  async snapshot(): Promise<Snapshot> {
    await this.#read();
    return this.#feed.snapshot;
  }

  get version(): string {
    return this.#feed.version;
  }

  since(version: string): readonly Step[] | undefined {
    return this.#feed.since(version);
  }

  route(from: string, to: string): Route | undefined {
    return routeOf(this.#feed.model, from, to);
  }

  /** Calls `listener` with each step from now on; gives what ends that. */
  listen(listener: (step: Step) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#next(0);
    return () => this.#listeners.delete(listener);
  }

  #next(afterMs: number): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    this.#timer = setTimeout(() => {
      void this.#read().then(() => {
        const { busyMs = BUSY_MS, idleMs = IDLE_MS } = this.#options;
        this.#next(this.#listeners.size > 0 ? busyMs : idleMs);
      });
    }, afterMs);
    // Not what keeps the process.
    this.#timer.unref();
  }

  /** One at a time; never fails. */
  #read(): Promise<void> {
    this.#reading ??= this.#once().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #once(): Promise<void> {
    let problem: string | undefined;
    try {
      const model = await this.#options.read();
      const step = model === undefined || this.#over ? undefined : this.#feed.take(model, Date.now());
      if (step !== undefined) for (const listener of this.#listeners) listener(step);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.failed?.(problem);
  }
}
