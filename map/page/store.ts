/** All that the page knows and all that was chosen in it, and who is told of changes. */
import type { TimedEvent } from '../src/feed.ts';
import {
  EMPTY,
  edgeKey,
  type MapEdge,
  type MapModel,
  type MapNode,
  type Route,
  type TraceShown,
} from '../src/model.ts';
import { LOOKS, type Look } from './words.ts';

export type Topic = 'model' | 'chosen' | 'focus' | 'filters' | 'theme' | 'events' | 'route' | 'trace';

export class Store {
  model: MapModel = EMPTY;
  /** By name: its index on the ring. */
  places: ReadonlyMap<string, number> = new Map();
  edges: ReadonlyMap<string, readonly MapEdge[]> = new Map();
  byKey: ReadonlyMap<string, MapEdge> = new Map();
  events: readonly TimedEvent[] = [];
  fresh: readonly TimedEvent[] = [];
  /** At most two, in the order they were chosen. */
  chosen: readonly string[] = [];
  /** Where the keyboard or the pointer is. */
  focus: string | undefined;
  route: Route | undefined;
  /** Runs a trace between the two that are chosen; undefined: this page may not. */
  runTrace: (() => void) | undefined;
  /** Of the two that are chosen; a text says why there is none. */
  trace: { readonly running: true } | TraceShown | string | undefined;
  readonly shown = new Set<Look>(LOOKS);
  paint: 'state' | 'nat' = 'state';
  readonly #listeners = new Map<Topic, (() => void)[]>();

  on(topics: readonly Topic[], listener: () => void): void {
    for (const topic of topics) this.#listeners.set(topic, [...(this.#listeners.get(topic) ?? []), listener]);
  }

  tell(topic: Topic): void {
    for (const listener of this.#listeners.get(topic) ?? []) listener();
  }

  node(name: string): MapNode | undefined {
    const place = this.places.get(name);
    return place === undefined ? undefined : this.model.nodes[place];
  }

  edge(a: string, b: string): MapEdge | undefined {
    return this.byKey.get(edgeKey(a, b));
  }

  take(model: MapModel): void {
    const { nodes, edges } = model;
    if (nodes !== this.model.nodes) this.places = new Map(nodes.map(({ name }, i) => [name, i]));
    if (edges !== this.model.edges) {
      const of = new Map<string, MapEdge[]>(nodes.map(({ name }) => [name, []]));
      const byKey = new Map<string, MapEdge>();
      for (const edge of edges) {
        of.get(edge.a)?.push(edge);
        of.get(edge.b)?.push(edge);
        byKey.set(edgeKey(edge.a, edge.b), edge);
      }
      this.edges = of;
      this.byKey = byKey;
    }
    this.model = model;
    if (this.focus !== undefined && !this.places.has(this.focus)) this.focus = undefined;
    const left = this.chosen.filter((name) => this.places.has(name));
    this.tell('model');
    if (left.length !== this.chosen.length) this.choose(left);
  }

  /** All that are known, or those that came just now. */
  news(all: readonly TimedEvent[], fresh: readonly TimedEvent[]): void {
    this.events = all;
    this.fresh = fresh;
    this.tell('events');
  }

  choose(names: readonly string[]): void {
    this.chosen = names.slice(-2);
    this.tell('chosen');
  }

  /** A third one takes the place of the second. */
  toggle(name: string): void {
    const [first] = this.chosen;
    if (this.chosen.includes(name)) this.choose(this.chosen.filter((one) => one !== name));
    else this.choose(first === undefined ? [name] : [first, name]);
  }

  look(name: string | undefined): void {
    if (this.focus === name) return;
    this.focus = name;
    this.tell('focus');
  }
}
