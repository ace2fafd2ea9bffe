/** What `evio preflight` asks a cluster's API server. Reads only; the questions about rights are questions. */

import { isObject, parseObject } from '../../../agent/src/io/json-lines.ts';
import type { ApiClient } from '../../../agent/src/io/kube-client.ts';
import type { Connection } from '../../../agent/src/io/kube-connection.ts';
import { EVIO_NETWORK, type EvioNetwork } from '../../../agent/src/kube-api/evio-kinds.ts';
import { DAEMON_SET, kind, LEASE, NAMESPACE, NODE } from '../../../agent/src/kube-api/kinds.ts';
import type { KubeObject } from '../../../agent/src/kube-api/object.ts';
import { effectivePodCIDRs } from '../../../crds/src/effective.ts';
import { evioNetworkSpec } from '../../../crds/src/evio-network.ts';
import { Failure } from '../failure.ts';
import type { ClusterFacts } from './cluster.ts';

const WAIT_MS = 10_000;
const ENFORCE = 'pod-security.kubernetes.io/enforce';

interface ServiceCIDR extends KubeObject {
  readonly spec?: { readonly cidrs?: readonly string[] };
}
const SERVICE_CIDR = kind<ServiceCIDR>('networking.k8s.io/v1', 'ServiceCIDR', 'servicecidrs', false);

/** What an installation makes: [verb, group, resource]. */
const NEEDED = [
  ['create', 'apiextensions.k8s.io', 'customresourcedefinitions'],
  ['create', 'rbac.authorization.k8s.io', 'clusterroles'],
  ['create', 'rbac.authorization.k8s.io', 'clusterrolebindings'],
  ['create', 'admissionregistration.k8s.io', 'validatingadmissionpolicies'],
  ['create', 'apps', 'deployments'],
  ['create', 'apps', 'daemonsets'],
  ['create', '', 'secrets'],
] as const;

export interface ClusterOptions {
  readonly namespace: string;
  /** Instead of those of the EvioNetwork. */
  readonly cidrs: readonly string[];
  readonly tell: (text: string) => void;
}

export async function clusterFacts(
  client: ApiClient,
  connection: Connection,
  { namespace, cidrs, tell }: ClusterOptions,
): Promise<ClusterFacts> {
  tell(`asking ${connection.server}`);
  const version = await versionOf(connection);
  const [nodes, daemonSets, leases, serviceCIDRs, network, space, refused] = await Promise.all([
    client.list(NODE),
    client.list(DAEMON_SET),
    client.list(LEASE, { namespace: 'kube-node-lease' }),
    listIfServed(client, SERVICE_CIDR),
    listIfServed(client, EVIO_NETWORK).then(([one]) => one),
    client.find(NAMESPACE, namespace),
    refusedOf(connection, namespace),
  ]);
  return {
    server: connection.server,
    version,
    nodes: nodes.map(({ metadata, status }) => ({
      name: metadata.name,
      os: status?.nodeInfo?.operatingSystem ?? 'linux',
      architecture: status?.nodeInfo?.architecture ?? 'amd64',
      kernel: status?.nodeInfo?.kernelVersion ?? '',
      addresses: (status?.addresses ?? [])
        .filter(({ type }) => type === 'InternalIP' || type === 'ExternalIP')
        .map(({ address }) => address),
    })),
    daemonSets: daemonSets.map(({ metadata }) => ({ namespace: metadata.namespace ?? '', name: metadata.name })),
    serviceCIDRs: serviceCIDRs.flatMap(({ spec }) => spec?.cidrs ?? []),
    wanted: wantedOf(network, cidrs),
    refused,
    namespace: { name: namespace, level: space?.metadata.labels?.[ENFORCE] ?? null },
    leases: leases.flatMap(({ metadata, spec }) => {
      const renewedMs = Date.parse(String(spec?.renewTime ?? ''));
      return Number.isNaN(renewedMs) ? [] : [{ node: metadata.name, renewedMs }];
    }),
    askedMs: Date.now(),
  };
}

/** Of a kind that this cluster may not have, or that we may not look at: then there is nothing. */
async function listIfServed<T extends KubeObject>(
  client: ApiClient,
  of: Parameters<ApiClient['list']>[0] & { readonly object?: T },
): Promise<readonly T[]> {
  const { ApiFailure } = await import('../../../agent/src/kube-api/client.ts');
  try {
    return (await client.list(of)) as readonly T[];
  } catch (error) {
    if (error instanceof ApiFailure && (error.status === 404 || error.status === 403)) return [];
    throw error;
  }
}

function wantedOf(network: EvioNetwork | undefined, cidrs: readonly string[]): ClusterFacts['wanted'] {
  const spec = network?.spec ?? evioNetworkSpec.parse({});
  const [nodeCIDRs, podCIDRs] = cidrs.length > 0 ? [cidrs, []] : [spec.nodeCIDRs, effectivePodCIDRs(spec)];
  return { there: network !== undefined, mode: spec.mode, nodeCIDRs, podCIDRs };
}

async function versionOf(connection: Connection): Promise<string> {
  const { NoAnswer } = await import('../../../agent/src/io/kube-connection.ts');
  try {
    const answer = await connection.request({ method: 'GET', path: '/version', timeoutMs: WAIT_MS });
    const version = answer.status === 200 ? parseObject(answer.text)?.gitVersion : undefined;
    if (typeof version === 'string') return version;
    throw new Failure(`${connection.server} answers /version with ${answer.status}: is it a Kubernetes API server?`);
  } catch (error) {
    throw error instanceof NoAnswer ? new Failure(error.message) : error;
  }
}

async function refusedOf(connection: Connection, namespace: string): Promise<readonly string[] | null> {
  const answers = await Promise.all(
    NEEDED.map(async ([verb, group, resource]) => {
      const spec = { resourceAttributes: { verb, group, resource, namespace } };
      const answer = await connection.request({
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        contentType: 'application/json',
        body: JSON.stringify({ apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec }),
        timeoutMs: WAIT_MS,
      });
      const status = answer.status === 201 ? parseObject(answer.text)?.status : undefined;
      const allowed = isObject(status) && typeof status.allowed === 'boolean' ? status.allowed : undefined;
      return { name: `${verb} ${resource}`, allowed };
    }),
  );
  if (answers.some(({ allowed }) => allowed === undefined)) return null;
  return answers.filter(({ allowed }) => allowed === false).map(({ name }) => name);
}
