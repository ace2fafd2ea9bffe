/** kubectl logs, exec, attach, port-forward and cp on nodes behind NATs; over the overlay, and not otherwise. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Report } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import { attempt, EDGES, inNode, wait, withNftables } from './kube.ts';
import type { Probe } from './traffic.ts';

const KUBELET_PORT = 10_250;

/** Counts what the API server's node sends to the kubelet's port, by interface. */
async function counted(during: () => Promise<void>): Promise<{ readonly overlay: number; readonly elsewhere: number }> {
  const chain = `chain out { type filter hook postrouting priority 300;
    oifname "evio0" tcp dport ${KUBELET_PORT} counter comment "overlay";
    oifname != { "evio0", "lo" } tcp dport ${KUBELET_PORT} counter comment "elsewhere";
  }`;
  let table = '';
  await withNftables('cp', chain, async (listed) => {
    await during();
    table = await listed();
  });
  const of = (name: string): number =>
    Number(new RegExp(`packets (\\d+) bytes \\d+ comment "${name}"`).exec(table)?.[1] ?? -1);
  return { overlay: of('overlay'), elsewhere: of('elsewhere') };
}

export async function reach(report: Report, all: readonly Probe[]): Promise<void> {
  for (const probe of all.filter(({ node }) => EDGES.some((edge) => edge === node))) {
    const packets = await counted(() => verbs(report, probe));
    report.holds(
      `kubectl to ${probe.node}: packets to port ${KUBELET_PORT} by evio0, and by any other interface`,
      packets.overlay > 0 && packets.elsewhere === 0,
      `${packets.overlay}, ${packets.elsewhere}`,
      '> 0, 0',
    );
  }
}

async function verbs(report: Report, { pod, node }: Probe): Promise<void> {
  const logs = await attempt('k', ['logs', pod], '', 20_000);
  report.holds(
    `kubectl logs on ${node}`,
    logs.out.includes(`probe on ${node} listens`),
    (logs.out || logs.err).trim().slice(0, 150),
  );
  const exec = await attempt('k', ['exec', '-i', pod, '--', 'cat'], `hello ${node}`, 20_000);
  report.holds(
    `kubectl exec on ${node}, with standard input`,
    exec.out === `hello ${node}`,
    (exec.out || exec.err).trim().slice(0, 150),
  );
  await copied(report, pod, node);
  await forwarded(report, pod, node);
  await attached(report, pod, node);
}

async function copied(report: Report, pod: string, node: string): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'evio-cluster-cp-'));
  try {
    const [there, back] = [join(dir, 'there'), join(dir, 'back')];
    const text = `${node} `.repeat(50_000);
    writeFileSync(there, text);
    await attempt('k', ['cp', there, `${pod}:/tmp/there`], '', 30_000);
    const said = await attempt('k', ['cp', `${pod}:/tmp/there`, back], '', 30_000);
    let same = false;
    try {
      same = readFileSync(back, 'utf8') === text;
    } catch {
      // Said by what kubectl said.
    }
    report.holds(`kubectl cp to ${node} and back`, same, same ? 'same' : said.err.trim().slice(0, 150), 'same');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function forwarded(report: Report, pod: string, node: string): Promise<void> {
  const child = spawn(resolve('hack/cluster/k'), ['port-forward', `pod/${pod}`, '18090:8080'], { stdio: 'ignore' });
  try {
    let out = '';
    await wait('port-forward answers', 10_000, async () => {
      out = (await attempt('nx', ['cp', 'curl', '-s', '--max-time', '2', 'http://127.0.0.1:18090/'])).out;
      return out !== '';
    }).catch(() => undefined);
    report.holds(
      `kubectl port-forward to ${node}`,
      out.includes(`"node":"${node}"`),
      out.trim().slice(0, 150) || 'nothing',
    );
  } finally {
    child.kill('SIGTERM');
    await sleep(200);
  }
}

/** What a process says while somebody is attached. */
async function attached(report: Report, pod: string, node: string): Promise<void> {
  const child = spawn(resolve('hack/cluster/k'), ['attach', pod], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  try {
    await sleep(1_500);
    // Process 1 of the pod writes where its container's log begins.
    await attempt('k', ['exec', pod, '--', 'sh', '-c', 'echo attached-here >/proc/1/fd/1'], '', 20_000);
    await wait('attach shows it', 5_000, async () => out.includes('attached-here')).catch(() => undefined);
    report.holds(`kubectl attach on ${node}`, out.includes('attached-here'), out.trim().slice(0, 100) || 'nothing');
  } finally {
    child.kill('SIGTERM');
  }
}

/** The API server has no other way to an edge node. */
export async function unreachedWithoutTincan(
  report: Report,
  all: readonly Probe[],
  pidOf: (node: string) => Promise<string>,
): Promise<void> {
  const probe = all.find(({ node }) => node === EDGES[0]);
  if (probe === undefined) throw new Error(`no probe on ${EDGES[0]}`);
  const pid = await pidOf(probe.node);
  await inNode(probe.node, 'kill', '-STOP', pid);
  let said: Awaited<ReturnType<typeof attempt>>;
  try {
    said = await attempt('k', ['logs', '--request-timeout=8s', probe.pod], '', 15_000);
  } finally {
    await inNode(probe.node, 'kill', '-CONT', pid);
  }
  report.holds(
    `kubectl logs on ${probe.node} while its tincan is stopped`,
    said.code !== 0,
    said.code === 0 ? 'answers' : 'fails',
    'fails',
  );
  await wait(
    'kubectl logs works again',
    30_000,
    async () => (await attempt('k', ['logs', '--request-timeout=5s', probe.pod])).code === 0,
  );
}
