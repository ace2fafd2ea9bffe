/** Upgrades under load, nodes that are deleted and rebooted. */
import { isIP } from 'node:net';
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import { EDGES, get, inNode, kubectl, list, must, NAMESPACE, NODES, nodesReady, wait } from './kube.ts';
import { PORT } from './manifests.ts';
import { type Probe, probesRunning } from './traffic.ts';

interface LoadResult {
  readonly sent: number;
  readonly lost: number;
  readonly lostAt: readonly number[];
}

/** So many new requests a second from every pod to every other, for so long. */
export async function load(
  all: readonly Probe[],
  perSecond: number,
  seconds: number,
): Promise<ReadonlyMap<string, LoadResult>> {
  const found = await Promise.all(
    all.map(async (from) => {
      const targets = Object.fromEntries(
        all.filter((to) => to !== from).map((to) => [to.node, `http://${to.v4}:${PORT}/`]),
      );
      const order = JSON.stringify({ targets, perSecond, seconds });
      const out = await must(
        'nx',
        [
          from.node,
          'curl',
          '-sS',
          '--max-time',
          String(seconds + 20),
          '--data-binary',
          '@-',
          `http://${from.v4}:${PORT}/load`,
        ],
        order,
        (seconds + 30) * 1_000,
      );
      return Object.entries(JSON.parse(out) as Record<string, LoadResult>).map(
        ([to, result]) => [`${from.node} to ${to}`, result] as const,
      );
    }),
  );
  return new Map(found.flat());
}

/** What happens while requests go on, and how many of them were lost. */
export async function underLoad(
  report: Report,
  all: readonly Probe[],
  title: string,
  perSecond: number,
  seconds: number,
  during: () => Promise<void>,
): Promise<void> {
  const loading = load(all, perSecond, seconds);
  const began = performance.now();
  await sleep(3_000);
  await during();
  say(`${title}: done after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const results = [...(await loading)];
  const [lost, sent] = [
    results.reduce((sum, [, one]) => sum + one.lost, 0),
    results.reduce((sum, [, one]) => sum + one.sent, 0),
  ];
  report.details[title] = Object.fromEntries(results.filter(([, one]) => one.lost > 0));
  report.none(title, lost, sent);
}

const rolledOut = (what: string): Promise<string> =>
  kubectl('-n', NAMESPACE, 'rollout', 'status', what, '--timeout=120s');

export async function upgrades(report: Report, all: readonly Probe[], short: boolean): Promise<void> {
  const [rate, seconds] = short ? [20, 40] : [100, 60];
  await underLoad(report, all, 'lost-requests-on-upgrade: agents', rate, seconds, async () => {
    await kubectl('-n', NAMESPACE, 'rollout', 'restart', 'daemonset/evio-agent');
    await rolledOut('daemonset/evio-agent');
  });
  await underLoad(report, all, 'lost-requests-on-upgrade: operator', rate, short ? 20 : 30, async () => {
    await kubectl('-n', NAMESPACE, 'rollout', 'restart', 'deployment/evio-operator');
    await rolledOut('deployment/evio-operator');
  });
}

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
