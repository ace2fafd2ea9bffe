/** Nodes that are deleted and rebooted. */
import { isIP } from 'node:net';
import type { Report } from '../demo/report.ts';
import { EDGES, get, inNode, kubectl, list, must, NODES, nodesReady, wait } from './kube.ts';
import { probesRunning } from './traffic.ts';

/** Addresses that the CNI plugin has given out on a node, without those that no pod has. */
async function addressesHeld(node: string): Promise<{ readonly held: number; readonly pods: number }> {
  // One file an address; others in the folder are called otherwise (docs/cni.md, "The store").
  const files = await inNode(node, 'ls', '/var/lib/cni/evio/evio');
  const pods = (await list('pods', '-A', `--field-selector=spec.nodeName=${node}`)).filter(
    ({ spec, status }) => spec?.hostNetwork !== true && ['Running', 'Pending'].includes(String(status?.phase)),
  );
  return { held: files.split('\n').filter((name) => isIP(name) !== 0).length, pods: pods.length };
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
