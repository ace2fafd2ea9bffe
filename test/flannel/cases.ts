/** Flannel's own end-to-end cases, over Evio and over all nodes: what is not in test/cluster/traffic.ts already. */

import { attempt, EDGES, inNode, kubectl, list, must, NODES, seconds, wait } from '../cluster/kube.ts';
import { failed, type Probe, pairsOfPods, probesRunning } from '../cluster/traffic.ts';
import type { Report } from '../demo/report.ts';
import { restartFlannel, rolledOut, subnetOf } from './flannel.ts';

/** What `nx` runs a program of the node with, inside a pod's network. */
export async function insidePod({ node }: Pick<Probe, 'node'>): Promise<readonly string[]> {
  const pid = (await inNode(node, 'pgrep', '-o', '-f', '/probe/probe.mjs')).trim();
  return [node, 'nsenter', '-n', '-t', pid];
}

/** Pods of every node reach all others with frames as large as their MTU lets them; IPv4 may not be cut on its way. */
export async function sizes(report: Report, all: readonly Probe[], title: string): Promise<void> {
  for (const [family, of, header, ...flags] of [
    ['IPv4', (probe: Probe) => probe.v4, 28, '-4', '-M', 'do'],
    ['IPv6', (probe: Probe) => probe.v6, 48, '-6'],
  ] as const) {
    const asked = await Promise.all(
      all.map(async (from) => {
        const pod = await insidePod(from);
        const link = await must('nx', [...pod, 'ip', '-o', 'link', 'show', 'eth0']);
        const mtu = Number(/ mtu (\d+) /.exec(link)?.[1]);
        const missing: string[] = [];
        for (const to of all.filter((one) => one !== from)) {
          const ping = ['ping', ...flags, '-n', '-q', '-c', '5', '-i', '0.2', '-W', '2', '-s', String(mtu - header)];
          let said = await attempt('nx', [...pod, ...ping, of(to)]);
          // Flannel takes off 50 bytes for VXLAN over IPv6, which adds 70: the first of these learn the path's MTU (RFC 8201).
          if (family === 'IPv6' && !said.out.includes(' 0% packet loss'))
            said = await attempt('nx', [...pod, ...ping, of(to)]);
          if (!said.out.includes(' 0% packet loss')) missing.push(`${to.node}: ${(said.err || said.out).trim()}`);
        }
        return { what: `${from.node}, MTU ${mtu}`, ok: missing.length === 0, got: missing.join('; ').slice(0, 300) };
      }),
    );
    report.holds(
      `${title}packets of the pods' whole MTU reach all pods by ${family}`,
      asked.every(({ ok }) => ok),
      failed(asked) || 'all',
      'all',
    );
  }
}

/** "recovers pod connectivity after a pod is deleted and recreated" */
export async function recreated(report: Report, all: readonly Probe[], title: string): Promise<readonly Probe[]> {
  const old = all.find(({ node }) => node === EDGES[0]) as Probe;
  const took = await seconds(async () => {
    await kubectl('delete', 'pod', old.pod, '--wait', '--timeout=60s');
    await wait(`a new pod on ${old.node}`, 60_000, async () => {
      const now = await probesRunning();
      return now.length === NODES.length && now.every(({ pod }) => pod !== old.pod);
    });
  });
  report.atMost(`${title}a pod on ${old.node} deleted: seconds until another one is ready`, took, 30, 's');
  const now = await probesRunning();
  await pairsOfPods(report, now, `${title}after that `);
  return now;
}

const EVERY_MS = 100;
const COUNT = 900;

/** "preserves connectivity and subnet leases across a flannel DaemonSet restart", without a packet lost meanwhile. */
export async function restarted(report: Report, all: readonly Probe[], title: string): Promise<void> {
  const leases = async (): Promise<string> =>
    JSON.stringify(await Promise.all(NODES.map(async (node) => [node, await subnetOf(node)])));
  const before = await leases();
  const pinged = all.flatMap((from) =>
    (['v4', 'v6'] as const).map(async (family) => {
      const to = all.filter((one) => one !== from).map((one) => one[family]);
      const program = [
        'fping',
        family === 'v4' ? '-4' : '-6',
        '-q',
        '-t',
        '2000',
        '-p',
        String(EVERY_MS),
        '-c',
        String(COUNT),
      ];
      return (await attempt('nx', [...(await insidePod(from)), ...program, ...to])).err;
    }),
  );
  const took = await seconds(async () => {
    await restartFlannel();
    await rolledOut();
  });
  const counted = (await Promise.all(pinged)).flatMap((text) =>
    [...text.matchAll(/xmt\/rcv\/%loss = (\d+)\/(\d+)\//g)].map(
      ([, sent, got]) => [Number(sent), Number(got)] as const,
    ),
  );
  const sent = counted.reduce((sum, [one]) => sum + one, 0);
  const lost = counted.reduce((sum, [one, got]) => sum + one - got, 0);
  const wanted = 2 * all.length * (all.length - 1) * COUNT;
  report.holds(
    `${title}flanneld of all nodes restarted while all pairs of pods ping each other`,
    took * 1_000 < EVERY_MS * COUNT && sent === wanted,
    `${took.toFixed(1)} s, ${sent} pings`,
    `< ${(EVERY_MS * COUNT) / 1_000} s, ${wanted}`,
  );
  report.none(`${title}pings lost meanwhile`, lost, sent);
  const after = await leases();
  report.holds(`${title}each node's lease is the same after that`, after === before, after === before ? 'yes' : after);
}

/** "resolves and reaches a ClusterIP service across nodes": what dig gets, from pods of every node, over UDP and TCP. */
export async function names(report: Report, all: readonly Probe[], title: string): Promise<void> {
  const services = await list('services', '-A');
  const ips = (name: string): readonly string[] =>
    (services.find(({ metadata }) => metadata.name === name)?.spec?.clusterIPs ?? []) as readonly string[];
  const server = ips('kube-dns')[0] as string;
  const asked = await Promise.all(
    all.flatMap((from) =>
      (
        [
          ['kubernetes', 'A', '+notcp'],
          ['probes', 'A', '+tcp'],
          ['probes6', 'AAAA', '+notcp'],
        ] as const
      ).map(async ([name, type, how]) => {
        const question = [`${name}.default.svc.cluster.local`, type, how, '+short', '+tries=1', '+time=3'];
        const said = await attempt('nx', [...(await insidePod(from)), 'dig', `@${server}`, ...question]);
        const wanted = ips(name).find((ip) => ip.includes(':') === (type === 'AAAA')) ?? 'none';
        return { what: `${from.node} ${name}`, ok: said.out.trim() === wanted, got: (said.out || said.err).trim() };
      }),
    ),
  );
  report.holds(
    `${title}Services' names resolve in pods of every node`,
    asked.every(({ ok }) => ok),
    failed(asked) || `all of ${asked.length}`,
    'all',
  );
}
