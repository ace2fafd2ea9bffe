/** Nodes that are deleted and rebooted, uninstallation. */
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { attempt, EDGES, get, helm, inNode, kubectl, list, must, NAMESPACE, NODES, nodesReady, wait } from './kube.ts';
import { differences, type Traces, tracesOfAll } from './traces.ts';
import { probesRunning } from './traffic.ts';

/** Addresses that the CNI plugin has given out on a node, without those that no pod has. */
async function addressesHeld(node: string): Promise<{ readonly held: number; readonly pods: number }> {
  const files = await inNode(
    node,
    'sh',
    '-c',
    'find /var/lib/cni/evio -type f 2>/dev/null | grep -cE "/[0-9a-f.:]+$" || true',
  );
  const pods = (await list('pods', '-A', `--field-selector=spec.nodeName=${node}`)).filter(
    ({ spec, status }) => spec?.hostNetwork !== true && ['Running', 'Pending'].includes(String(status?.phase)),
  );
  return { held: Number(files.trim()), pods: pods.length };
}

export async function reboot(report: Report): Promise<void> {
  const node = EDGES[0] as string;
  const addressOf = async (): Promise<string | undefined> =>
    (await probesRunning()).find((one) => one.node === node)?.v4;
  const before = await addressOf();
  await must('power', [node, 'cycle']);
  // Its pod gets another sandbox, and with that another address.
  await wait(`${node} and its pods come back`, 180_000, async () => {
    const now = await addressOf();
    return now !== undefined && now !== before && (await nodesReady());
  });
  let { held, pods } = await addressesHeld(node);
  await wait('addresses of before are given back', 60_000, async () => {
    ({ held, pods } = await addressesHeld(node));
    return held === 2 * pods;
  }).catch(() => undefined);
  // Two families.
  report.holds(`${node} rebooted: addresses held, of ${pods} pods`, held === 2 * pods, held, String(2 * pods));
}

export async function rejoin(report: Report): Promise<void> {
  const node = EDGES[1] as string;
  const before = (await get('evionode', node))?.spec as { enrolment?: { serial?: string } } | undefined;
  await kubectl('delete', 'node', node);
  await wait(`EvioNode ${node} is gone`, 60_000, async () => (await get('evionode', node)) === undefined);
  // A kubelet registers when it starts.
  await must('part', [node, 'kubelet', 'restart']);
  const serialOf = async (): Promise<string | undefined> =>
    ((await get('evionode', node))?.spec as { enrolment?: { serial?: string } } | undefined)?.enrolment?.serial;
  await wait(
    `${node} is back`,
    180_000,
    async () =>
      (await serialOf()) !== undefined && (await nodesReady()) && (await probesRunning()).length === NODES.length,
  );
  const after = await serialOf();
  report.holds(
    `${node} deleted and back with a certificate of its own`,
    after !== before?.enrolment?.serial,
    `${before?.enrolment?.serial} -> ${after}`,
  );
}

export async function uninstall(report: Report, before: ReadonlyMap<string, Traces>): Promise<void> {
  await kubectl(
    'delete',
    'daemonset/probes',
    'service/probes',
    'service/probes6',
    'service/probes-port',
    'configmap/probes',
    '--wait',
  );
  await wait('probes are gone', 60_000, async () => (await list('pods', '-l', 'app=probes')).length === 0);
  const began = performance.now();
  await helm('uninstall', 'evio', '--namespace', NAMESPACE, '--wait');
  say(`helm uninstall returned after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  await wait('nothing of Evio runs', 60_000, async () => (await list('pods', '-n', NAMESPACE)).length === 0).catch(
    () => undefined,
  );
  const left = differences(before, await tracesOfAll()).filter((line) => !/coredns/.test(line));
  report.holds(
    'helm uninstall: the nodes are as before',
    left.length === 0,
    left.slice(0, 8).join('; ') || 'as before',
    'as before',
  );
  const objects = [
    ...(await attempt('k', ['get', 'evionetworks,evionodes', '-o', 'name'])).out.split('\n'),
    ...(await attempt('k', ['get', 'all,secrets,configmaps,leases', '-n', NAMESPACE, '-o', 'name'])).out
      .split('\n')
      .filter((name) => !/kube-root-ca/.test(name)),
    ...(await attempt('k', ['get', 'clusterroles,clusterrolebindings,validatingadmissionpolicies', '-o', 'name'])).out
      .split('\n')
      .filter((name) => /evio/.test(name)),
  ].filter(Boolean);
  report.holds(
    'helm uninstall: objects that are left',
    objects.length === 0,
    objects.slice(0, 8).join(', ') || 'none',
    'none',
  );
}
