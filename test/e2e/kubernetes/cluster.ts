/** The cluster's side for the agent's tests: what the operator, the chart and the kubelet put into the API server. */
import { setTimeout as sleep } from 'node:timers/promises';
import { NOT_READY_TAINT } from '../../../agent/src/kube/taint.ts';
import type { EvioNode } from '../../../crds/src/evio-node.ts';

/** Of test/servers/kube-api.ts, what is needed here. */
export interface Api {
  request(
    method: string,
    path: string,
    body?: unknown,
    options?: { readonly as?: string; readonly type?: string },
    // biome-ignore lint/suspicious/noExplicitAny: whatever object was asked for
  ): Promise<{ readonly status: number; readonly body: any }>;
}

export const NODE = 'k1';
const AGENT = 'evio-agent';
export const EVIO_NODES = '/apis/evio.io/v1alpha1/evionodes';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const LEASE = `/apis/coordination.k8s.io/v1/namespaces/evio-system/leases/evio-node-${NODE}`;
const OTHER_TAINT = { key: 'example.org/other', effect: 'NoSchedule' };

// biome-ignore lint/suspicious/noExplicitAny: whatever object was made
async function created(api: Api, path: string, body: unknown): Promise<any> {
  const answer = await api.request('POST', path, body);
  if (answer.status !== 201) throw new Error(`${path} answers ${answer.status}: ${answer.body?.message}`);
  return answer.body;
}

/**
 * A namespace, the agent's account and rights, a Node with the taint that keeps pods away, and its EvioNode. Gives the token of the
 * agent's pod on that node, as the kubelet would mount it.
 */
export async function prepareCluster(
  api: Api,
  addresses: readonly string[],
  podCIDRs: readonly string[],
): Promise<string> {
  await created(api, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'evio-system' } });
  const accounts = '/api/v1/namespaces/evio-system/serviceaccounts';
  await created(api, accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: AGENT } });
  const account = { kind: 'ServiceAccount', name: AGENT, namespace: 'evio-system' };
  const role = (kind: string, name: string, namespace: object, rules: readonly object[]) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { name, ...namespace },
    rules,
  });
  await created(
    api,
    `${RBAC}/clusterroles`,
    role('ClusterRole', 'evio-agent', {}, [
      { apiGroups: ['evio.io'], resources: ['evionodes'], verbs: ['list', 'watch'] },
      { apiGroups: ['evio.io'], resources: ['evionodes/status'], verbs: ['patch'] },
      { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'patch'] },
    ]),
  );
  await created(api, `${RBAC}/clusterrolebindings`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'evio-agent' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'evio-agent' },
    subjects: [account],
  });
  const namespace = { namespace: 'evio-system' };
  await created(
    api,
    `${RBAC}/namespaces/evio-system/roles`,
    role('Role', 'evio-agent', namespace, [
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create', 'patch'] },
    ]),
  );
  await created(api, `${RBAC}/namespaces/evio-system/rolebindings`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'evio-agent', ...namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'evio-agent' },
    subjects: [account],
  });
  await created(api, '/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: NODE },
    spec: { taints: [OTHER_TAINT, { key: NOT_READY_TAINT, effect: 'NoExecute' }] },
  });
  await created(api, EVIO_NODES, {
    apiVersion: 'evio.io/v1alpha1',
    kind: 'EvioNode',
    metadata: { name: NODE },
    spec: { memberName: NODE, addresses, podCIDRs },
  });
  const pod = await created(api, '/api/v1/namespaces/evio-system/pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'evio-agent-x' },
    spec: { nodeName: NODE, serviceAccountName: AGENT, containers: [{ name: 'agent', image: 'agent' }] },
  });
  const { name, uid } = pod.metadata;
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid };
  const token = await created(api, `${accounts}/${AGENT}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: [], boundObjectRef },
  });
  return token.status.token;
}

export async function evioNode(api: Api): Promise<EvioNode> {
  return (await api.request('GET', `${EVIO_NODES}/${NODE}`)).body as EvioNode;
}

export async function enrolInCluster(api: Api, enrolment: EvioNode['spec']['enrolment']): Promise<void> {
  const answer = await api.request(
    'PATCH',
    `${EVIO_NODES}/${NODE}`,
    { spec: { enrolment } },
    { type: 'application/merge-patch+json' },
  );
  if (answer.status !== 200) throw new Error(`the enrolment is answered ${answer.status}: ${answer.body?.message}`);
}

/** Reason of a condition, with its status; undefined while it is not there. */
export function condition(node: EvioNode, type: string): string | undefined {
  const found = node.status?.conditions?.find((one) => one.type === type);
  return found && `${found.status} ${found.reason}`;
}

/** Keys of the Node's taints besides those of the node life cycle, which the API server adds. */
export async function taints(api: Api): Promise<readonly string[]> {
  const { body } = await api.request('GET', `/api/v1/nodes/${NODE}`);
  const list = (body.spec.taints ?? []) as readonly { readonly key: string }[];
  return list.map(({ key }) => key).filter((key) => !key.startsWith('node.kubernetes.io/'));
}

/** Milliseconds since 1970; undefined: there is none. */
export async function leaseRenewed(api: Api): Promise<number | undefined> {
  const { status, body } = await api.request('GET', LEASE);
  return status === 200 ? Date.parse(body.spec.renewTime) : undefined;
}

/** The first defined value, or an error with what was last there. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs = 40_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms; last: ${String(last)}`);
    await sleep(100);
  }
}
