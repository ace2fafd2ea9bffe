/** The live map of the cluster (docs/map.md), from what the operator's own watches have. */
import type { Log } from '../../../agent/src/io/log.ts';
import type { EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import { modelOf } from '../../../map/src/evio-nodes.ts';
import { pageAssets } from '../../../map/src/io/assets.ts';
import { Live } from '../../../map/src/io/live.ts';
import { MapServer } from '../../../map/src/io/server.ts';
import type { Source } from '../controller.ts';

export interface ClusterMapOptions {
  readonly members: Source<EvioNode>;
  /** Of the EvioNetwork. */
  readonly title: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Names under which browsers may ask, besides addresses and `localhost`. */
  readonly names: readonly string[];
  readonly log: Log;
}

export interface ClusterMap {
  readonly port: number;
  close(): void;
}

/** Throws one line when the port cannot be had. Nothing is computed while no EvioNode changes. */
export async function serveMap({ members, title, host, port, names, log }: ClusterMapOptions): Promise<ClusterMap> {
  let different = true;
  members.subscribe(() => {
    different = true;
  });
  const live = new Live({
    read: () => {
      // What is half listed would look as if the rest had joined a moment later.
      if (!different || !members.synced) return undefined;
      different = false;
      return modelOf(title, members.list());
    },
    failed: (problem) => {
      if (problem !== undefined) log.warn(`the map shows nothing new: ${problem}`);
    },
  });
  const server = await MapServer.listen({ host, port, assets: await pageAssets(), live, names });
  live.start();
  log.info(`the map is at http://${host.includes(':') ? `[${host}]` : host}:${server.port}/, read only`);
  return {
    port: server.port,
    close: () => {
      server.close();
      live.stop();
    },
  };
}
