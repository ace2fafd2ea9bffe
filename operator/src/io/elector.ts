/** Leader election on a Lease: carries out what `leader/machine.ts` decides. */
import { uptime } from 'node:os';
import { Alarm } from '../../../agent/src/io/alarm.ts';
import type { Log } from '../../../agent/src/io/log.ts';
import { type Client, isConflict, isNotFound } from '../../../agent/src/kube-api/client.ts';
import { LEASE, type Lease } from '../../../agent/src/kube-api/kinds.ts';
import type { Key } from '../../../agent/src/kube-api/object.ts';
import type { Instant } from '../../../agent/src/machine.ts';
import { leaseOf, stateOf } from '../leader/lease.ts';
import { type LeaderAction, type LeaderEvent, LeaderMachine } from '../leader/machine.ts';

export interface ElectorOptions {
  /** One that may write whoever leads. */
  readonly client: Client;
  readonly lease: Key;
  readonly identity: string;
  readonly log: Log;
}

/**
 * CLOCK_BOOTTIME: never jumps, and goes on while the machine sleeps, which `performance.now()` does not. In steps of 10 ms.
 */
const now = (): Instant => uptime() * 1000;

export class Elector {
  readonly #options: ElectorOptions;
  readonly #machine: LeaderMachine;
  readonly #alarm = new Alarm(now, () => this.#handle({ kind: 'deadline' }));
  readonly #led = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<'lost' | 'stopped'>();
  #known: Lease | undefined;

  constructor(options: ElectorOptions) {
    this.#options = options;
    this.#machine = new LeaderMachine({ identity: options.identity, random: Math.random });
  }

  /** To be asked right before each write. */
  leads(): boolean {
    return this.#machine.leads(now());
  }

  get holder(): string {
    return this.#machine.holder;
  }

  /** Resolves when this process leads, if it ever does. */
  get led(): Promise<void> {
    return this.#led.promise;
  }

  /** Resolves at the end: another process leads, or `stop` is done. */
  get over(): Promise<'lost' | 'stopped'> {
    return this.#over.promise;
  }

  start(): void {
    this.#handle({ kind: 'start' });
  }

  /** Gives the lease back, if it is held. */
  async stop(): Promise<void> {
    this.#handle({ kind: 'stop' });
    await this.over;
  }

  #handle(event: LeaderEvent): void {
    const actions = this.#machine.handle(event, now());
    for (const action of actions) this.#do(action);
    this.#alarm.set(this.#machine.deadline());
  }

  #do(action: LeaderAction): void {
    const { client, lease, log } = this.#options;
    switch (action.kind) {
      case 'read':
        this.#answer(action.id, isConflict, client.find(LEASE, lease), (found) => ({
          kind: 'read',
          id: action.id,
          lease: found === undefined ? undefined : stateOf(found),
        }));
        break;
      case 'write': {
        const wanted = leaseOf(lease, action.claim, new Date(), this.#known);
        const creates = action.claim.resourceVersion === undefined;
        const written = creates ? client.create(LEASE, wanted) : client.update(LEASE, wanted);
        // A Lease that is gone has changed; a namespace that is not there has not.
        const overtaken = (error: unknown) => isConflict(error) || (!creates && isNotFound(error));
        this.#answer(action.id, overtaken, written, (made) => ({
          kind: 'written',
          id: action.id,
          lease: stateOf(made),
        }));
        break;
      }
      case 'lead':
        log.info(`this process leads (${this.#options.identity})`);
        this.#led.resolve();
        break;
      case 'lost':
        log.error(`this process no longer leads: ${action.why}`);
        this.#finish('lost');
        break;
      case 'stopped':
        this.#finish('stopped');
        break;
      case 'report':
        log.info(action.line);
        break;
    }
  }

  #answer<R extends Lease | undefined>(
    id: number,
    overtaken: (error: unknown) => boolean,
    answer: Promise<R>,
    event: (lease: R) => LeaderEvent,
  ): void {
    answer
      .then(
        (lease): LeaderEvent => {
          this.#known = lease;
          return event(lease);
        },
        (error: unknown): LeaderEvent =>
          overtaken(error)
            ? { kind: 'conflict', id }
            : { kind: 'failed', id, message: error instanceof Error ? error.message : String(error) },
      )
      .then((happened) => this.#handle(happened))
      .catch((error: unknown) => this.#options.log.error(`leader election: ${String(error)}`));
  }

  #finish(how: 'lost' | 'stopped'): void {
    this.#alarm.clear();
    this.#over.resolve(how);
  }
}
