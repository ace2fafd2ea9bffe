/**
 * The map as it is told: a version for each state, the last steps between them, and the last events. Who has a version that is still
 * remembered gets the steps since; anybody else gets the whole. Pure.
 */
import { applied, type Changes, changesOf, eventsOf, type MapEvent } from './changes.ts';
import { EMPTY, type MapModel } from './model.ts';

/** Milliseconds since 1970, as the server has them. */
export type TimedEvent = MapEvent & { readonly id: number; readonly atMs: number };

/** What a page begins with. */
export interface Snapshot {
  readonly version: string;
  readonly model: MapModel;
  /** Oldest first. */
  readonly events: readonly TimedEvent[];
}

/** What a page that has `from` needs to have `version`. */
export interface Step {
  readonly from: string;
  readonly version: string;
  readonly changes: Changes;
  readonly events: readonly TimedEvent[];
}

const STEPS_MAX = 32;
const EVENTS_MAX = 200;
/** A step that changes more than this is no shorter than the whole. */
const LARGE = 20_000;

export class Feed {
  /** Of this process: a version of another one means nothing here. */
  readonly #epoch: string;
  #number = 0;
  #model: MapModel = EMPTY;
  #begun = false;
  #steps: readonly Step[] = [];
  #events: readonly TimedEvent[] = [];
  #eventId = 0;

  /** `epoch`: letters and digits. */
  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  get version(): string {
    return `${this.#epoch}-${this.#number}`;
  }

  get model(): MapModel {
    return this.#model;
  }

  get snapshot(): Snapshot {
    return { version: this.version, model: this.#model, events: this.#events };
  }

  /** The next state. Undefined when it is as before. The first one is no news: it makes no events. */
  take(model: MapModel, atMs: number): Step | undefined {
    const before = this.#model;
    const changes = changesOf(before, model);
    if (changes === undefined) return undefined;
    const found = this.#begun ? eventsOf(before, model) : [];
    const events = found.map((event) => ({ ...event, id: ++this.#eventId, atMs }));
    const from = this.version;
    this.#number++;
    this.#begun = true;
    this.#model = model;
    this.#events = [...this.#events, ...events].slice(-EVENTS_MAX);
    const step = { from, version: this.version, changes, events };
    this.#steps = size(changes) > LARGE ? [] : [...this.#steps, step].slice(-STEPS_MAX);
    return step;
  }

  /** The steps from `version` on; none when it is the present one; undefined when it is not remembered: take the snapshot. */
  since(version: string): readonly Step[] | undefined {
    if (version === this.version) return [];
    const first = this.#steps.findIndex(({ from }) => from === version);
    return first === -1 ? undefined : this.#steps.slice(first);
  }
}

const size = ({ nodes, edges, goneNodes, goneEdges }: Changes): number =>
  nodes.length + edges.length + goneNodes.length + goneEdges.length;

/** What a page has after a step; undefined when it has another version than the step goes on from. */
export function stepped(
  have: { readonly version: string; readonly model: MapModel },
  { from, version, changes }: Pick<Step, 'from' | 'version' | 'changes'>,
): { readonly version: string; readonly model: MapModel } | undefined {
  return from === have.version ? { version, model: applied(have.model, changes) } : undefined;
}
