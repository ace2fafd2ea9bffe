/** The other kinds of network on the same cluster, each a fresh EvioNetwork after the one before was deleted. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Report } from '../demo/report.ts';
import { NETWORK } from './install.ts';
import {
  apply,
  attempt,
  conditionOf,
  get,
  inNode,
  isTrue,
  kubectl,
  list,
  must,
  NODES,
  nodesReady,
  STATE,
  seconds,
  wait,
} from './kube.ts';
import { GATHER, PORT } from './manifests.ts';
import { failed, type Probe, pairsOfPods, startProbes, stopProbes, talk } from './traffic.ts';

/** Deletes the EvioNetwork that is there, with all its parts, and makes this one. Pods that had the former network are ended before. */
export async function replaceNetwork(spec: object): Promise<void> {
  await stopProbes();
  await kubectl('delete', 'evionetwork', 'default', '--ignore-not-found', '--timeout=150s');
  await apply([{ ...NETWORK, spec }]);
}

export const networkReady = async (): Promise<boolean> =>
  (await nodesReady()) && isTrue(await get('evionetwork', 'default'), 'Ready');

/** CoreDNS has the address of a network that is no more. */
export const restartDns = (): Promise<string> =>
  kubectl('-n', 'kube-system', 'rollout', 'restart', 'deployment/coredns');

// ---- flat ------------------------------------------------------------------------------------------------------------

export async function flat(report: Report): Promise<void> {
  await replaceNetwork({ ...NETWORK.spec, pods: { attachment: 'Flat' } });
  const took = await seconds(() => wait('all nodes Ready with flat pods', 180_000, networkReady));
  report.atMost('flat: seconds from a fresh EvioNetwork to all nodes Ready', took, 90, 's');
  await restartDns();
  await masqueradeAll(true);
  try {
    const all = await startProbes();
    await talk(report, all, 'flat: ');
    await neighboursOf(report, all);
    await gathered(report, all);
  } finally {
    await masqueradeAll(false);
  }
}

/** What docs/cni.md says of flat pods and kube-proxy. */
async function masqueradeAll(on: boolean): Promise<void> {
  for (const node of NODES) {
    const file = `${STATE}/${node}/kube-proxy.yaml`;
    const text = readFileSync(file, 'utf8').replace(/^(nftables|iptables): .*\n/gm, '');
    const mode = /^mode: (\w+)$/m.exec(text)?.[1];
    writeFileSync(file, on ? `${text}${mode}: {masqueradeAll: true}\n` : text);
    await must('part', [node, 'kube-proxy', 'restart']);
  }
  for (const node of NODES)
    await wait(`kube-proxy of ${node} has its new rules`, 60_000, async () => (await masqueradesAll(node)) === on);
}

/** Whether kube-proxy marks what pods send to a Service. */
async function masqueradesAll(node: string): Promise<boolean> {
  const rules = await inNode(node, 'sh', '-c', 'nft list ruleset; iptables-save 2>/dev/null || true');
  const toDns = rules
    .split('\n')
    .filter((line) => /daddr 10\.96\.0\.10 .*mark-for-masquerade|-d 10\.96\.0\.10\/32 .*KUBE-MARK-MASQ/.test(line));
  return toDns.length > 0 && toDns.every((line) => !/saddr != |! -s /.test(line));
}

/** As cni-plugin/src/names.rs makes it. */
const macOf = (v4: string): string =>
  ['02', '46', ...v4.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'))].join(':');

/** Every pod knows the MAC of every other one, asked by ARP and ND. */
async function neighboursOf(report: Report, all: readonly Probe[]): Promise<void> {
  for (const [title, of] of [
    ['ARP', (probe: Probe) => probe.v4],
    ['ND', (probe: Probe) => probe.v6],
  ] as const) {
    const found = await Promise.all(
      all.map(async (from) => {
        const pid = (await inNode(from.node, 'pgrep', '-o', '-f', '/probe/probe.mjs')).trim();
        const table = await inNode(from.node, 'nsenter', '-n', '-t', pid, 'ip', 'neigh', 'show', 'dev', 'eth0');
        const missing = all.filter((to) => {
          const line = table.split('\n').find((one) => one.startsWith(`${of(to)} `));
          return to !== from && line?.includes(`lladdr ${macOf(to.v4)} `) !== true;
        });
        const got = `no ${missing.map(({ node }) => node).join()} in ${table.replace(/\n/g, '; ')}`;
        return { what: from.node, ok: missing.length === 0, got };
      }),
    );
    report.holds(
      `flat: every pod has every other one's MAC by ${title}`,
      found.every(({ ok }) => ok),
      failed(found) || 'all',
      'all',
    );
  }
}

/** One datagram to all; who hears it answers with its name. */
async function gathered(report: Report, all: readonly Probe[]): Promise<void> {
  for (const [title, order] of Object.entries(GATHER)) {
    const asked = await Promise.all(
      all.map(async (from) => {
        const url = `http://${from.v4}:${PORT}/gather`;
        const args = [from.node, 'curl', '-sS', '--max-time', '10', '--data-binary', '@-', url];
        const said = await attempt('nx', args, JSON.stringify({ ...order, waitMs: 2_000 }));
        const expected = JSON.stringify(all.map(({ node }) => node).sort());
        return { what: from.node, ok: said.out.trim() === expected, got: (said.out || said.err).trim().slice(0, 200) };
      }),
    );
    report.holds(
      `flat: one ${title} datagram of each pod is heard by all ${all.length}`,
      asked.every(({ ok }) => ok),
      failed(asked) || 'all',
      'all',
    );
  }
}

// ---- HostNetwork -----------------------------------------------------------------------------------------------------

const HOST_NETWORK = { mode: 'HostNetwork', nodeCIDRs: NETWORK.spec.nodeCIDRs, signalling: NETWORK.spec.signalling };

export async function hostNetwork(report: Report): Promise<void> {
  await replaceNetwork(HOST_NETWORK);
  const took = await seconds(() =>
    wait('every EvioNode Ready in HostNetwork', 180_000, async () => {
      const members = await list('evionodes');
      const network = await get('evionetwork', 'default');
      return (
        members.length === NODES.length && members.every((one) => isTrue(one, 'Ready')) && isTrue(network, 'Ready')
      );
    }),
  );
  report.atMost('HostNetwork: seconds from a fresh EvioNetwork to every EvioNode Ready', took, 90, 's');
  await addressed(report);
  await pinged(report);
  await untouched(report);
  await underAnotherPlugin(report);
}

export interface Addressed {
  readonly node: string;
  /** Without their lengths. */
  readonly v4: string;
  readonly v6: string;
}

export async function addressesOfNodes(): Promise<readonly Addressed[]> {
  return (await list('evionodes')).map(({ metadata, spec }) => {
    const addresses = ((spec?.addresses ?? []) as readonly string[]).map((one) => one.split('/')[0] ?? '');
    const of = (six: boolean): string => addresses.find((one) => one.includes(':') === six) ?? '';
    return { node: metadata.name, v4: of(false), v6: of(true) };
  });
}

export async function addressed(report: Report): Promise<void> {
  const links = await Promise.all(
    (await list('evionodes')).map(async ({ metadata, spec }) => {
      const out = await inNode(metadata.name, 'ip', '-o', 'addr', 'show', 'dev', 'evio0', 'scope', 'global');
      const have = out.split('\n').flatMap((line) => /inet6? (\S+)/.exec(line)?.[1] ?? []);
      const want = spec?.addresses as readonly string[];
      return { what: metadata.name, ok: have.sort().join() === [...want].sort().join(), got: have.join(' ') };
    }),
  );
  report.holds(
    'HostNetwork: evio0 of every node has its overlay addresses',
    links.every(({ ok }) => ok),
    failed(links) || 'all',
    'all',
  );
  const wanted = new Map((await addressesOfNodes()).map((one) => [one.node, `${one.v4} ${one.v6}`]));
  const nodes = (await list('nodes')).map(({ metadata, status }) => {
    const internal = ((status?.addresses ?? []) as { type: string; address: string }[])
      .filter(({ type }) => type === 'InternalIP')
      .map(({ address }) => address)
      .join(' ');
    return { what: metadata.name, ok: internal === wanted.get(metadata.name), got: internal };
  });
  report.holds(
    'HostNetwork: InternalIP of every Node is its overlay addresses',
    nodes.every(({ ok }) => ok),
    failed(nodes) || 'all',
    'all',
  );
}

export async function pinged(report: Report): Promise<void> {
  const all = await addressesOfNodes();
  for (const [family, of] of [
    ['IPv4', (one: Addressed) => one.v4],
    ['IPv6', (one: Addressed) => one.v6],
  ] as const) {
    const pairs = await Promise.all(
      all.flatMap((from) =>
        all
          .filter((to) => to !== from)
          .map(async (to) => {
            const said = await attempt('nx', [from.node, 'ping', '-n', '-q', '-c', '3', '-W', '2', of(to)]);
            return {
              what: `${from.node} to ${to.node}`,
              ok: said.out.includes(' 0% packet loss'),
              got: said.out.trim(),
            };
          }),
      ),
    );
    report.holds(
      `HostNetwork: ${pairs.length} pairs of nodes talk by ${family}`,
      pairs.every(({ ok }) => ok),
      failed(pairs) || 'all',
      'all',
    );
  }
}

/** Pods are another plugin's. */
export async function untouched(report: Report): Promise<void> {
  const files = await Promise.all(
    NODES.map(async (node) => {
      const look =
        'ls /etc/cni/net.d; ls /opt/cni/bin | grep evio; nft list tables | grep evio; ip -br link | grep evc';
      const found = (await inNode(node, 'sh', '-c', `{ ${look}; } || true`)).trim();
      return { what: node, ok: found === '', got: found.replace(/\n/g, ' ') };
    }),
  );
  report.holds(
    'HostNetwork: no CNI configuration, plugin, firewall or link of pods on any node',
    files.every(({ ok }) => ok),
    failed(files) || 'none',
    'none',
  );
  const members = await list('evionodes');
  const pods = members.map((one) => conditionOf(one, 'PodNetworkReady'));
  report.holds(
    'HostNetwork: EvioNodes say that pods are not wanted',
    pods.every((one) => one?.reason === 'NotWanted'),
    pods.map((one) => `${one?.status} ${one?.reason}`).join(', '),
  );
  const ready = (await list('nodes')).map((node) => conditionOf(node, 'Ready'));
  report.holds(
    'HostNetwork: Nodes are not Ready without another plugin, and say so',
    ready.every((one) => one?.status === 'False' && /cni plugin not initialized/i.test(one.message ?? '')),
    ready[0]?.message ?? '',
  );
}

const BRIDGE_FILE = '/etc/cni/net.d/20-bridge.conflist';

/** The plain bridge plugin, and routes over the overlay: what Flannel's host-gw does. */
async function underAnotherPlugin(report: Report): Promise<void> {
  const all = await addressesOfNodes();
  const pieces = all.map((one, at) => ({ ...one, pods4: `10.244.${at}.0/24`, pods6: `fd00:10:244:${at}::/64` }));
  for (const own of pieces) {
    const bridge = {
      ...{ type: 'bridge', bridge: 'cni0', isGateway: true, hairpinMode: true, mtu: 1400 },
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: own.pods4 }], [{ subnet: own.pods6 }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      },
    };
    const portmap = { type: 'portmap', capabilities: { portMappings: true } };
    const configuration = { cniVersion: '1.0.0', name: 'bridge', plugins: [bridge, portmap] };
    for (const to of pieces.filter((one) => one !== own)) {
      await inNode(own.node, 'ip', 'route', 'replace', to.pods4, 'via', to.v4, 'dev', 'evio0');
      await inNode(own.node, 'ip', '-6', 'route', 'replace', to.pods6, 'via', to.v6, 'dev', 'evio0');
    }
    await must('nx', [own.node, 'tee', BRIDGE_FILE], JSON.stringify(configuration));
  }
  try {
    const took = await seconds(() => wait('Nodes are Ready with another plugin', 60_000, nodesReady));
    report.atMost('HostNetwork: seconds from another plugin to all Nodes Ready', took, 60, 's');
    await pairsOfPods(report, await startProbes(), 'HostNetwork, with the bridge plugin over it: ');
  } finally {
    await stopProbes();
    for (const own of pieces) {
      await attempt('nx', [own.node, 'rm', '-rf', BRIDGE_FILE, '/var/lib/cni/networks']);
      await attempt('nx', [own.node, 'ip', 'link', 'delete', 'cni0']);
      for (const to of pieces.filter((one) => one !== own)) {
        await attempt('nx', [own.node, 'ip', 'route', 'delete', to.pods4]);
        await attempt('nx', [own.node, 'ip', '-6', 'route', 'delete', to.pods6]);
      }
    }
  }
}
