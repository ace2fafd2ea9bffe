/** What a node's agent writes to the API server: the status of its EvioNode, its Lease, and its Node's taint, which it takes off. */
import type { EvioNodeStatus } from '../../../crds/src/evio-node.ts';
import type { KubernetesOptions } from '../kube/options.ts';
import { Reporter, type ReporterEvent } from '../kube/reporter.ts';
import { untaint } from '../kube/taint.ts';
import { Backoff } from '../kube-api/backoff.ts';
import { ApiFailure, type Client } from '../kube-api/client.ts';
import { EVIO_NODE } from '../kube-api/evio-kinds.ts';
import { LEASE, NODE } from '../kube-api/kinds.ts';
import { apiVersionOf } from '../kube-api/object.ts';
import type { Failure } from '../kube-api/reflector.ts';
import type { Instant } from '../machine.ts';
import { Told } from '../told.ts';
import type { Log } from './log.ts';

/** Who owns what the agent applies (server-side apply). */
export const FIELD_MANAGER = 'evio-agent';
/** As kubelets do it (KEP-589). */
export const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
/** A Node that is made anew has its taint again, and nobody tells us. */
const LOOK_FOR_TAINT_MS = 600_000;

type Source = 'watch' | 'status' | 'lease' | 'taint';

export class ClusterWriter {
  readonly #client: Client;
  readonly #options: Pick<KubernetesOptions, 'nodeName' | 'namespace'>;
  readonly #log: Log;
  readonly #reporter = new Reporter(Math.random);
  readonly #told = { watch: new Told(), status: new Told(), lease: new Told(), taint: new Told() } as const;
  /** No answer at all is the same for whoever asks. */
  readonly #away = new Told();
  readonly #taintBackoff = new Backoff({ firstMs: 1_000, maxMs: 30_000, random: Math.random });
  #unanswered: { readonly why: string; readonly since: Instant } | undefined;
  #uid: string | undefined;
  #lookAt: Instant = 0;
  #looking = false;
  #renewing = false;
  #heartbeat: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(client: Client, options: Pick<KubernetesOptions, 'nodeName' | 'namespace'>, log: Log) {
    this.#client = client;
    this.#options = options;
    this.#log = log;
  }

  start(): void {
    this.#heartbeat = setInterval(() => void this.#renew(), RENEW_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#timer);
  }

  /** The EvioNode as it is; `keyed`: with our keys in its status. */
  seen(node: { readonly uid: string; readonly keyed: boolean } | undefined): void {
    if (node !== undefined && node.uid !== this.#uid) {
      this.#lookAt = 0;
      this.#uid = node.uid;
      void this.#renew();
    }
    this.#give({ kind: 'seen', node });
  }

  want(status: EvioNodeStatus): void {
    this.#give({ kind: 'wanted', status });
  }

  /** Pods may start: the taint goes, now and whenever it comes back. */
  untaint(): void {
    if (this.#looking || this.#stopped || performance.now() < this.#lookAt) return;
    this.#looking = true;
    void this.#untaint().then(
      (taken) => {
        this.well('taint');
        this.#taintBackoff.reset();
        this.#lookAt = performance.now() + LOOK_FOR_TAINT_MS;
        this.#looking = false;
        if (taken) this.#log.info('the node takes pods: its taint is off');
      },
      (error: ApiFailure) => {
        this.problem('taint', error);
        this.#lookAt = performance.now() + this.#taintBackoff.pauseMs(retryAfter(error));
        this.#looking = false;
      },
    );
  }

  /** Since when and why no answer comes; undefined: the last one came. */
  get unanswered(): { readonly why: string; readonly since: Instant } | undefined {
    return this.#unanswered;
  }

  /** Told once for each source, and once for all while no answer comes. */
  problem(source: Source, { status, message, why = message }: Pick<Failure, 'status' | 'message' | 'why'>): void {
    if (this.#stopped) return;
    const away = status === 0;
    this.#unanswered = away ? { why, since: this.#unanswered?.since ?? performance.now() } : undefined;
    if ((away ? this.#away : this.#told[source]).problem(away ? why : message))
      this.#log.warn(away ? `the API server cannot be asked: ${why}; the node goes on with what it knows` : message);
  }

  well(source: Source): void {
    this.#told[source].well();
    this.#unanswered = undefined;
    if (this.#away.well()) this.#log.info('the API server answers again');
  }

  #give(event: ReporterEvent): void {
    if (this.#stopped) return;
    for (const { status } of this.#reporter.handle(event, performance.now())) void this.#write(status);
    clearTimeout(this.#timer);
    const at = this.#reporter.deadline();
    if (at === undefined) return;
    this.#timer = setTimeout(() => this.#give({ kind: 'deadline' }), Math.max(1, Math.ceil(at - performance.now())));
  }

  async #write(status: EvioNodeStatus): Promise<void> {
    const { nodeName } = this.#options;
    try {
      await this.#client.applyStatus(EVIO_NODE, { metadata: { name: nodeName }, status });
      this.well('status');
      this.#give({ kind: 'written' });
    } catch (error) {
      this.problem('status', error as ApiFailure);
      this.#give({ kind: 'failed', retryAfterMs: retryAfter(error) });
    }
  }

  /** Liveness (KEP-589's node leases): seldom read, and small. */
  async #renew(): Promise<void> {
    // It goes with the EvioNode, so there is none before it: that of an agent that ends at once would stay.
    if (this.#renewing || this.#stopped || this.#uid === undefined) return;
    this.#renewing = true;
    const { nodeName, namespace } = this.#options;
    const name = `evio-node-${nodeName}`;
    const { kind } = EVIO_NODE;
    const owner = { apiVersion: apiVersionOf(EVIO_NODE), kind, name: nodeName, uid: this.#uid };
    try {
      await this.#client.apply(LEASE, {
        metadata: { name, namespace, ownerReferences: [owner] },
        spec: {
          holderIdentity: nodeName,
          leaseDurationSeconds: LEASE_SECONDS,
          // MicroTime of meta/v1.
          renewTime: new Date().toISOString().replace('Z', '000Z'),
        },
      });
      this.well('lease');
    } catch (error) {
      this.problem('lease', error as ApiFailure);
    }
    this.#renewing = false;
  }

  async #untaint(): Promise<boolean> {
    const { nodeName } = this.#options;
    const patch = untaint(await this.#client.get(NODE, nodeName));
    if (patch === undefined) return false;
    await this.#client.patch(NODE, nodeName, patch);
    return true;
  }
}

const retryAfter = (error: unknown): number => (error instanceof ApiFailure ? (error.retryAfterMs ?? 0) : 0);
