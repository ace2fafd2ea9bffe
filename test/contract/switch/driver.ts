/** A controller at work on a switch under test: what comes is handled as it comes, and deadlines when they are due. */

import { Controller, type ProgramState } from '../../../agent/src/sdn/index.ts';
import type { Connection } from './connection.ts';

const STEP_MS = 5;
const WAIT_MS = 20_000;

export class Driver<State extends ProgramState> {
  readonly controller: Controller<State>;
  /** Flow-mods and group-mods sent. */
  changes = 0;
  readonly logs: string[] = [];
  #synced = false;
  readonly #connection: Connection;
  readonly #timer: NodeJS.Timeout;
  #at = 0;

  constructor(connection: Connection, program: ConstructorParameters<typeof Controller<State>>[1]) {
    this.#connection = connection;
    this.controller = new Controller<State>(BigInt(Date.now()), program);
    this.#timer = setInterval(() => this.#step(), STEP_MS);
    this.#run({ kind: 'connected' });
  }

  /** Until the switch holds what the state makes wanted. */
  async reach(state: State): Promise<void> {
    this.#synced = false;
    this.#run({ kind: 'state', state, settled: true });
    await this.until(() => this.#synced, 'the switch is not as wanted');
  }

  async until(done: () => boolean | Promise<boolean>, otherwise: string): Promise<void> {
    const end = Date.now() + WAIT_MS;
    while (!(await done())) {
      if (Date.now() > end) throw new Error([otherwise, ...this.logs].join('\n'));
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#connection.close();
  }

  #step(): void {
    for (let message = this.#connection.received[this.#at]; message !== undefined; ) {
      this.#run({ kind: 'message', message });
      message = this.#connection.received[++this.#at];
    }
    if (Date.now() >= (this.controller.deadline() ?? Infinity)) this.#run({ kind: 'deadline' });
  }

  #run(event: Parameters<Controller<State>['handle']>[0]): void {
    for (const action of this.controller.handle(event, Date.now())) {
      if (action.kind === 'synced') this.#synced = true;
      if (action.kind === 'log') this.logs.push(action.text);
      if (action.kind !== 'send') continue;
      if (action.message.type === 'flow-mod' || action.message.type === 'group-mod') this.changes++;
      this.#connection.send(action.message);
    }
  }
}
