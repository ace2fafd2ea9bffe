/** The operator as a process: settings from the environment, one runtime, four controllers. */

import { ApiClient } from '../../agent/src/io/kube-client.ts';
import { Connection } from '../../agent/src/io/kube-connection.ts';
import { createLog, type Log } from '../../agent/src/io/log.ts';
import { TOKENS_CONFIG_MAP } from '../../agent/src/join/cluster-token.ts';
import { EVIO_NETWORK, EVIO_NODE, EVIO_PEER } from '../../agent/src/kube-api/evio-kinds.ts';
import {
  CONFIG_MAP,
  DAEMON_SET,
  DEPLOYMENT,
  NODE,
  type Node,
  POD,
  type Pod,
  SECRET,
} from '../../agent/src/kube-api/kinds.ts';
import { VERSION } from '../../agent/src/version.ts';
import { NETWORK_NAME } from '../../crds/src/evio-network.ts';
import type { Watching } from './controller.ts';
import { ClusterDesk } from './controllers/join/desk.ts';
import { joinController } from './controllers/join/index.ts';
import { networkController } from './controllers/network/index.ts';
import { nodeController } from './controllers/node/index.ts';
import { peerController } from './controllers/peer/index.ts';
import { type World, type WorldParts, worldOf } from './controllers/world.ts';
import { findAccess } from './io/access.ts';
import { Applier } from './io/applier.ts';
import { AuthorityBook } from './io/authority-book.ts';
import { applyDefinitions } from './io/definitions.ts';
import { Members } from './io/members.ts';
import { type ProbeAnswers, Probes } from './io/probes.ts';
import { RelayWatch } from './io/relay-watch.ts';
import { SignallingLink } from './io/signalling-link.ts';
import { Surroundings } from './io/surroundings.ts';
import { MANAGER } from './names.ts';
import { createRuntime, type OperatorRuntime } from './runtime.ts';
import { readSettings, type Settings } from './settings.ts';

/** Wakes a controller for what is in no cache. */
class Signal {
  readonly #keys: () => Iterable<string>;
  #enqueue: ((key: string) => void) | undefined;

  constructor(keys: () => Iterable<string>) {
    this.#keys = keys;
  }

  fire(): void {
    for (const key of this.#keys()) this.#enqueue?.(key);
  }

  get watching(): Watching {
    const source = { synced: true, list: () => [], subscribe: () => undefined };
    return {
      source,
      known: () => [],
      start: (enqueue) => {
        this.#enqueue = enqueue;
      },
    };
  }
}

/** Of a Node, what is looked at; its images and volumes are the larger part. */
const keepOfNode = ({ metadata, spec, status }: Node): Node => {
  const { taints } = spec ?? {};
  const { addresses, conditions } = status ?? {};
  const ready = conditions?.filter(({ type }) => type === 'Ready');
  return {
    metadata,
    spec: taints === undefined ? {} : { taints },
    status: {
      ...(addresses === undefined ? {} : { addresses }),
      ...(ready === undefined ? {} : { conditions: ready }),
    },
  };
};

/** Where it is, and what it is of. */
const keepOfPod = ({ metadata, spec }: Pod): Pod => ({
  metadata,
  spec: { containers: [], ...(spec?.nodeName === undefined ? {} : { nodeName: spec.nodeName }) },
});

export interface Operator {
  readonly runtime: OperatorRuntime;
  readonly world: World;
  /** Until `signal`; false when another process leads now. */
  run(signal: AbortSignal): Promise<boolean>;
}

export interface OperatorOptions {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly log: Log;
  readonly identity?: string;
  /** Seconds since 1970; for tests of what takes weeks. */
  readonly now?: () => number;
}

export function createOperator({ settings, connection, log, identity, now }: OperatorOptions): Operator {
  const { namespace, healthPort } = settings;
  const runtime = createRuntime({
    connection,
    log,
    name: MANAGER,
    lease: `${namespace}/${MANAGER}`,
    ...(identity === undefined ? {} : { identity }),
    ...(healthPort === 0 ? {} : { probes: { host: '127.0.0.1', port: healthPort } }),
  });
  const { client, events } = runtime;
  const nodes = runtime.cache(NODE, { keep: keepOfNode });
  const memberCache = runtime.cache(EVIO_NODE);
  const peers = runtime.cache(EVIO_PEER);
  const secrets = runtime.cache(SECRET, { namespace });
  const nodeSignal = new Signal(() => [...nodes.list(), ...memberCache.list()].map(({ metadata }) => metadata.name));
  const networkSignal = new Signal(() => [NETWORK_NAME]);
  const joinSignal = new Signal(() => [NETWORK_NAME]);
  const wake = (): void => {
    networkSignal.fire();
    nodeSignal.fire();
    joinSignal.fire();
  };
  const parts: WorldParts = {
    settings,
    client,
    events,
    log,
    networks: runtime.cache(EVIO_NETWORK),
    nodes,
    memberCache,
    peers,
    secrets,
    configMaps: runtime.cache(CONFIG_MAP, { namespace, fieldSelector: `metadata.name=${TOKENS_CONFIG_MAP}` }),
    daemonSets: runtime.cache(DAEMON_SET, { namespace }),
    deployments: runtime.cache(DEPLOYMENT, { namespace }),
    pods: runtime.cache(POD, { namespace, labelSelector: `app.kubernetes.io/managed-by=${MANAGER}`, keep: keepOfPod }),
    members: new Members(memberCache),
    book: new AuthorityBook(client, secrets, namespace),
    link: new SignallingLink(log, wake),
    relay: new RelayWatch(() => networkSignal.fire()),
    applier: new Applier(client),
    surroundings: new Surroundings(client, settings),
    now: now ?? (() => Math.floor(Date.now() / 1000)),
  };
  const world = worldOf(parts, (of) => new ClusterDesk(of));
  runtime.add(networkController(world, networkSignal.watching));
  runtime.add(nodeController(world, nodeSignal.watching));
  runtime.add(joinController(world, joinSignal.watching));
  runtime.add(peerController(world));
  return { runtime, world, run: (signal) => runOperator(runtime, world, settings, signal) };
}

async function runOperator(
  runtime: OperatorRuntime,
  world: World,
  settings: Settings,
  signal: AbortSignal,
): Promise<boolean> {
  const { metrics } = runtime;
  const answers = {
    alive: () => undefined,
    ready: () => undefined,
    metrics: async () => ({ text: await metrics.registry.metrics(), contentType: metrics.registry.contentType }),
  };
  const served = settings.metricsPort === 0 ? undefined : await listenEverywhere(settings.metricsPort, answers);
  let map: { close(): void } | undefined;
  try {
    map = await mapOf(world, settings);
    return await runtime.run(signal);
  } finally {
    served?.close();
    map?.close();
    world.join.close();
    world.link.close();
    world.relay.close();
  }
}

/** Loaded only where it is wanted. Also by who waits to lead: it has the same caches. */
async function mapOf({ memberCache: members, log }: World, { map }: Settings): Promise<{ close(): void } | undefined> {
  if (map.port === 0) return undefined;
  const { serveMap } = await import('./io/map.ts');
  return serveMap({ members, title: NETWORK_NAME, host: map.address, port: map.port, names: map.names, log });
}

/** On all addresses, in both families where the machine has both. */
async function listenEverywhere(port: number, answers: ProbeAnswers): Promise<Probes> {
  try {
    return await Probes.listen('::', port, answers);
  } catch {
    return await Probes.listen('0.0.0.0', port, answers);
  }
}

async function main(): Promise<number> {
  const settings = readSettings(process.env, VERSION);
  const log = createLog({ level: settings.logLevel, format: settings.logFormat }, { component: 'operator' });
  const { apiServers: servers, apiServersSeen: first } = settings;
  const connection = new Connection(await findAccess({ servers, first }), { userAgent: `${MANAGER}/${VERSION}` });
  const end = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => end.abort());
  log.info(`operator ${VERSION} of namespace ${settings.namespace}, at ${connection.server}`);
  await applyDefinitions(new ApiClient(connection, { fieldManager: MANAGER }), log);
  const operator = createOperator({
    settings,
    connection,
    log,
    ...(settings.podName === undefined ? {} : { identity: settings.podName }),
  });
  if (await operator.run(end.signal)) return 0;
  log.warn('another operator leads: this one ends, to be started anew');
  return 1;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    process.stderr.write(`evio-operator: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
