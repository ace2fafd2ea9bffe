/** `helm install` and one EvioNetwork, until every node is Ready without a setting of its own. */
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { apply, attempt, conditionsOf, get, helm, kubectl, list, NAMESPACE, NODES, nodesReady, wait } from './kube.ts';
import { milestones } from './milestones.ts';

/** As in manifests/samples/evionetwork.yaml, with IPv6; pods of these four nodes have room, and a fifth's have none. */
export const NETWORK = {
  apiVersion: 'evio.io/v1alpha1',
  kind: 'EvioNetwork',
  metadata: { name: 'default' },
  spec: {
    mode: 'PodNetwork',
    nodeCIDRs: ['10.45.0.0/16', 'fd45::/64'],
    podCIDRs: ['10.244.0.0/22', 'fd00:10:244::/62'],
    signalling: { embedded: {} },
  },
};

/** The release and its network; when helm was done with it, by `performance.now()`. */
export async function bringUp(): Promise<number> {
  const began = performance.now();
  await helm('upgrade', '--install', 'evio', 'charts/evio', '--namespace', NAMESPACE, '--create-namespace');
  const installed = performance.now();
  say(`helm install returned after ${((installed - began) / 1000).toFixed(1)} s`);
  await apply([NETWORK]);
  return installed;
}

/** The same without Helm. */
export async function bringUpByKubectl(): Promise<void> {
  await kubectl('apply', '--server-side', '-f', 'manifests/evio.yaml');
  await apply([NETWORK]);
}

/** What NOTES.txt tells to do next. */
export async function helmTest(report: Report): Promise<void> {
  const said = await attempt('h', ['test', 'evio', '--namespace', NAMESPACE, '--timeout', '3m']);
  report.holds(
    'helm test',
    said.code === 0,
    said.code === 0 ? 'succeeded' : said.err.trim().slice(0, 500),
    'succeeded',
  );
}

export async function install(report: Report): Promise<void> {
  const installed = await bringUp();
  await wait(`all ${NODES.length} nodes Ready`, 180_000, nodesReady).catch(async (error: unknown) => {
    await explain();
    throw error;
  });
  report.atMost('seconds-to-ready', (performance.now() - installed) / 1000, 60, 's');
  const told = await milestones(performance.timeOrigin + installed);
  report.details.milestones = told;
  say(
    `seconds after helm: ${Object.entries(told)
      .map(([what, at]) => `${what} ${at}`)
      .join(', ')}`,
  );
  await wait('EvioNetwork default Ready', 60_000, async () =>
    conditionsOf(await get('evionetwork', 'default')).some(({ type, status }) => type === 'Ready' && status === 'True'),
  ).catch(() => undefined);
  const network = await get('evionetwork', 'default');
  const ready = conditionsOf(network).find(({ type }) => type === 'Ready');
  report.holds(
    'the EvioNetwork says Ready',
    ready?.status === 'True',
    `${ready?.status} ${ready?.reason ?? ''} ${ready?.message ?? ''}`,
  );
  const addresses = (await list('nodes')).map((node) =>
    ((node.status?.addresses ?? []) as { type: string; address: string }[])
      .filter(({ type }) => type === 'InternalIP')
      .map(({ address }) => address),
  );
  report.holds(
    'every node has its overlay addresses as InternalIP',
    addresses.every(([v4, v6]) => v4?.startsWith('10.45.') === true && v6?.startsWith('fd45:') === true),
    addresses.map((some) => some.join(' ')).join(', '),
  );
}

/** What there is when something did not come. */
export async function explain(): Promise<void> {
  for (const args of [
    ['get', 'nodes', '-o', 'wide'],
    ['get', 'pods', '-A', '-o', 'wide'],
    ['get', 'evionetworks,evionodes', '-o', 'wide'],
    [
      'get',
      'evionetwork',
      'default',
      '-o',
      'jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\\n"}{end}',
    ],
    ['-n', NAMESPACE, 'get', 'events', '--sort-by=.lastTimestamp'],
    ['-n', NAMESPACE, 'logs', 'deploy/evio-operator', '--tail=40'],
  ]) {
    const { out, err } = await attempt('k', args);
    say(`kubectl ${args.join(' ')}\n${out}${err}`);
  }
}
