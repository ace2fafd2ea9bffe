/** A real API server with EvioNodes in it whose agents go on writing their status, and the operator's map of them. */
import type { ApiClient } from '../../agent/src/io/kube-client.ts';
import { Informer } from '../../agent/src/io/kube-informer.ts';
import { EVIO_NODE, type EvioNode } from '../../agent/src/kube-api/evio-kinds.ts';
import { modelOf } from '../../map/src/evio-nodes.ts';
import { pageAssets } from '../../map/src/io/assets.ts';
import { Live } from '../../map/src/io/live.ts';
import { MapServer } from '../../map/src/io/server.ts';
import type { TraceShown } from '../../map/src/model.ts';
import { readiness, type Status } from '../../map/src/testing/cluster.ts';
import { type ClusterMap, serveMap } from '../../operator/src/io/map.ts';
import { clientOf, connect, keptLog } from '../contract/operator/kit.ts';
import { startEvioApi } from '../servers/evio-api.ts';
import type { KubeApi } from '../servers/kube-api.ts';
import { pick, seeded } from '../sim/random.ts';

const AT_ONCE = 8;

export class Cluster {
  readonly #api: KubeApi;
  readonly #informer: Informer<EvioNode>;
  readonly #connection: ReturnType<typeof connect>;
  readonly #nodes: readonly EvioNode[];
  readonly #client: ApiClient;
  readonly #statuses: Map<string, Status>;
  readonly #random = seeded(11);
  #map: ClusterMap | undefined;
  #port = 0;
  #streaming: Promise<number> | undefined;
  #over = false;

  static async start(nodes: readonly EvioNode[]): Promise<Cluster> {
    const cluster = new Cluster(await startEvioApi(), nodes);
    try {
      await cluster.#fill();
      cluster.#informer.start();
      await cluster.#informer.whenSynced();
      await cluster.serve();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  private constructor(api: KubeApi, nodes: readonly EvioNode[]) {
    this.#api = api;
    this.#nodes = nodes;
    this.#connection = connect(api);
    this.#client = clientOf(this.#connection, 'evio-agent');
    this.#statuses = new Map(nodes.map(({ spec, status }) => [spec.memberName, status ?? {}]));
    this.#informer = new Informer({ kind: EVIO_NODE, connection: this.#connection, log: keptLog() });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** The same port again after `away`. */
  async serve(): Promise<void> {
    this.#map = await serveMap({
      members: this.#informer,
      title: 'default',
      host: '127.0.0.1',
      port: this.#port,
      names: [],
      log: keptLog(),
    });
    this.#port = this.#map.port;
  }

  away(): void {
    this.#map?.close();
  }

  /** As agents do it: the whole, by server-side apply. */
  async status(name: string, change: Partial<Status>): Promise<void> {
    const status = { ...this.#statuses.get(name), ...change };
    this.#statuses.set(name, status);
    await this.#client.applyStatus(EVIO_NODE, { metadata: { name }, status });
  }

  /** As when an agent lost its server. */
  ill = (name: string): Promise<void> => this.status(name, { conditions: [readiness(false, 'SignallingLost')] });

  well = (name: string): Promise<void> => this.status(name, { conditions: [readiness(true)] });

  /** From now on agents write other round trips, paths and states, as fast as the server takes them; `calm` ends it. */
  stream(): void {
    this.#over = false;
    this.#streaming = (async () => {
      let written = 0;
      while (!this.#over) {
        const { spec, status } = pick(this.#random, this.#nodes);
        const tunnels = (status?.tunnels ?? []).map((tunnel) => {
          const chance = this.#random();
          if (chance > 0.3) return tunnel;
          if (chance < 0.02) return { ...tunnel, state: 'Down' as const, path: 'Via' as const };
          return {
            ...tunnel,
            rttMs: 1 + Math.floor(this.#random() * 90),
            ...(chance < 0.05 ? { path: 'Relayed' as const } : {}),
          };
        });
        const ready = this.#random() > 0.05;
        await this.status(spec.memberName, { tunnels, conditions: [readiness(ready)] });
        written++;
      }
      return written;
    })();
  }

  /** How many statuses were written. */
  async calm(): Promise<number> {
    this.#over = true;
    return (await this.#streaming) ?? 0;
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#streaming?.catch(() => undefined);
    this.#map?.close();
    this.#informer.stop();
    this.#connection.close();
    await this.#api.stop();
  }

  async #fill(): Promise<void> {
    const left = [...this.#nodes];
    const one = async (): Promise<void> => {
      for (let node = left.pop(); node !== undefined; node = left.pop()) {
        const { spec } = node;
        await this.#client.create(EVIO_NODE, { metadata: { name: spec.memberName }, spec });
        await this.status(spec.memberName, {});
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  }
}

/** A map of EvioNodes that are only here: for looks. */
export function smallMap(nodes: readonly EvioNode[]): Promise<ClusterMap> {
  const members = { synced: true, list: () => nodes, subscribe: () => undefined };
  return serveMap({ members, title: 'default', host: '127.0.0.1', port: 0, names: [], log: keptLog() });
}

/** The same with traces for who has the key; what is traced comes of `run`. */
export async function tracedMap(
  nodes: readonly EvioNode[],
  key: string,
  run: (from: string, to: string) => Promise<TraceShown>,
): Promise<{ readonly port: number; close(): void }> {
  const live = new Live({ read: () => modelOf('default', nodes) });
  const server = await MapServer.listen({
    ...{ host: '127.0.0.1', port: 0, assets: await pageAssets(), live, traces: { key, run } },
  });
  live.start();
  return {
    port: server.port,
    close: () => {
      server.close();
      live.stop();
    },
  };
}
