/**
 * The agent of a cluster's node: enrolment, status, liveness, pods. It is the one place where those parts meet; the node itself is as
 * anywhere else, and needs none of this to carry traffic: everything here goes on trying while the API server is away.
 */
import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { EvioNodeStatus } from '../../crds/src/evio-node.ts';
import { loadNodeConfig } from './config/load.ts';
import type { NodeConfig } from './config/node-config.ts';
import { clusterFindings } from './diagnosis/cluster.ts';
import type { Finding } from './diagnosis/finding.ts';
import { ApiError } from './io/api-server.ts';
import { readIfThere } from './io/atomic-file.ts';
import { CniHost } from './io/cni-host.ts';
import { serveHealth, serveMetrics } from './io/health.ts';
import { apiServerAccess } from './io/kube-access.ts';
import { ApiClient } from './io/kube-client.ts';
import { Connection } from './io/kube-connection.ts';
import { KubeFiles } from './io/kube-files.ts';
import { type Informer, watchObject } from './io/kube-informer.ts';
import { ClusterWriter, FIELD_MANAGER } from './io/kube-writer.ts';
import type { Log } from './io/log.ts';
import { ServiceAccount } from './io/service-account.ts';
import { surroundings } from './io/surroundings.ts';
import { systemReason } from './io/system-error.ts';
import { Conditions, type Picture, type PodNetwork, verdicts } from './kube/conditions.ts';
import { Enroller, type EnrollerAction } from './kube/enroller.ts';
import { publicKeys } from './kube/enrolment.ts';
import { ipamOf, poolsOf } from './kube/ipam.ts';
import type { KubernetesOptions } from './kube/options.ts';
import { DataPathProof } from './kube/proof.ts';
import { statusOf } from './kube/status.ts';
import { EVIO_NODE, type EvioNode } from './kube-api/evio-kinds.ts';
import { endOnSignals } from './main.ts';
import type { Node } from './node.ts';
import { obstacle, StartError } from './obstacle.ts';
import { Runner } from './runner.ts';
import { VERSION } from './version.ts';

/** How it is is looked at so often while the node is not ready, and when it is. */
const TICK_MS = { unready: 1_000, ready: 3_000 };
/** What could not be written to the disk. */
const STORE_RETRY_MS = 5_000;
const PING_MS = 1_000;
const ANSWER_MS = 10_000;
/** A whole Node is the largest that is asked for. */
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;
/** A node that starts again, or is exchanged for itself, is what it was for so long: its conditions do not come and go with that. */
const HOLD_MS = 10_000;

/** Runs until the process is told to end; tincan is never ended. Resolves with the exit code; throws StartError. */
export async function runKubernetesAgent(options: KubernetesOptions, log: Log): Promise<number> {
  const problem = obstacle(surroundings(), 'external');
  if (problem !== undefined) throw new StartError(problem);
  const files = new KubeFiles(options.stateDir);
  const findings = () => agent.findings;
  const runner = await Runner.claim(options.runDir, log, { tincan: 'external', findings });
  const agent = new ClusterAgent(options, files, runner, log);
  return agent.run();
}

class ClusterAgent {
  readonly #options: KubernetesOptions;
  readonly #files: KubeFiles;
  readonly #runner: Runner;
  readonly #log: Log;
  readonly #keys;
  readonly #enroller: Enroller;
  /** Enrolled in an earlier life. */
  readonly #known: boolean;
  readonly #proof = new DataPathProof();
  readonly #conditions = new Conditions();
  readonly #connection: Connection;
  readonly #watch: Informer<EvioNode>;
  readonly #writer: ClusterWriter;
  readonly #cni: CniHost;
  readonly #since = performance.now();
  #object: EvioNode | undefined;
  /** The serial that the node runs with. */
  #serial: string | undefined;
  #status: EvioNodeStatus | undefined;
  #standingTold = '';
  /** The tincan for which a proof was looked for, and for which one was kept. */
  #proofOf: string | undefined;
  #proofKept: string | undefined;
  #held: { readonly until: number; readonly former: Node | undefined } | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #next: NodeJS.Timeout | undefined;

  constructor(options: KubernetesOptions, files: KubeFiles, runner: Runner, log: Log) {
    this.#options = options;
    this.#files = files;
    this.#runner = runner;
    this.#log = log;
    const own = files.keys();
    this.#keys = publicKeys(own);
    const stored = files.stored();
    this.#known = stored !== undefined;
    this.#enroller = new Enroller({
      own,
      place: {
        runDir: options.runDir,
        stateDir: options.nodeStateDir,
        logLevel: options.logLevel,
        switch: options.switch,
      },
      pinned: files.pinned(),
      pinFile: files.pinFile,
      stored,
    });
    this.#connection = new Connection(
      apiServerAccess(options.apiServers, new ServiceAccount(options.serviceAccountDir)),
      {
        userAgent: `${FIELD_MANAGER}/${VERSION}`,
        remembered: files.apiServers(),
        remember: (good) => this.#onDisk('where the API server answered', () => files.rememberApiServers(good)),
        maxAnswerBytes: ANSWER_MAX_BYTES,
      },
    );
    const client = new ApiClient(this.#connection, { fieldManager: FIELD_MANAGER, timeoutMs: ANSWER_MS });
    this.#writer = new ClusterWriter(client, options, log);
    this.#watch = watchObject(
      options.nodeName,
      {
        kind: EVIO_NODE,
        connection: this.#connection,
        log,
        patience: { pageMs: ANSWER_MS, openMs: ANSWER_MS },
        trouble: (failure) =>
          failure === undefined ? this.#writer.well('watch') : this.#writer.problem('watch', failure),
      },
      (object) => this.#seen(object),
    );
    this.#cni = new CniHost({
      ...options.cni,
      report: (level, message) => log[level](message),
      changed: () => this.#tick(),
    });
  }

  async run(): Promise<number> {
    endOnSignals(this.#runner);
    this.#runner.api.answerBy(async (method) => {
      if (method === 'findings') return { findings: this.findings };
      throw new ApiError('starting', this.#whyNot());
    });
    if (this.#enroller.stored !== undefined) this.#startStored();
    this.#watch.start();
    this.#writer.start();
    const { healthPort, metricsPort } = this.#options;
    const metrics = async () => {
      const { node } = this.#runner;
      if (node === undefined) throw new Error(this.#whyNot());
      return node.metrics(this.#pools());
    };
    const open =
      metricsPort === 0
        ? undefined
        : serveMetrics(
            metricsPort,
            { metrics, isOwn: (address) => this.#runner.node?.owns(address) === true },
            (message) => this.#log.warn(message),
          );
    const health =
      healthPort === 0
        ? undefined
        : serveHealth(
            healthPort,
            {
              state: () => this.#health(),
              metrics,
            },
            'give another --health-port',
            (message) => this.#log.warn(message),
          );
    this.#turn();
    try {
      return await this.#runner.ended;
    } finally {
      for (const timer of [...this.#timers, this.#next]) clearTimeout(timer);
      health?.close();
      open?.close();
      this.#watch.stop();
      this.#writer.stop();
      this.#cni.stop();
      this.#connection.close();
    }
  }

  /** What is wrong with the node as part of the cluster, by its cause. */
  get findings(): readonly Finding[] {
    const { standing, stored } = this.#enroller;
    const unanswered = this.#writer.unanswered;
    const { server } = this.#connection;
    const now = performance.now();
    const subnets = stored?.pods?.subnets;
    return clusterFindings({
      node: this.#options.nodeName,
      uptimeMs: now - this.#since,
      away: unanswered && {
        server,
        why: unanswered.why.replace(`${server}: `, ''),
        sinceMs: now - unanswered.since,
      },
      standing: standing.kind === 'enrolled' ? undefined : standing,
      object: { seen: this.#object !== undefined, podCIDRs: this.#object?.spec.podCIDRs ?? [] },
      subnets,
      cni: this.#cni.problems,
      pools: this.#pools().map((pool) => ({ ...pool, store: this.#cni.store })),
    });
  }

  /** What pods have of each piece. */
  #pools(): ReturnType<typeof poolsOf> {
    const subnets = this.#enroller.stored?.pods?.subnets;
    return subnets === undefined ? [] : poolsOf(subnets, this.#cni.addresses());
  }

  // Enrolment.

  /** The API server may be away for days: the node starts from what it knows. */
  #startStored(): void {
    try {
      const config = this.#config();
      this.#serial = this.#enroller.stored?.serial;
      this.#hold();
      this.#runner.start(config);
    } catch (error) {
      // The cluster has it all the same.
      this.#log.error(`the stored enrolment cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #config(): NodeConfig {
    // Whether the certificate has run out or the clock is wrong shows when other members are heard.
    return loadNodeConfig(this.#files.nodeFile, { expired: true });
  }

  #seen(object: EvioNode | undefined): void {
    this.#object = object;
    if (object?.status?.conditions !== undefined) this.#conditions.adopt(object.status.conditions);
    this.#carryOut(this.#enroller.handle(object));
    const { standing } = this.#enroller;
    const told = standing.kind === 'enrolled' ? '' : standing.message;
    if (told !== this.#standingTold && told !== '') this.#log[standing.kind === 'refused' ? 'error' : 'info'](told);
    this.#standingTold = told;
    // With what the object says of earlier times, before it is written.
    this.#tick();
    const keyed = object?.status?.keys?.identityKey === this.#keys.identityKey;
    this.#writer.seen(object === undefined ? undefined : { uid: object.metadata.uid ?? '', keyed });
  }

  #carryOut(actions: readonly EnrollerAction[]): void {
    for (const [at, action] of actions.entries()) {
      if (this.#onDisk('the enrolment', () => this.#enrol(action))) continue;
      // A full disk: what is not stored is not used.
      this.#timers.push(setTimeout(() => this.#carryOut(actions.slice(at)), STORE_RETRY_MS));
      return;
    }
  }

  #enrol(action: EnrollerAction): void {
    switch (action.kind) {
      case 'pin':
        this.#files.pin(action.authorityKey);
        this.#log.info(`the authority of this network is ${action.authorityKey} from now on`);
        return;
      case 'store':
        this.#files.store(action.enrolled);
        return;
      case 'run': {
        const config = this.#config();
        const { serial } = config.identity.certificate;
        this.#log.info(`enrolled as ${config.name}, certificate number ${serial}`);
        this.#serial = serial.toString();
        if (this.#runner.node === undefined) this.#runner.start(config);
        else {
          this.#hold();
          void this.#runner.exchange(config);
        }
        return;
      }
      case 'revoke':
        void this.#runner.node?.answer('revocations', { list: action.list }).catch((error: unknown) => {
          this.#log.warn(`a revocation list was not taken: ${error instanceof Error ? error.message : String(error)}`);
        });
        return;
      case 'pods':
        // Seen by the next look.
        return;
    }
  }

  /** Whether it is on the disk; else it was said why not. */
  #onDisk(what: string, write: () => void): boolean {
    try {
      write();
      return true;
    } catch (error) {
      this.#log.error(`cannot keep ${what} in ${this.#options.stateDir}: ${systemReason(error)}`);
      return false;
    }
  }

  // How it is.

  #turn(): void {
    this.#tick();
    const delay = this.#health().ready ? TICK_MS.ready : TICK_MS.unready;
    this.#next = setTimeout(() => this.#turn(), delay);
  }

  #hold(): void {
    this.#held = { until: performance.now() + HOLD_MS, former: this.#runner.node };
  }

  #tick(): void {
    if (this.#runner.ending) return;
    const now = performance.now();
    const facts = this.#runner.node?.facts;
    this.#recallProof(facts?.tincanBoot);
    const ask = this.#proof.handle(
      facts && {
        ...facts,
        tincan: facts.tincan !== undefined,
        online: facts.signalling.online,
        missing: missingAddresses(facts.bridge, facts.addresses),
        known: this.#known,
      },
      now,
    );
    if (ask !== undefined) this.#ask(ask);
    this.#keepProof(facts?.tincanBoot);
    const pods = this.#enroller.stored?.pods;
    if (this.#proof.proven && facts !== undefined) this.#cni.want(pods, facts.bridge);
    const picture: Picture = {
      standing: this.#enroller.standing,
      facts,
      proof: this.#proof.state,
      pods: this.#pods(),
    };
    const list = verdicts(picture);
    const ready = list[0]?.status === 'True';
    if (ready) this.#writer.untaint();
    if (this.#held !== undefined) {
      const settled = ready && facts?.signalling.online && facts.ringComplete;
      // The former one is still there when the exchange is ordered.
      if (now < this.#held.until && !(settled && this.#runner.node !== this.#held.former)) return;
      this.#held = undefined;
    }
    const wall = Date.now();
    this.#status = statusOf(
      {
        keys: this.#keys,
        serial: facts === undefined ? undefined : this.#serial,
        conditions: this.#conditions.stamp(list, this.#object?.metadata.generation, wall),
        facts,
        ipam: pods && ipamOf(pods.subnets, this.#cni.addresses()),
        agentVersion: VERSION,
      },
      this.#status,
      wall,
    );
    this.#writer.want(this.#status);
  }

  /** In the run directory, which goes with tincan when the machine starts again. */
  get #proofFile(): string {
    return join(this.#options.runDir, 'proven');
  }

  #recallProof(boot: string | undefined): void {
    if (boot === undefined || boot === this.#proofOf || this.#proof.proven) return;
    this.#proofOf = boot;
    try {
      if (readIfThere(this.#proofFile) === boot) this.#proof.carriedOn();
    } catch {
      // It is proven again.
    }
  }

  #keepProof(boot: string | undefined): void {
    if (boot === undefined || boot === this.#proofKept || !this.#proof.state.ok) return;
    this.#proofKept = boot;
    try {
      writeFileSync(this.#proofFile, boot, { mode: 0o600 });
    } catch {
      // The next agent proves it again.
    }
  }

  #ask(to: string): void {
    void this.#runner.node?.answer('ping', { to, timeoutMs: PING_MS }).then(
      (answer) => {
        this.#proof.answered((answer as { readonly name: string }).name);
        this.#tick();
      },
      () => undefined,
    );
  }

  #pods(): PodNetwork {
    const { stored } = this.#enroller;
    if (stored === undefined) return { kind: 'missing', message: 'the node is not enrolled yet' };
    return stored.pods === undefined ? { kind: 'not-wanted' } : this.#cni.state;
  }

  #health(): { readonly ready: boolean; readonly message: string } {
    const ready = this.#status?.conditions?.find(({ type }) => type === 'Ready');
    return ready?.status === 'True' ? { ready: true, message: 'ok' } : { ready: false, message: this.#whyNot() };
  }

  #whyNot(): string {
    const ready = this.#status?.conditions?.find(({ type }) => type === 'Ready');
    return ready === undefined ? 'the agent is starting' : `${ready.reason}: ${ready.message}`;
  }
}

/** Of these addresses in CIDR notation, those that the link does not have, or none of them while it is down. */
function missingAddresses(link: string, addresses: readonly string[]): readonly string[] {
  const present = new Set(networkInterfaces()[link]?.map(({ cidr }) => cidr));
  return addresses.filter((address) => !present.has(address));
}
