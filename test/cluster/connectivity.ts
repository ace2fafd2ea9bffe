/** `evio connectivity test` and `perf` as a user types them: on a healthy cluster, with one node cut off, interrupted, and asked wrongly. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { StepReport } from '../../cli/src/connectivity/judge.ts';
import type { Measured } from '../../cli/src/connectivity/measured.ts';
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { attempt, get, NODES, type Said, STATE, seconds, wait, withNftables } from './kube.ts';

const NAMESPACE = 'evio-connectivity';
const EVIO = resolve('dist/evio');
const CUT = 'edge2';
const line = (text: string): string => text.trim().replace(/\s+/g, ' ').slice(0, 400);

/** On the control plane, where kubectl is at home too. */
const evio = (...args: readonly string[]): Promise<Said> =>
  attempt('nx', ['cp', EVIO, 'connectivity', ...args, '--kubeconfig', `${STATE}/pki/admin.conf`]);

const gone = async (): Promise<boolean> => (await get('namespace', NAMESPACE)) === undefined;

interface Result {
  readonly steps: readonly StepReport[];
  readonly bundle?: string;
}

export async function connectivity(report: Report): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'evio-connectivity-'));
  try {
    await healthy(report, dir);
    await cutOff(report, dir);
    await interrupted(report);
    await asked(report);
    await measured(report);
  } finally {
    rmSync(dir, { recursive: true, force: true });
    // What a failure has left would fail what comes after.
    await attempt('k', ['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=60s']);
  }
}

/** What the user sees goes to the log of this test. */
async function healthy(report: Report, dir: string): Promise<void> {
  const junit = join(dir, 'junit.xml');
  const bundle = join(dir, 'healthy.tar.gz');
  let said: Said | undefined;
  const took = await seconds(async () => {
    said = await evio('test', '--junit', junit, '--bundle', bundle);
  });
  const { code = 1, out = '', err = '' } = said ?? {};
  say(`evio connectivity test\n${out}${err}`);
  report.holds(
    'evio connectivity test: all steps pass',
    code === 0,
    code === 0 ? out.trim().split('\n').at(-1) : line(out + err),
  );
  report.atMost('evio connectivity test: seconds', took, 60, 's');
  const lines = out.split('\n').filter((one) => /^ ?\d+ {2}/.test(one));
  report.holds(
    'evio connectivity test: ten numbered steps with their times, none skipped',
    lines.length === 10 && lines.every((one, at) => one.trim().startsWith(`${at + 1} `) && / ok .* s$/.test(one)),
    lines.length,
    '10',
  );
  const pairs = NODES.length * (NODES.length - 1);
  report.holds(
    'evio connectivity test: every pair of nodes in both families',
    ['IPv4', 'IPv6'].every((family) =>
      lines.some((one) => one.includes(`pod to pod, ${family}`) && one.includes(`${pairs} pairs`)),
    ),
    lines.filter((one) => one.includes('pod to pod')).join('; '),
  );
  const xml = existsSync(junit) ? readFileSync(junit, 'utf8') : '';
  report.holds(
    'evio connectivity test: JUnit has ten tests and no failure',
    /<testsuites [^>]*tests="10" failures="0"/.test(xml),
    line(xml).slice(0, 120),
  );
  report.holds(
    'evio connectivity test: no bundle of a test that passed',
    !existsSync(bundle),
    existsSync(bundle) ? 'there is one' : 'none',
    'none',
  );
  report.holds(
    'evio connectivity test: its namespace is gone',
    await gone(),
    (await gone()) ? 'gone' : 'there',
    'gone',
  );
}

/** All of one node's tunnels are dropped; its kubelet still reaches the API server, which is on no overlay. */
async function cutOff(report: Report, dir: string): Promise<void> {
  const bundle = join(dir, 'cut.tar.gz');
  const junit = join(dir, 'cut.xml');
  const chains = `chain in { type filter hook input priority 0; iifname "eth0" meta l4proto udp drop; }
    chain out { type filter hook output priority 0; oifname "eth0" meta l4proto udp drop; }`;
  let said: Said | undefined;
  await withNftables(CUT, chains, async () => {
    said = await evio('test', '-o', 'json', '--bundle', bundle, '--junit', junit);
  });
  const { code = 1, out = '', err = '' } = said ?? {};
  let result: Result = { steps: [] };
  try {
    result = JSON.parse(out) as Result;
  } catch {
    // Told by the checks.
  }
  say(
    `with ${CUT} cut off: exit code ${code}\n${result.steps.map(({ number, title, outcome, about, seconds: s, problems }) => `${number} ${title}: ${outcome}, ${about}, ${s} s\n${problems.map((one) => `    ${one}\n`).join('')}`).join('')}${err}`,
  );
  report.holds(`evio connectivity test with ${CUT} cut off: exit code`, code === 1, code, '1');
  for (const title of ['pod to pod, IPv4', 'pod to pod, IPv6']) {
    const step = result.steps.find((one) => one.title === title);
    const problems = step?.problems ?? [];
    const others = NODES.filter((node) => node !== CUT);
    report.holds(
      `evio connectivity test with ${CUT} cut off: "${title}" names all pairs with it and no other`,
      step?.outcome === 'failed' &&
        problems.some((one) => one.startsWith(`${CUT} to `) && others.every((node) => one.includes(node))) &&
        others.every((node) => problems.some((one) => one.startsWith(`${node} to ${CUT}: `))),
      line(problems.join('; ')),
    );
    report.holds(
      `evio connectivity test with ${CUT} cut off: "${title}" says what they have in common`,
      problems.includes(`all of these have ${CUT} in common`),
      problems.at(-1) ?? 'nothing',
    );
  }
  const first = result.steps.find(({ id }) => id === 'pods');
  report.holds(
    `evio connectivity test with ${CUT} cut off: its pod runs all the same`,
    first?.outcome === 'passed',
    first?.about ?? 'no such step',
  );
  const listed = await attempt('nx', ['cp', 'tar', '-tzf', bundle]);
  report.holds(
    `evio connectivity test with ${CUT} cut off: a bundle with objects and logs`,
    ['result.json', 'objects/nodes.json', 'objects/evionodes.json', 'MISSING.txt'].every((name) =>
      listed.out.includes(`/${name}`),
    ) &&
      /\/logs\/evio-agent-.*\.txt/.test(listed.out) &&
      result.bundle === bundle,
    line(listed.out || listed.err),
  );
  const xml = existsSync(junit) ? readFileSync(junit, 'utf8') : '';
  report.holds(
    `evio connectivity test with ${CUT} cut off: JUnit has the failures`,
    xml.includes('<failure ') && xml.includes(CUT),
    line(xml).slice(0, 120),
  );
  report.holds(
    `evio connectivity test with ${CUT} cut off: its namespace is gone`,
    await gone(),
    (await gone()) ? 'gone' : 'there',
    'gone',
  );
  await wait(
    `${CUT} is back`,
    60_000,
    async () =>
      (
        await attempt('k', [
          'logs',
          '-n',
          'evio-system',
          '-l',
          'app.kubernetes.io/component=agent',
          '--tail=1',
          '--request-timeout=5s',
        ])
      ).code === 0,
  );
}

async function interrupted(report: Report): Promise<void> {
  const args = ['cp', EVIO, 'connectivity', 'test', '--kubeconfig', `${STATE}/pki/admin.conf`];
  const child = spawn(resolve('hack/cluster/nx'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data.toString()));
  const ended = new Promise<number | null>((done) => child.on('close', (code) => done(code)));
  await wait('its namespace is there', 30_000, async () => !(await gone()));
  await wait('its pods are there', 30_000, async () =>
    (await attempt('k', ['get', 'pods', '-n', NAMESPACE, '-o', 'name'])).out.includes('pod/'),
  );
  // The program within the node, as Ctrl-C would reach it.
  await attempt('nx', ['cp', 'pkill', '-INT', '-f', 'evio.mjs connectivity test']);
  const code = await ended;
  report.holds('evio connectivity test, Ctrl-C: exit code', code === 130, String(code), '130');
  report.holds('evio connectivity test, Ctrl-C: says so', said.includes('interrupted'), line(said) || 'nothing');
  report.holds(
    'evio connectivity test, Ctrl-C: its namespace is gone',
    await gone(),
    (await gone()) ? 'gone' : 'there',
    'gone',
  );
}

/** One line, and the exit code that docs/cli.md says. */
async function asked(report: Report): Promise<void> {
  for (const [title, args, code, words] of [
    ['an unknown node', ['test', '--nodes', 'cp,nowhere'], 2, 'the cluster has no node nowhere; it has: '],
    ['Evio elsewhere', ['test', '--namespace', 'default'], 3, 'namespace default has no DaemonSet evio-agent'],
    [
      'a namespace of somebody else',
      ['test', '--test-namespace', 'kube-system'],
      3,
      'namespace kube-system is there already: it is not of a test',
    ],
    ['no HOST:PORT', ['test', '--outside', 'example.org'], 2, '--outside: "example.org" is not HOST:PORT'],
  ] as const) {
    const said = await evio(...args);
    report.holds(
      `evio connectivity ${args[0]}, ${title}: exit code ${code} and one line`,
      said.code === code && said.err.includes(words) && said.err.trim().split('\n').length === 1 && said.out === '',
      `${said.code}: ${line(said.err + said.out)}`,
    );
  }
  report.holds(
    'evio connectivity test, asked wrongly: kube-system is still there',
    (await get('namespace', 'kube-system')) !== undefined,
  );
}

async function measured(report: Report): Promise<void> {
  const said = await evio('perf', '--seconds', '1', '-o', 'json');
  let all: readonly Measured[] = [];
  try {
    all = JSON.parse(said.out) as readonly Measured[];
  } catch {
    // Told by the check.
  }
  const whole = all.filter(({ mbitPerSecond = 0, rttMedianMs = 0 }) => mbitPerSecond > 1 && rttMedianMs > 0);
  report.holds(
    'evio connectivity perf: every pair has its throughput and round trip',
    said.code === 0 && whole.length === NODES.length * (NODES.length - 1),
    all.length === 0
      ? line(said.err)
      : all
          .map(
            ({ from, to, mbitPerSecond: m, rttMedianMs: r }) =>
              `${from} ${to} ${m?.toFixed(0)} Mbit/s ${r?.toFixed(2)} ms`,
          )
          .join(', '),
  );
  report.holds(
    'evio connectivity perf: its namespace is gone',
    await gone(),
    (await gone()) ? 'gone' : 'there',
    'gone',
  );
}
