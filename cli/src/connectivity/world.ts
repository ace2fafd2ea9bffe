/** The cluster as `evio connectivity` works in it: what has to be there, what it makes, and that nothing of it stays. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient } from '../../../agent/src/io/kube-client.ts';
import type { Connection } from '../../../agent/src/io/kube-connection.ts';
import { ApiFailure, isConflict, isForbidden } from '../../../agent/src/kube-api/client.ts';
import { EVIO_NETWORK } from '../../../agent/src/kube-api/evio-kinds.ts';
import {
  CONFIG_MAP,
  DAEMON_SET,
  kind,
  NAMESPACE,
  NODE,
  type Node,
  POD,
  type Pod,
  SERVICE,
  SERVICE_ACCOUNT,
} from '../../../agent/src/kube-api/kinds.ts';
import type { Applied, KubeObject } from '../../../agent/src/kube-api/object.ts';
import { AGENT } from '../../../operator/src/names.ts';
import { type ClusterAccess, connectCluster } from '../cluster.ts';
import { Failure, oneLine, UsageError } from '../failure.ts';
import {
  accountOf,
  answeringName,
  answeringPod,
  namespaceOf,
  OWNER_LABELS,
  orderMapOf,
  serviceOf,
} from './manifests.ts';
import { bracketed, type Order, type Target } from './order.ts';
import { hasEnded, isLinux, isReady, nodeTrouble, podTrouble, targetOf } from './pods.ts';

export const MANAGER = 'evio-connectivity';
const POLL_MS = 500;
const REMOVE_MS = 90_000;
/** API servers that are started anew take half a minute. */
const DELETE_AGAIN_MS = 30_000;

/** Exit code 3: the test could not be made; nothing is said of the network. */
export class NotRun extends Failure {
  override readonly exitCode = 3;
}

export interface WorldOptions extends ClusterAccess {
  /** Of the operator and the agents. */
  readonly evioNamespace: string;
  readonly namespace: string;
  /** Names of Nodes; undefined: all. */
  readonly nodes: readonly string[] | undefined;
  /** For pods to run. */
  readonly startMs: number;
  /** HOST:PORT; undefined: the API server, by the address that Nodes reach it at. */
  readonly outside: string | undefined;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  readonly tell: (text: string) => void;
}

interface Slice extends KubeObject {
  readonly endpoints?: readonly { readonly addresses?: readonly string[] }[];
  readonly ports?: readonly { readonly port?: number }[];
}
const ENDPOINT_SLICE = kind<Slice>('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices', true);

/** What is up when the answering pods are. */
export interface Standing {
  readonly order: Order;
  /** Nodes that take no part, and why. */
  readonly missing: readonly { readonly node: string; readonly why: string }[];
  /** All that should take part. */
  readonly nodes: readonly string[];
  readonly startedMs: number;
}

export class World {
  readonly client: ApiClient;
  readonly connection: Connection;
  readonly options: WorldOptions;
  #image = '';
  #nodes: readonly Node[] = [];
  #outside = '';
  #uid: string | undefined;

  private constructor(connection: Connection, options: WorldOptions) {
    this.connection = connection;
    this.client = new ApiClient(connection, { fieldManager: MANAGER });
    this.options = options;
  }

  /** Makes nothing yet. Throws NotRun, or UsageError for nodes that are not there. */
  static async find(options: WorldOptions): Promise<World> {
    const connection = await connectCluster(options).catch((error: unknown) => {
      throw new NotRun(oneLine(error));
    });
    const world = new World(connection, options);
    try {
      await world.#look();
    } catch (error) {
      connection.close();
      throw error instanceof ApiFailure ? new NotRun(error.message) : error;
    }
    return world;
  }

  get image(): string {
    return this.#image;
  }
  get nodes(): readonly string[] {
    return this.#nodes.map(({ metadata }) => metadata.name);
  }

  async #look(): Promise<void> {
    const { client, options } = this;
    const network = await client.find(EVIO_NETWORK, 'default').catch((error: unknown) => {
      if (error instanceof ApiFailure && error.reason === 'NoSuchKind')
        throw new NotRun(`Evio is not in this cluster (${this.connection.server}): see docs/install.md`);
      throw error;
    });
    if (network === undefined)
      throw new NotRun(
        'there is no EvioNetwork "default", so Evio joins nothing: kubectl apply -f manifests/samples/evionetwork.yaml',
      );
    const agents = await client.find(DAEMON_SET, `${options.evioNamespace}/${AGENT}`);
    const image = agents?.spec?.template.spec?.containers[0]?.image;
    if (image === undefined)
      throw new NotRun(
        `namespace ${options.evioNamespace} has no DaemonSet ${AGENT}: is Evio in another one (--namespace), and does its operator run?`,
      );
    this.#image = image;
    this.#outside = options.outside ?? (await this.#apiServer());
    const all = (await client.list(NODE)).filter(isLinux);
    const names = new Set(all.map(({ metadata }) => metadata.name));
    const unknown = options.nodes?.filter((name) => !names.has(name)) ?? [];
    if (unknown.length > 0)
      throw new UsageError(`--nodes: the cluster has no node ${unknown.join(', ')}; it has: ${[...names].join(', ')}`);
    this.#nodes = all.filter(({ metadata }) => options.nodes?.includes(metadata.name) ?? true);
  }

  /** Namespace, answering pods and Service, until they run or their time is up. */
  async start(): Promise<Standing> {
    const began = performance.now();
    const { client, options } = this;
    const { namespace, signal, tell } = options;
    tell(`namespace ${namespace}`);
    await this.#makeNamespace();
    signal.throwIfAborted();
    await client.create(SERVICE_ACCOUNT, accountOf(namespace));
    const service = await client.create(SERVICE, serviceOf(namespace));
    const missing: { node: string; why: string }[] = [];
    const waited: Node[] = [];
    for (const node of this.#nodes) {
      const why = nodeTrouble(node);
      if (why !== undefined) missing.push({ node: node.metadata.name, why });
      else waited.push(node);
    }
    await this.create(waited.map(({ metadata }) => answeringPod(namespace, metadata.name, this.#image)));
    const targets = await this.#answering(waited, missing);
    const nodePort = service.spec?.ports?.[0]?.nodePort;
    if (nodePort === undefined) throw new NotRun('the API server gave the Service no NodePort');
    const order: Order = {
      namespace,
      targets,
      clusterIPs: service.spec?.clusterIPs ?? [],
      nodePort,
      outside: this.#outside,
      patienceMs: options.patienceMs,
    };
    await client.create(CONFIG_MAP, orderMapOf(order));
    return { order, missing, nodes: this.nodes, startedMs: performance.now() - began };
  }

  async #makeNamespace(): Promise<void> {
    const { namespace } = this.options;
    try {
      // Not given up half way: what was made has to be known, to be taken away.
      this.#uid = (await this.client.create(NAMESPACE, namespaceOf(namespace))).metadata.uid;
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error;
      const { message } = error;
      if (!isConflict(error))
        throw new NotRun(`${message}${isForbidden(error) ? '; the test needs an administrator of the cluster' : ''}`);
      const there = await this.client.find(NAMESPACE, namespace);
      const ours = Object.entries(OWNER_LABELS).every(([key, value]) => there?.metadata.labels?.[key] === value);
      const help = ours
        ? `another test runs, or one was kept; to remove it: kubectl delete namespace ${namespace}`
        : 'it is not of a test: name another one with --test-namespace';
      throw new NotRun(`namespace ${namespace} is there already: ${help}`);
    }
  }

  async create(pods: readonly Applied<Pod>[]): Promise<void> {
    for (const pod of pods) {
      this.options.signal.throwIfAborted();
      await this.client.create(POD, pod);
    }
  }

  async pods(): Promise<ReadonlyMap<string, Pod>> {
    const all = await this.client.list(POD, { namespace: this.options.namespace });
    return new Map(all.map((pod) => [pod.metadata.name, pod]));
  }

  pause(): Promise<void> {
    return sleep(POLL_MS, undefined, { signal: this.options.signal });
  }

  async #answering(nodes: readonly Node[], missing: { node: string; why: string }[]): Promise<readonly Target[]> {
    const end = performance.now() + this.options.startMs;
    for (;;) {
      const pods = await this.pods();
      const ofNode = nodes.map((node) => ({ node, pod: pods.get(answeringName(node.metadata.name)) }));
      const up = ofNode.flatMap(({ node, pod }) => (pod !== undefined && isReady(pod) ? [targetOf(node, pod)] : []));
      const open = ofNode.filter(({ pod }) => pod === undefined || (!isReady(pod) && !hasEnded(pod)));
      this.options.tell(`pods that answer: ${up.length} of ${nodes.length}`);
      if (open.length === 0 || performance.now() >= end) {
        for (const { node, pod } of ofNode)
          if (pod === undefined || !isReady(pod))
            missing.push({ node: node.metadata.name, why: pod === undefined ? 'its pod is gone' : podTrouble(pod) });
        return up;
      }
      await this.pause();
    }
  }

  /** Where Nodes reach the API server: an address that is there without the overlay, and that no packet leaves the site for. */
  async #apiServer(): Promise<string> {
    const slice = await this.client.find(ENDPOINT_SLICE, 'default/kubernetes');
    const [address, port] = [slice?.endpoints?.[0]?.addresses?.[0], slice?.ports?.[0]?.port];
    if (address === undefined || port === undefined)
      throw new NotRun(
        'the Service "kubernetes" has no endpoint to ask as the outside; name one with --outside HOST:PORT',
      );
    return `${bracketed(address)}:${port}`;
  }

  /** The end of a pod's log. Throws a Failure of one line. */
  async log(pod: string, timeoutMs: number, where = this.options.namespace, query = ''): Promise<string> {
    const path = `/api/v1/namespaces/${where}/pods/${encodeURIComponent(pod)}/log${query}`;
    const { status, text } = await this.connection.request({ method: 'GET', path, timeoutMs });
    if (status === 200) return text;
    let message = text;
    try {
      message = String((JSON.parse(text) as { message?: unknown }).message);
    } catch {
      // Not of the API server: it is shown as it is.
    }
    throw new Failure(oneLine(message).slice(0, 200));
  }

  /** Takes the namespace away with all that is in it, and waits for that. What stays is said by the Failure. */
  async remove(): Promise<void> {
    const { namespace, tell } = this.options;
    const uid = this.#uid;
    if (uid === undefined) return;
    tell(`removing namespace ${namespace}`);
    const stays = `namespace ${namespace} stays; remove it: kubectl delete namespace ${namespace}`;
    const end = performance.now() + REMOVE_MS;
    const again = performance.now() + DELETE_AGAIN_MS;
    for (let deleted = false; ; ) {
      try {
        if (!deleted) await this.client.delete(NAMESPACE, namespace, { uid });
        deleted = true;
        if ((await this.client.find(NAMESPACE, namespace))?.metadata.uid !== uid) break;
        if (performance.now() >= end)
          throw new Failure(`namespace ${namespace} is being deleted, and still there after ${REMOVE_MS / 1000} s`);
      } catch (error) {
        if (!(error instanceof ApiFailure)) throw error;
        const { message } = error;
        // The uid is another's: it is gone already.
        if (isConflict(error)) break;
        if (isForbidden(error) || performance.now() >= (deleted ? end : again))
          throw new Failure(`${message}; ${stays}`);
      }
      await sleep(POLL_MS);
    }
    this.#uid = undefined;
  }

  close(): void {
    this.connection.close();
  }
}
