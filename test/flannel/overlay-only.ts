/** The whole of Kubernetes moves to overlay addresses: the API server's own, kubelets', kube-proxies', agents'. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiServersIn } from '../../operator/src/desired/workloads.ts';
import { get, helm, inNode, isTrue, kubectl, list, must, NAMESPACE, NODES, STATE, wait } from '../cluster/kube.ts';
import { addressesOfNodes } from '../cluster/modes.ts';

const API_PORT = 6443;
export const RELEASE = ['evio', 'charts/evio', '--namespace', NAMESPACE] as const;

/** The address that the API server then has everywhere. `nodes`: all of the cluster, the control plane first. */
export async function moveToOverlay(nodes: readonly string[] = NODES): Promise<string> {
  const [controlPlane = ''] = nodes;
  const own = (await addressesOfNodes()).find(({ node }) => node === controlPlane)?.v4;
  if (own === undefined || own === '') throw new Error(`${controlPlane} has no overlay address`);
  const url = `https://${own}:${API_PORT}`;
  writeFileSync(join(STATE, 'api-address'), `${own}\n`);
  // Before it is away for a moment, and with a Job that runs by its old address.
  await helm('upgrade', ...RELEASE, '--reuse-values', '--set', `apiServers={${url}}`);
  await must('part', [controlPlane, 'kube-apiserver', 'restart']);
  for (const name of readdirSync(join(STATE, 'pki')).filter((file) => file.endsWith('.conf'))) {
    const file = join(STATE, 'pki', name);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/server: "https:[^"]*"/, `server: "${url}"`));
  }
  for (const node of nodes) for (const part of ['kubelet', 'kube-proxy']) await must('part', [node, part, 'restart']);
  for (const part of ['kube-controller-manager', 'kube-scheduler']) await must('part', [controlPlane, part, 'restart']);
  await wait('the API server answers at its overlay address', 60_000, () =>
    kubectl('get', '--raw', '/readyz').then(
      () => true,
      () => false,
    ),
  );
  await wait(`the Service kubernetes leads to ${own} only`, 60_000, async () => {
    const slice = (await get('endpointslice', 'kubernetes')) as { endpoints?: { addresses: string[] }[] } | undefined;
    return slice?.endpoints?.flatMap(({ addresses }) => addresses).join() === own;
  });
  await wait('the operator tells the agents', 60_000, async () => {
    const set = await get('daemonset', 'evio-agent', '-n', NAMESPACE);
    return apiServersIn(set as Parameters<typeof apiServersIn>[0]).join() === url;
  });
  await kubectl('-n', NAMESPACE, 'rollout', 'status', 'daemonset/evio-agent', '--timeout=180s');
  await wait('every EvioNode is Ready with the API server on the overlay', 120_000, async () => {
    const members = await list('evionodes');
    return members.length === nodes.length && members.every((one) => isTrue(one, 'Ready'));
  });
  return own;
}

/** Ports that the tincans of all nodes have, which a NAT keeps where it can. */
export async function tincanPorts(): Promise<readonly number[]> {
  const found = await Promise.all(
    NODES.map(async (node) => {
      const sockets = await inNode(node, 'ss', '-Hulnp');
      return [...sockets.matchAll(/:(\d+) +\S+ +users:\(\("tincan"/g)].map(([, port]) => Number(port));
    }),
  );
  const missing = NODES.filter((_, at) => found[at]?.length === 0);
  if (missing.length > 0) throw new Error(`tincan has no UDP socket on ${missing.join(', ')}`);
  return [...new Set(found.flat())];
}
