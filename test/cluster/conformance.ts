/**
 * `make conformance`: Kubernetes' own end-to-end tests of networking on the real cluster of hack/cluster, with Evio installed;
 * results/conformance.json, and all that the tests said in results/conformance-*.log.
 *
 *   node test/cluster/conformance.ts [--all | FOCUS]
 *
 * Without argument: the conformance tests of the group sig-network. `--all`: every test of the group that finds on this cluster what it
 * needs. FOCUS: a regular expression over their names. JOBS (3): how many run at once. KEEP=1 leaves the cluster up; PREFIX, NAT and the
 * like are those of hack/cluster.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Report, say } from '../demo/report.ts';
import { demandRoom, onCluster, refuse } from './cluster.ts';
import { install } from './install.ts';
import { must, STATE } from './kube.ts';

const GROUP = String.raw`\[sig-network\]`;
const CONFORMANCE = String.raw`${GROUP}.*\[Conformance\]`;
/** What `--all` leaves out, by what is missing here. */
const MISSING: Readonly<Record<string, string>> = {
  "a cloud's load balancer": String.raw`\[Feature:LoadBalancer\]|Type LoadBalancer`,
  "Google's cloud, or an ingress controller": String.raw`\[Provider:GCE\]|\[Feature:Ingress\]`,
  'the Internet': String.raw`\[Feature:Networking-(IPv4|IPv6|DNS)\]`,
  'something that enforces network policies': String.raw`\[Feature:NetworkPolicy\]|NetworkPolicyLegacy`,
  "the kernel's module for SCTP": 'sctp|SCTP',
  'a feature that is off by default': String.raw`\[Alpha\]|\[Feature:OffByDefault\]|\[Feature:KubeProxyNFAcct\]`,
  'nodes in several zones': 'Topology Hints|Traffic Distribution',
  'SSH to the nodes': String.raw`\[Disruptive\]`,
  'name servers of the outside': 'DNS configMap',
  'more processors': String.raw`\[Feature:PerformanceDNS\]|\[Feature:Networking-Performance\]`,
};

const BIN = resolve('.cache/cluster/bin');
const IMAGES = resolve('.cache/cluster/conformance');
const PROGRAM = join(BIN, 'e2e.test');

const argument = process.argv[2];
const all = argument === '--all';
function expression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    return refuse(`FOCUS: ${error instanceof Error ? error.message : String(error)}`);
  }
}
const focus = expression(all ? GROUP : (argument ?? CONFORMANCE));
const missing = new RegExp(Object.values(MISSING).join('|'));
const jobs = Number(process.env.JOBS ?? 3);

if (!Number.isInteger(jobs) || jobs < 1) refuse(`JOBS is ${process.env.JOBS}, must be a number from 1`);
demandRoom('conformance');
for (const file of [PROGRAM, join(IMAGES, 'repositories.yaml')])
  if (!existsSync(file))
    refuse(`${file} is missing; make it: hack/cluster/build.sh conformance && hack/cluster/images.sh conformance`);

/** Names of the tests that there are, as the program tells them: `FILE:LINE: NAME`. */
const known = execFileSync(PROGRAM, ['--list-tests'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  .split('\n')
  .flatMap((line) => /\.go:\d+: (.*\S)/.exec(line)?.[1] ?? []);
const found = known.filter((name) => focus.test(name));
const chosen = all ? found.filter((name) => !missing.test(name)) : found;
if (chosen.length === 0) refuse(`no test has a name with ${focus.source}; all names: ${PROGRAM} --list-tests`);
/** Those that may run beside others, dealt out; then the others. */
const serial = chosen.filter((name) => name.includes('[Serial]'));
const beside = chosen.filter((name) => !serial.includes(name));
const hands = Array.from({ length: jobs }, (_, job) => beside.filter((_, i) => i % jobs === job));

/** Of a report of Ginkgo's (types.Report), what is looked at here. */
interface Suite {
  readonly SpecReports: readonly Spec[];
}
interface Spec {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: string;
  readonly RunTime: number;
  readonly Failure?: { readonly Message: string };
}

let done = 0;
/** Runs some where the API server is; nodes and Services are reached from there. One line for each that ends. */
async function run(names: readonly string[], job: string): Promise<readonly Spec[]> {
  if (names.length === 0) return [];
  mkdirSync('results', { recursive: true });
  const json = join(dir, `${job}.json`);
  const log = createWriteStream(`results/conformance-${job}.log`);
  // What it is matched with has the suite's name in front.
  const exactly = `(${names.map((name) => name.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&')).join('|')})\\s*$`;
  const args = [
    ...['cp', 'env', `KUBE_TEST_REPO_LIST=${IMAGES}/repositories.yaml`, PROGRAM],
    ...[`--kubeconfig=${STATE}/pki/admin.conf`, '--provider=skeleton', `--kubectl-path=${BIN}/kubectl`],
    ...['--disable-log-dump', '--dump-logs-on-failure=false', `--e2e-output-dir=${dir}`],
    ...[
      `--ginkgo.focus=${exactly}`,
      '--ginkgo.v',
      '--ginkgo.no-color',
      '--ginkgo.timeout=4h',
      `--ginkgo.json-report=${json}`,
    ],
  ];
  const child = spawn(resolve('hack/cluster/nx'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.pipe(log, { end: false });
  let name = '';
  createInterface(child.stdout).on('line', (line) => {
    log.write(`${line}\n`);
    if (/^\[sig-/.test(line)) name = line.replace(/ \[sig-[\w-]+(, [\w:-]+)*\]$/, '');
    const ended = /^[•S] (?:\[(FAILED|PANICKED|TIMEDOUT|SKIPPED)\] )?\[([\d.]+) seconds\]/.exec(line);
    if (ended === null) return;
    done += 1;
    say(`${String(done).padStart(3)} of ${chosen.length}  ${ended[1] ?? 'passed'}  ${ended[2]} s  ${name}`);
  });
  const code = await new Promise<number>((ends) => {
    child.on('close', (status) => log.end(() => ends(status ?? 1)));
  });
  const [suite] = existsSync(json) ? (JSON.parse(readFileSync(json, 'utf8')) as readonly Suite[]) : [];
  if (suite === undefined)
    throw new Error(`${PROGRAM} ended with ${code} and no report; see results/conformance-${job}.log`);
  return suite.SpecReports;
}

const report = new Report('conformance', true);
/** Goes with the cluster. */
const dir = join(STATE, 'conformance');
await onCluster(async () => {
  mkdirSync(dir);
  await must(
    'load',
    ['agnhost', 'httpd', 'pause'].map((image) => join(IMAGES, `${image}.tar`)),
  );
  await install(report);
  const began = performance.now();
  const specs = (await Promise.all(hands.map((names, i) => run(names, String(i + 1))))).flat();
  specs.push(...(await run(serial, 'serial')));
  report.details.seconds = Math.round((performance.now() - began) / 1000);
  const skipped: Record<string, string> = {};
  let ran = 0;
  say('what Kubernetes says of each:');
  for (const { ContainerHierarchyTexts, LeafNodeType, LeafNodeText, State, RunTime, Failure } of specs) {
    const isTest = LeafNodeType === 'It';
    const name = [...(ContainerHierarchyTexts ?? []), LeafNodeText || LeafNodeType].join(' ').trim();
    const why = Failure?.Message ?? '';
    // One that was not chosen has no reason; one that looked for what it needs and did not find it has.
    if (State === 'skipped' && why === '') continue;
    if (isTest) ran += 1;
    if (State === 'skipped') skipped[name] = why;
    // What the suite does before and after all tests counts when it fails.
    else if (isTest || State !== 'passed') {
      const value = `${(RunTime / 1e9).toFixed(1)} s`;
      report.holds(name, State === 'passed', State === 'passed' ? value : `${State} after ${value}: ${why}`, 'passes');
    }
  }
  for (const [name, why] of Object.entries(skipped)) say(`skip  ${name}: ${why}`);
  report.details.skipped = skipped;
  report.holds('every chosen test was come to', ran === chosen.length, ran, String(chosen.length));
}).catch((error: unknown) => {
  report.holds('ran to its end', false, error instanceof Error ? error.message : String(error));
});

if (all)
  report.details.leftOut = Object.fromEntries(
    Object.entries(MISSING).map(([what, pattern]) => [what, found.filter((name) => new RegExp(pattern).test(name))]),
  );
say(`results in ${report.save()}, what the tests said in results/conformance-*.log`);
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
process.exitCode = report.failed === 0 ? 0 : 1;
