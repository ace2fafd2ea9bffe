/** Operators against a real API server and a real Prosody; the test plays kubelets and agents. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { EvioNetwork, EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../agent/src/kube-api/kinds.ts';
import { generatePrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import type { Condition } from '../../../crds/src/condition.ts';
import type { EvioNetworkSpecInput } from '../../../crds/src/evio-network.ts';
import { KUBECTL, type KubeAnswer, type KubeApi, startKubeApi } from '../../servers/kube-api.ts';
import { type Prosody, startProsody } from '../../servers/prosody.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
export const NAMESPACE = 'evio-system';
const OPERATOR = { name: `system:serviceaccount:${NAMESPACE}:evio-operator`, groups: ['system:serviceaccounts'] };
const APPLY = 'application/apply-patch+yaml';
const GROUP = '/apis/evio.io/v1alpha1';

export interface NodeKeysOf {
  readonly identity: KeyObject;
  readonly session: KeyObject;
}

export class Lab {
  readonly api: KubeApi;
  readonly xmpp: Prosody;
  readonly #operators = new Map<string, { readonly child: ChildProcess; log: string }>();

  /** `users`: who else may log in, by the names of their tokens. */
  static async start(users: Readonly<Record<string, { readonly name: string }>> = {}): Promise<Lab> {
    const [api, xmpp] = await Promise.all([startKubeApi({ users: { operator: OPERATOR, ...users } }), startProsody()]);
    const lab = new Lab(api, xmpp);
    try {
      await lab.#prepare();
      return lab;
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  async #prepare(): Promise<void> {
    const { api } = this;
    // As people install it: with its rights and policies, which the operator then has to do with.
    const apply = ['apply', '--server-side', '-f', join(ROOT, 'manifests/evio.yaml')];
    await promisify(execFile)(KUBECTL, apply, { env: { ...process.env, KUBECONFIG: api.kubeconfig() } });
    await until(
      'the kinds of Evio are served',
      async () => (await api.request('GET', `${GROUP}/evionodes`)).status === 200,
    );
  }

  constructor(api: KubeApi, xmpp: Prosody) {
    this.api = api;
    this.xmpp = xmpp;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#operators.keys()].map((name) => this.kill(name)));
    await Promise.all([this.api.stop(), this.xmpp.stop()]);
  }

  // ---- operators -------------------------------------------------------------------------------------------------

  /** A process of its own, as in a cluster. */
  operator(name: string): void {
    const child = spawn(process.execPath, [join(ROOT, 'operator/src/main.ts')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        KUBECONFIG: this.api.kubeconfig('operator'),
        POD_NAME: name,
        EVIO_NAMESPACE: NAMESPACE,
        EVIO_HEALTH_PORT: '0',
        EVIO_LOG_LEVEL: 'debug',
      },
    });
    const entry = { child, log: '' };
    this.#operators.set(name, entry);
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data: Buffer) => {
        entry.log += data.toString();
      });
  }

  /** Until it does: a machine that is busy starts slowly. */
  async leads(name: string): Promise<void> {
    await until(`${name} leads`, async () => this.log(name).includes('this process leads'), 60_000);
  }

  log(name: string): string {
    return this.#operators.get(name)?.log ?? '';
  }

  async kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child } = this.#operators.get(name) ?? {};
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  // ---- objects ---------------------------------------------------------------------------------------------------

  must({ status, body }: KubeAnswer): KubeAnswer['body'] {
    if (status < 200 || status > 299) throw new Error(`${status}: ${body?.message ?? JSON.stringify(body)}`);
    return body;
  }

  async #get<T>(path: string): Promise<T | undefined> {
    const answer = await this.api.request('GET', path);
    return answer.status === 404 ? undefined : (this.must(answer) as T);
  }

  async node(name: string, { external = false, labels = {} } = {}): Promise<void> {
    const taints = external
      ? [{ key: 'node.cloudprovider.kubernetes.io/uninitialized', value: 'true', effect: 'NoSchedule' }]
      : [];
    // A kubelet registers with the addresses that it knows, in one request; with none where it leaves them to a cloud controller.
    const status = external ? {} : { addresses: [{ type: 'InternalIP', address: '192.168.1.10' }] };
    this.must(
      await this.api.request('POST', '/api/v1/nodes', {
        metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
        spec: { taints },
        status,
      }),
    );
  }

  theNode = (name: string): Promise<Node | undefined> => this.#get(`/api/v1/nodes/${name}`);
  member = (name: string): Promise<EvioNode | undefined> => this.#get(`${GROUP}/evionodes/${name}`);
  network = (): Promise<EvioNetwork | undefined> => this.#get(`${GROUP}/evionetworks/default`);

  async members(): Promise<readonly EvioNode[]> {
    return (this.must(await this.api.request('GET', `${GROUP}/evionodes`)) as { items: EvioNode[] }).items;
  }

  /** Anything in the namespace: `secrets`, `daemonsets`. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever object was asked for
  there(resource: string, name: string): Promise<any> {
    const group =
      resource === 'secrets' ? '/api/v1' : resource === 'leases' ? '/apis/coordination.k8s.io/v1' : '/apis/apps/v1';
    return this.#get(`${group}/namespaces/${NAMESPACE}/${resource}/${name}`);
  }

  async secretNames(): Promise<readonly string[]> {
    const list = this.must(await this.api.request('GET', `/api/v1/namespaces/${NAMESPACE}/secrets`));
    return (list as { items: readonly { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name);
  }

  async remove(resource: string, name: string): Promise<void> {
    const path =
      resource === 'nodes'
        ? `/api/v1/nodes/${name}`
        : resource.startsWith('evio')
          ? `${GROUP}/${resource}/${name}`
          : `${resource === 'secrets' ? '/api/v1' : '/apis/apps/v1'}/namespaces/${NAMESPACE}/${resource}/${name}`;
    const answer = await this.api.request('DELETE', path);
    if (answer.status !== 404) this.must(answer);
  }

  async secret(name: string, texts: Readonly<Record<string, string>>): Promise<void> {
    const path = `/api/v1/namespaces/${NAMESPACE}/secrets`;
    this.must(await this.api.request('POST', path, { metadata: { name }, stringData: texts }));
  }

  /** As an agent renews it. */
  async lease(name: string): Promise<void> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
    this.must(await this.api.request('POST', path, { metadata: { name }, spec: { holderIdentity: name } }));
  }

  /** The test's Prosody. */
  external(): EvioNetworkSpecInput {
    const { service, domain } = this.xmpp;
    const external = { service, domain, adminSecretRef: { name: 'xmpp-admin' }, caSecretRef: { name: 'xmpp-ca' } };
    return { signalling: { external } };
  }

  /** With the test's Prosody as external server, unless `spec` says otherwise. */
  async apply(spec: EvioNetworkSpecInput = {}): Promise<void> {
    const body = {
      apiVersion: 'evio.io/v1alpha1',
      kind: 'EvioNetwork',
      metadata: { name: 'default' },
      spec: { ...this.external(), ...spec },
    };
    const path = `${GROUP}/evionetworks/default?fieldManager=test&force=true`;
    this.must(await this.api.request('PATCH', path, body, { type: APPLY }));
  }

  async adminSecrets(): Promise<void> {
    await this.secret('xmpp-admin', this.xmpp.admin);
    await this.secret('xmpp-ca', { 'ca.crt': this.xmpp.ca });
  }

  // ---- an agent's part -------------------------------------------------------------------------------------------

  newKeys(): NodeKeysOf {
    return { identity: generatePrivateKey('ed25519'), session: generatePrivateKey('x25519') };
  }

  /** What its agent writes: its keys, and with `up` that its interface has its addresses. */
  async tell(
    name: string,
    { identity, session }: NodeKeysOf,
    { up = false, conditions }: { readonly up?: boolean; readonly conditions?: readonly Condition[] } = {},
  ): Promise<void> {
    const said = conditions ?? (up ? [UNVERIFIED] : []);
    const text = (key: KeyObject): string => rawPublicKey(key).toString('base64');
    const body = {
      apiVersion: 'evio.io/v1alpha1',
      kind: 'EvioNode',
      metadata: { name },
      status: {
        keys: { identityKey: text(identity), sessionKey: text(session) },
        ...(said.length > 0 ? { conditions: said } : {}),
      },
    };
    const path = `${GROUP}/evionodes/${name}/status?fieldManager=evio-agent&force=true`;
    this.must(await this.api.request('PATCH', path, body, { type: APPLY }));
  }

  async condition(type: string): Promise<Condition | undefined> {
    return (await this.network())?.status?.conditions?.find((c) => c.type === type);
  }
}

const UNVERIFIED: Condition = {
  type: 'DataPlaneReady',
  status: 'False',
  reason: 'Unverified',
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
};

/** Asks until `found` gives something that is not undefined and not false. */
export async function until<T>(
  what: string,
  found: () => Promise<T | undefined | false>,
  withinMs = 20_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = await found();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`not within ${withinMs / 1000} s: ${what}`);
    await sleep(100);
  }
}
