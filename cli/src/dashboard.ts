/** The map of one node, without a cluster: its agent is asked each second while somebody looks, and served to browsers on this machine. */
import { randomBytes } from 'node:crypto';
import type { Peer, Status, TraceResult } from '../../agent/src/api.ts';
import { pageAssets } from '../../map/src/io/assets.ts';
import { Live } from '../../map/src/io/live.ts';
import { MapServer } from '../../map/src/io/server.ts';
import type { MapModel, TraceShown } from '../../map/src/model.ts';
import { type Counted, countedOf, modelOfNode } from '../../map/src/one-node.ts';
import { AgentClient, withAgent } from './agent-client.ts';
import { Failure, oneLine } from './failure.ts';
import { traceShown } from './trace-text.ts';

const ASK_MS = 5_000;
/** As `evio trace` waits. */
const TRACE_MS = 60_000;

export interface DashboardOptions {
  readonly runDir: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly names: readonly string[];
  /** Whether who has the key may run traces. */
  readonly traces: boolean;
  /** Told what is wrong in one line, and undefined when all is well again. */
  told(problem: string | undefined): void;
}

/** Throws in one line when there is no agent at first, or the port cannot be had; an agent that goes later is waited for. */
export async function startDashboard(options: DashboardOptions): Promise<{
  readonly port: number;
  /** By which a page may run traces: a secret. */
  readonly key: string | undefined;
  close(): void;
}> {
  const node = new NodeSource(options.runDir);
  try {
    await node.read();
    const live = new Live({ read: () => node.read(), failed: (problem) => options.told(problem) });
    const { host, port, names } = options;
    const key = options.traces ? randomBytes(16).toString('hex') : undefined;
    const traces =
      key === undefined ? {} : { traces: { key, run: (from: string, to: string) => node.trace(from, to) } };
    const server = await MapServer.listen({ host, port, names, live, assets: await pageAssets(), ...traces });
    live.start();
    return {
      port: server.port,
      key,
      close: () => {
        server.close();
        live.stop();
        node.close();
      },
    };
  } catch (error) {
    node.close();
    throw error instanceof Failure ? error : new Failure(oneLine(error));
  }
}

class NodeSource {
  readonly #runDir: string;
  #agent: AgentClient | undefined;
  #before: Counted | undefined;

  constructor(runDir: string) {
    this.#runDir = runDir;
  }

  async read(): Promise<MapModel> {
    try {
      this.#agent ??= await AgentClient.open(this.#runDir);
      const agent = this.#agent;
      const [status, { peers }] = await Promise.all([
        agent.request<Status>('status', {}, ASK_MS),
        agent.request<{ readonly peers: readonly Peer[] }>('peers', {}, ASK_MS),
      ]);
      const now = Date.now();
      const model = modelOfNode(status, peers, this.#before, now);
      this.#before = countedOf(peers, now);
      return model;
    } catch (error) {
      // A restarted agent has another socket.
      this.close();
      throw error;
    }
  }

  /** Over a connection of its own: it takes longer than the map waits. */
  trace(from: string, to: string): Promise<TraceShown> {
    return withAgent({ runDir: this.#runDir }, async (agent) =>
      traceShown(await agent.request<TraceResult>('trace', { from, to }, TRACE_MS)),
    );
  }

  close(): void {
    this.#agent?.close();
    this.#agent = undefined;
    this.#before = undefined;
  }
}
