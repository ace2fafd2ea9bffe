/** Ways for Evio to leave a cluster: as it should, in the wrong order, and with the API server away. Each leaves the nodes as they were. */
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import { bringUp, bringUpByKubectl } from './install.ts';
import { type Anything, attempt, get, helm, isTrue, kubectl, list, must, NAMESPACE, NODES, wait } from './kube.ts';
import { differences, type Traces, tracesOfAll } from './traces.ts';
import { stopProbes } from './traffic.ts';

const DEFINITIONS = ['evionetworks.evio.io', 'evionodes.evio.io'];
/** Longer than an operator leads without an answer (operator/src/leader/machine.ts). */
const AWAY_MS = 12_000;

const uninstalled = (): Promise<string> => helm('uninstall', 'evio', '--namespace', NAMESPACE, '--wait');

/** What docs/install.md has for an Evio that was torn out: there has to be an operator to clean up, and a network to be taken away. */
async function repaired(): Promise<void> {
  const release = ['evio', 'charts/evio', '--namespace', NAMESPACE, '--create-namespace'];
  await helm('upgrade', '--install', ...release, '--set', 'network.create=true');
  await uninstalled();
}

async function apiServerAway(): Promise<void> {
  const first = attempt('h', ['uninstall', 'evio', '--namespace', NAMESPACE, '--wait', '--timeout=90s']);
  await wait('the nodes are being cleaned', 60_000, async () => {
    const cleanup = await get('daemonset', 'evio-cleanup', '-n', NAMESPACE);
    return Number(cleanup?.status?.currentNumberScheduled ?? 0) > 0;
  });
  await must('part', ['cp', 'kube-apiserver', 'off']);
  await sleep(AWAY_MS);
  await must('part', ['cp', 'kube-apiserver', 'on']);
  await wait(
    'the API server answers',
    60_000,
    async () => (await attempt('k', ['get', '--raw', '/readyz'])).code === 0,
  );
  const { code, err } = await first;
  say(`helm uninstall ended with ${code === 0 ? 'success' : err.trim().split('\n')[0]}`);
  if (code !== 0) await uninstalled();
}

interface Departure {
  readonly name: string;
  /** How it came; by Helm if nothing else is said. */
  readonly come?: () => Promise<unknown>;
  readonly go: () => Promise<unknown>;
}

const DEPARTURES: readonly Departure[] = [
  {
    name: 'the namespace deleted first, and the EvioNetwork by force',
    go: async () => {
      await kubectl('delete', 'namespace', NAMESPACE, '--timeout=120s');
      await kubectl('patch', 'evionetwork', 'default', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
      await kubectl('delete', 'evionetwork', 'default', '--timeout=60s');
      await repaired();
    },
  },
  {
    name: 'helm uninstall --no-hooks',
    go: async () => {
      await helm('uninstall', 'evio', '--namespace', NAMESPACE, '--no-hooks', '--wait');
      await repaired();
    },
  },
  {
    name: 'the EvioNetwork deleted first',
    go: async () => {
      await kubectl('delete', 'evionetwork', 'default', '--timeout=120s');
      await uninstalled();
    },
  },
  {
    name: 'the definitions deleted first',
    go: async () => {
      await kubectl('delete', 'crd', ...DEFINITIONS, '--timeout=120s');
      await uninstalled();
    },
  },
  { name: 'the API server away meanwhile', go: apiServerAway },
  {
    name: 'kubectl delete, where kubectl apply was',
    come: bringUpByKubectl,
    go: async () => {
      await kubectl('delete', 'evionetwork', 'default', '--timeout=120s');
      await kubectl('delete', '-f', 'manifests/evio.yaml', '--timeout=120s');
    },
  },
];

export async function uninstall(report: Report, before: ReadonlyMap<string, Traces>): Promise<void> {
  await stopProbes();
  const began = performance.now();
  await uninstalled();
  report.atMost('helm uninstall', (performance.now() - began) / 1000, 60, 's');
  await asBefore(report, 'helm uninstall', before);
}

/** Each with an installation of its own. */
export async function departures(report: Report, before: ReadonlyMap<string, Traces>): Promise<void> {
  await stopProbes();
  for (const { name, come = bringUp, go } of DEPARTURES) {
    await come();
    await wait(`all ${NODES.length} EvioNodes Ready`, 120_000, async () => {
      const nodes = await list('evionodes');
      return nodes.length === NODES.length && nodes.every((node) => isTrue(node, 'Ready'));
    });
    say(`installed; next: ${name}`);
    const began = performance.now();
    await go();
    say(`${name}: over after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    await asBefore(report, name, before);
  }
}

async function asBefore(report: Report, title: string, before: ReadonlyMap<string, Traces>): Promise<void> {
  let left: readonly string[] = [];
  await wait('nothing of Evio is left', 30_000, async () => {
    const traces = differences(before, await tracesOfAll()).filter((line) => !/coredns/.test(line));
    left = [...traces, ...(await objectsLeft())];
    return left.length === 0;
  }).catch(() => undefined);
  report.holds(
    `${title}: nodes and objects are as before`,
    left.length === 0,
    left.slice(0, 8).join('; ') || 'as before',
    'as before',
  );
}

/** The definitions stay (crds.keep), and the namespace is not the chart's. */
async function objectsLeft(): Promise<readonly string[]> {
  const names = async (...args: readonly string[]): Promise<readonly string[]> =>
    (await attempt('k', ['get', ...args, '-o', 'name'])).out.split('\n').filter(Boolean);
  const all = await names(
    'clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings',
  );
  const own = await names(
    'pods,deployments,daemonsets,jobs,secrets,configmaps,serviceaccounts,leases',
    '-n',
    NAMESPACE,
  );
  return [
    ...(await names('evionetworks')),
    ...(await names('evionodes')),
    ...own.filter((name) => !/kube-root-ca|serviceaccount\/default/.test(name)),
    ...all.filter((name) => /evio/.test(name)),
    ...(await list('nodes')).flatMap(marksOf),
  ];
}

/** What of a Node was the operator's. */
function marksOf({ metadata, status }: Anything): readonly string[] {
  const marks = Object.keys(metadata.annotations ?? {}).filter((key) => key.includes('evio.io/'));
  const addresses = ((status?.addresses ?? []) as { type: string; address: string }[]).filter(
    ({ type }) => type === 'InternalIP',
  );
  return [...marks, ...addresses.map(({ address }) => address)].map((mark) => `node ${metadata.name}: ${mark}`);
}
