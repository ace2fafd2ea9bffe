/** The node in this process, with what outlives it: started, exchanged for itself with newer papers, ended. One at a time. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { NodeConfig } from './config/node-config.ts';
import { ApiServer, TakenError } from './io/api-server.ts';
import type { Log } from './io/log.ts';
import { raisePriority } from './io/priority.ts';
import { systemReason } from './io/system-error.ts';
import { feedWatchdog, tellSystemd } from './io/systemd.ts';
import { Node, type NodeOptions } from './node.ts';
import { StartError } from './obstacle.ts';

/** Ending takes a second at most, four when tincan does not answer. */
const END_MS = 8_000;

export class Runner {
  readonly api: ApiServer;
  readonly #log: Log;
  readonly #options: NodeOptions;
  readonly #ended = Promise.withResolvers<number>();
  #node: Node | undefined;
  #ending = false;
  #exchange: Promise<void> = Promise.resolve();

  private constructor(api: ApiServer, log: Log, options: NodeOptions) {
    this.api = api;
    this.#log = log;
    this.#options = options;
  }

  /** Makes the run directory this process's own; throws StartError when it is another agent's, or cannot be used. */
  static async claim(runDir: string, log: Log, options: NodeOptions): Promise<Runner> {
    const api = await ApiServer.claim(join(runDir, 'agent.sock'), (message) => log.warn(message)).catch(
      (error: unknown) => {
        throw new StartError(cannotUse(runDir, error));
      },
    );
    // It carries the records of relayed tunnels.
    raisePriority();
    feedWatchdog();
    return new Runner(api, log, options);
  }

  /** The exit code; rejects with what kept the node from running, and nothing of it is left then. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  get ending(): boolean {
    return this.#ending;
  }

  /** The node that runs. */
  get node(): Node | undefined {
    return this.#node;
  }

  start(config: NodeConfig): void {
    if (this.#ending) return;
    const node = new Node(config, this.#log, randomBytes, this.#options);
    this.#node = node;
    const fail = (error: unknown) => {
      // What a start meets because it is being ended is no news.
      if (this.#ending || this.#node !== node) return;
      this.#ending = true;
      void node
        .abandon()
        // What a tincan of others has in the run directory stays.
        .finally(() => (this.#options.tincan === 'own' ? this.api.abandon() : this.api.close()))
        .finally(() => this.#ended.reject(error));
    };
    node.start(this.api, () => this.end('stop'), fail).catch(fail);
  }

  /** The same node with another configuration: tincan carries on in between, and peers send over others what they relayed. */
  exchange(config: NodeConfig): Promise<void> {
    this.#exchange = this.#exchange.then(async () => {
      const node = this.#node;
      this.#node = undefined;
      this.api.answerBy();
      await node?.leave();
      this.start(config);
    });
    return this.#exchange;
  }

  /** Told again, it goes on ending. */
  end(how: 'stop' | 'leave'): void {
    if (this.#ending) return;
    this.#ending = true;
    tellSystemd('STOPPING=1');
    const withTincan = how === 'stop' && this.#options.tincan === 'own';
    this.#log.info(withTincan ? 'stopping, tincan too' : 'stopping; tincan goes on');
    const late = setTimeout(() => {
      this.#log.error(`stopping took more than ${END_MS / 1000} s: ending at once`);
      this.#ended.resolve(1);
    }, END_MS);
    late.unref();
    void this.#end(how).then(
      (done) => this.#ended.resolve(done ? 0 : 1),
      (error: unknown) => {
        this.#log.error(`stopping failed: ${error instanceof Error ? error.message : String(error)}`);
        this.#ended.resolve(1);
      },
    );
  }

  async #end(how: 'stop' | 'leave'): Promise<boolean> {
    await this.#exchange;
    const done = (await this.#node?.[how]()) ?? true;
    this.api.close();
    return done;
  }
}

function cannotUse(runDir: string, error: unknown): string {
  if (error instanceof TakenError) {
    const who = error.pid === undefined ? 'an agent that does not answer' : `an agent (pid ${error.pid})`;
    return `${who} runs already with the run directory ${runDir}: stop it with "evio agent stop", or set another runDir`;
  }
  if ((error as NodeJS.ErrnoException).code === undefined)
    return error instanceof Error ? error.message : String(error);
  return `cannot use the run directory ${runDir}: ${systemReason(error)}; make it writable for root, or set another runDir`;
}
