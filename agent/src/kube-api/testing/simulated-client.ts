/** A reflector with a simulated server, and what somebody who only hears of changes knows. */
import { Clock } from '../../../../test/sim/clock.ts';
import { seeded } from '../../../../test/sim/random.ts';
import type { Kind, KubeObject } from '../object.ts';
import { Reflector, type ReflectorAction, type ReflectorEvent } from '../reflector.ts';
import { SimulatedServer } from './simulated-server.ts';

export interface Thing extends KubeObject {
  readonly spec: { readonly value: number };
}

export const THING: Kind<Thing> = {
  group: 'evio.io',
  version: 'v1',
  kind: 'Thing',
  plural: 'things',
  namespaced: false,
};

export class SimulatedClient {
  readonly clock = new Clock();
  readonly machine: Reflector<Thing>;
  readonly server: SimulatedServer;
  readonly troubles: string[] = [];
  /** By changes alone. */
  readonly heard = new Map<string, Thing>();
  /** Changes that do not follow from what was heard before. */
  readonly wrong: string[] = [];
  /** Of each request. */
  readonly actions: ReflectorAction<Thing>[] = [];
  #cancel = () => {};

  constructor(seed: number) {
    const random = seeded(seed);
    this.machine = new Reflector({ kind: THING, random });
    this.server = new SimulatedServer(this.clock, random, (event) => this.handle(event));
  }

  handle(event: ReflectorEvent): void {
    for (const action of this.machine.handle(event, this.clock.now)) this.#do(action);
    this.#cancel();
    const deadline = this.machine.deadline();
    if (deadline !== undefined)
      this.#cancel = this.clock.after(deadline - this.clock.now, () => this.handle({ kind: 'deadline' }));
  }

  /** As the server's. */
  state(): Record<string, string> {
    return stateOf(this.machine.store.list());
  }

  heardState(): Record<string, string> {
    return stateOf([...this.heard.values()]);
  }

  #do(action: ReflectorAction<Thing>): void {
    if (action.kind === 'changed') {
      const { key, before, after } = action.change;
      if (this.heard.get(key) !== before) this.wrong.push(key);
      if (after === undefined) this.heard.delete(key);
      else this.heard.set(key, after);
    } else if (action.kind === 'trouble') this.troubles.push(action.failure?.message ?? 'over');
    else if (action.kind === 'list' || action.kind === 'watch') this.actions.push(action);
    this.server.do(action as ReflectorAction<never>);
  }
}

function stateOf(things: readonly Thing[]): Record<string, string> {
  return Object.fromEntries(things.map(({ metadata, spec }) => [metadata.name, JSON.stringify({ metadata, spec })]));
}
