/** Stock Flannel on the cluster: brought by its manifest, and taken off again. */
import { readFileSync } from 'node:fs';
import { apply, attempt, get, inNode, kubectl, list, NODES, nodesReady, seconds, wait } from '../cluster/kube.ts';
import { type Addressed, addressesOfNodes, restartDns } from '../cluster/modes.ts';
import { failed } from '../cluster/traffic.ts';
import type { Report } from '../demo/report.ts';
import { type Backend, OVERHEAD, overEvio } from './manifest.ts';

export const MANIFEST = '.cache/flannel/kube-flannel.yml';
const NAMESPACE = 'kube-flannel';
const DAEMONS = 'daemonset/kube-flannel-ds';
export const IMAGES: readonly string[] = ['.cache/flannel/flannel.tar', '.cache/flannel/flannel-cni-plugin.tar'];

export async function bringFlannel(report: Report, backend: Backend): Promise<void> {
  await apply(overEvio(readFileSync(MANIFEST, 'utf8'), backend));
  const took = await seconds(() => wait(`all Nodes Ready with Flannel (${backend})`, 120_000, nodesReady));
  report.atMost(`${backend}: seconds from kubectl apply to all Nodes Ready`, took, 60, 's');
  await rolledOut();
  await restartDns();
  await kubectl('-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=120s');
  await leases(report, backend);
}

export const rolledOut = (): Promise<string> =>
  kubectl('-n', NAMESPACE, 'rollout', 'status', DAEMONS, '--timeout=180s');
export const restartFlannel = (): Promise<string> => kubectl('-n', NAMESPACE, 'rollout', 'restart', DAEMONS);

/** What flanneld tells the CNI plugin of a node, as the node has it in a file. */
export async function subnetOf(node: string): Promise<Readonly<Record<string, string>>> {
  const text = await inNode(node, 'cat', '/run/flannel/subnet.env');
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** Where Flannel says that each node is, and the MTU it took, without a setting of either. */
async function leases(report: Report, backend: Backend): Promise<void> {
  const of = new Map((await addressesOfNodes()).map((one) => [one.node, one] as const));
  const told = (await list('nodes')).map(({ metadata }) => {
    const annotation = (name: string): string | undefined => metadata.annotations?.[`flannel.alpha.coreos.com/${name}`];
    const got = `${annotation('backend-type')} ${annotation('public-ip')} ${annotation('public-ipv6')}`;
    const own = of.get(metadata.name) as Addressed;
    return { what: metadata.name, ok: got === `${backend} ${own.v4} ${own.v6}`, got };
  });
  report.holds(
    `${backend}: Flannel tells every node at its overlay addresses`,
    told.length === NODES.length && told.every(({ ok }) => ok),
    failed(told) || 'all',
    'all',
  );
  const wanted = (await overlayMtu()) - OVERHEAD[backend];
  const mtus = await Promise.all(NODES.map(async (node) => (await subnetOf(node)).FLANNEL_MTU));
  report.holds(
    `${backend}: pods' MTU by itself`,
    mtus.every((mtu) => mtu === String(wanted)),
    mtus.join(' '),
    `${wanted} on all nodes`,
  );
}

/** As the EvioNetwork says. */
export async function overlayMtu(): Promise<number> {
  const network = await get('evionetwork', 'default');
  return Number((network?.status as { effectiveMTU?: number } | undefined)?.effectiveMTU);
}

/** Before another backend comes: what a reboot would clear away. Pods that had this network are gone already, but for CoreDNS. */
export async function removeFlannel(backend: Backend): Promise<void> {
  await kubectl('delete', 'namespace', NAMESPACE, '--wait', '--timeout=90s');
  for (const node of NODES) {
    for (const link of ['flannel.1', 'flannel-v6.1', 'cni0']) await attempt('nx', [node, 'ip', 'link', 'delete', link]);
    const files = [
      '/etc/cni/net.d/10-flannel.conflist',
      '/run/flannel',
      '/var/lib/cni/flannel',
      '/var/lib/cni/networks',
    ];
    await attempt('nx', [node, 'rm', '-rf', ...files]);
    if (backend === 'host-gw') {
      await attempt('nx', [
        node,
        'sh',
        '-c',
        'ip route flush root 10.244.0.0/16; ip -6 route flush root fd00:10:244::/56',
      ]);
    }
  }
}
