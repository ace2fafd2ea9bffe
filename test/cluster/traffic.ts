/** Who reaches what: pods over all nodes in both families, Services, DNS, the outside, host ports; and from which address. */
import type { Report } from '../demo/report.ts';
import { apply, attempt, EDGES, inNode, kubectl, list, NODES, wait } from './kube.ts';
import { HOST_PORT, NODE_PORT, PORT, PROBES, probes } from './manifests.ts';

export interface Probe {
  readonly pod: string;
  readonly node: string;
  readonly v4: string;
  readonly v6: string;
}

export const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** `nodes`: how many the cluster has. */
export async function startProbes(nodes: number = NODES.length): Promise<readonly Probe[]> {
  // A client's own apply would keep a copy of all of it in an annotation, which is too short for a program.
  await apply(probes(), '--server-side');
  await wait(
    `a probe runs on each of the ${nodes} nodes`,
    120_000,
    async () => (await probesRunning()).length === nodes,
  );
  return probesRunning();
}

export async function stopProbes(): Promise<void> {
  const objects = probes().map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  await kubectl('delete', ...objects, '--ignore-not-found', '--wait');
  await wait('probes are gone', 60_000, async () => (await list('pods', '-l', `app=${PROBES}`)).length === 0);
}

export async function probesRunning(): Promise<readonly Probe[]> {
  const pods = await list('pods', '-l', `app=${PROBES}`);
  return pods.flatMap(({ metadata, spec, status }) => {
    const ready = (status?.conditions as { type: string; status: string }[] | undefined)?.some(
      (one) => one.type === 'Ready' && one.status === 'True',
    );
    const ips = ((status?.podIPs ?? []) as { ip: string }[]).map(({ ip }) => ip);
    const [v4, v6] = [ips.find((ip) => !ip.includes(':')), ips.find((ip) => ip.includes(':'))];
    if (ready !== true || v4 === undefined || v6 === undefined) return [];
    return [{ pod: metadata.name, node: String(spec?.nodeName), v4, v6 }];
  });
}

/** What each node is told to be behind: public ones nothing, edges the kind of NAT that the cluster was made with. */
export async function natClasses(report: Report): Promise<void> {
  const behind = process.env.NAT === 'random' ? 'AddressDependent' : 'EndpointIndependent';
  const wanted = NODES.map((node) => `${node} ${EDGES.includes(node) ? behind : 'None'}`).join(', ');
  let found = '';
  // A status is written every 30 s at most.
  await wait('every EvioNode knows its NAT', 90_000, async () => {
    const nodes = new Map((await list('evionodes')).map((one) => [one.metadata.name, one.status?.nat]));
    found = NODES.map((node) => `${node} ${(nodes.get(node) as { mapping?: string } | undefined)?.mapping}`).join(', ');
    return found === wanted;
  }).catch(() => undefined);
  report.holds('EvioNodes say what NAT is before them', found === wanted, found, wanted);
}

interface Answer {
  readonly node?: string;
  readonly client?: string;
  readonly error?: string;
}

/** What a pod is answered, asked from its own node: that needs nothing but the node's own wiring. */
export async function askFrom(probe: Probe, url: string): Promise<Answer> {
  const said = await order<{ status?: number; body?: string; error?: string }>(probe, `url=${encodeURIComponent(url)}`);
  if (said.status === 200) return JSON.parse(said.body ?? '') as Answer;
  return { error: said.error ?? `HTTP ${said.status}` };
}

/** Which nodes' pods answer at an address that leads to several. */
async function askUntilAll(probe: Probe, url: string, nodes: number): Promise<{ nodes?: string[]; error?: string }> {
  return await order(probe, `url=${encodeURIComponent(url)}&nodes=${nodes}`, 60);
}

async function order<T extends { error?: string }>(probe: Probe, query: string, seconds = 5): Promise<T> {
  const url = `http://${probe.v4}:${PORT}/ask?${query}`;
  const said = await attempt('nx', [probe.node, 'curl', '-sS', '--max-time', `${seconds}`, url]);
  try {
    return JSON.parse(said.out) as T;
  } catch {
    return { error: (said.err || said.out).trim().slice(0, 200) } as T;
  }
}

export const failed = (
  some: readonly { readonly what: string; readonly ok: boolean; readonly got: string }[],
): string =>
  some
    .filter(({ ok }) => !ok)
    .slice(0, 4)
    .map(({ what, got }) => `${what}: ${got}`)
    .join('; ');

/** `title` begins the name of what is checked. */
export async function pairsOfPods(report: Report, all: readonly Probe[], title = ''): Promise<void> {
  for (const [family, of] of [
    ['IPv4', (probe: Probe) => probe.v4],
    ['IPv6', (probe: Probe) => probe.v6],
  ] as const) {
    const asked = await Promise.all(
      all.flatMap((from) =>
        all.map(async (to) => {
          const answer = await askFrom(from, `http://${bracketed(of(to))}:${PORT}/`);
          const ok = answer.node === to.node && (from === to || answer.client === of(from));
          return { what: `${from.node} to ${to.node}`, ok, got: JSON.stringify(answer) };
        }),
      ),
    );
    report.holds(
      `${title}${asked.length} pairs of pods talk by ${family}, from the pod's own address`,
      asked.every(({ ok }) => ok),
      failed(asked) || 'all',
      'all',
    );
  }
}

export async function talk(report: Report, all: readonly Probe[], title = ''): Promise<void> {
  await pairsOfPods(report, all, title);
  await services(report, all, title);
  await outside(report, all, title);
}

async function services(report: Report, all: readonly Probe[], begin: string): Promise<void> {
  const byName = new Map(
    (await list('services', '-n', 'default')).map((one) => [one.metadata.name, String(one.spec?.clusterIP)]),
  );
  const nodes = await list('nodes');
  const reached = nodes.flatMap((node) =>
    ((node.status?.addresses ?? []) as { type: string; address: string }[])
      .filter(({ type }) => type === 'InternalIP')
      .map(({ address }) => ({ node: node.metadata.name, address })),
  );
  const [v4, v6] = [
    reached.filter(({ address }) => !address.includes(':')),
    reached.filter(({ address }) => address.includes(':')),
  ];
  const every = async (title: string, urls: readonly string[]): Promise<void> => {
    const asked = await Promise.all(
      all.flatMap((from) =>
        urls.map(async (url) => {
          const answer = await askFrom(from, url);
          return { what: `${from.node} to ${url}`, ok: answer.node !== undefined, got: JSON.stringify(answer) };
        }),
      ),
    );
    report.holds(
      `${begin}${title}, from pods of every node`,
      asked.every(({ ok }) => ok),
      failed(asked) || 'all',
      'all',
    );
  };
  // Several times each, so that most backends have their turn.
  const often = (url: string): readonly string[] => Array.from({ length: 6 }, () => url);
  await every('ClusterIP', often(`http://${byName.get('probes')}/`));
  await every('ClusterIP by IPv6', often(`http://[${byName.get('probes6')}]/`));
  await every('a Service by its name (DNS)', often('http://probes.default.svc.cluster.local/'));
  for (const [family, addresses] of [
    ['IPv4', v4],
    ['IPv6', v6],
  ] as const) {
    const asked = await Promise.all(
      all.flatMap((from) =>
        addresses.map(async ({ node, address }) => {
          const answer = await askUntilAll(from, `http://${bracketed(address)}:${NODE_PORT}/`, all.length);
          const ok = answer.error === undefined && answer.nodes?.length === all.length;
          return { what: `${from.node} to ${node}`, ok, got: JSON.stringify(answer) };
        }),
      ),
    );
    report.holds(
      `NodePort of every node by ${family} leads from pods of every node to pods of every node`,
      asked.length === all.length ** 2 && asked.every(({ ok }) => ok),
      failed(asked) || `all of ${asked.length}`,
      `all of ${all.length ** 2}`,
    );
  }
  const ports = await Promise.all(
    all.flatMap((from) =>
      v4.map(async ({ node, address }) => {
        const answer = await askFrom(from, `http://${address}:${HOST_PORT}/`);
        return { what: `${from.node} to ${node}`, ok: answer.node === node, got: JSON.stringify(answer) };
      }),
    ),
  );
  report.holds(
    `${begin}hostPort of every node, from pods of every node`,
    ports.every(({ ok }) => ok),
    failed(ports) || 'all',
    'all',
  );
}

/** The router between all networks stands for the internet: what asks it comes from a public address. */
async function outside(report: Report, all: readonly Probe[], begin: string): Promise<void> {
  const router = (await inNode('inet', 'ip', '-4', '-o', 'addr', 'show', 'scope', 'global')).match(
    /inet ([0-9.]+)/,
  )?.[1];
  const server = attempt(
    'nx',
    ['inet', 'busybox', 'httpd', '-f', '-p', '8099', '-h', '/usr/share/doc/base-files'],
    '',
    20_000,
  );
  try {
    const asked = await Promise.all(
      all.map(async (from) => {
        const said = await attempt('k', [
          'exec',
          from.pod,
          '--',
          '/usr/local/bin/node',
          '-e',
          `fetch('http://${router}:8099/copyright').then(a=>console.log(a.status),e=>console.log(String(e.cause??e)))`,
        ]);
        return { what: from.node, ok: said.out.trim() === '200', got: (said.out || said.err).trim().slice(0, 150) };
      }),
    );
    report.holds(
      `${begin}the outside, from pods of every node`,
      asked.every(({ ok }) => ok),
      failed(asked) || 'all',
      'all',
    );
  } finally {
    await attempt('nx', ['inet', 'pkill', '-f', 'busybox httpd -f -p 8099']);
    await server;
  }
}

/** For failures: the pods as they are. */
export const probesTable = (): Promise<string> => kubectl('get', 'pods', '-o', 'wide');
