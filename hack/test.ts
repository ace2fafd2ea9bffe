/**
 * Runs groups of tests, shows what fails, and ends with one line: `N passed, N failed`.
 *
 *   node hack/test.ts check | unit | all | full | cluster | flannel
 *
 * A step either speaks for itself (one check: its exit code) or prints counts that are added up (mocha, cargo, demo). Steps come one after
 * the other, but for those that stand together: they mostly wait, so they do it beside each other.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Reads how many tests passed and failed out of what the step printed; without it, the step is one test. */
  readonly count?: (output: string) => Counts;
  readonly env?: Readonly<Record<string, string>>;
}
/** Steps in one stage run beside each other. */
type Stage = Step | readonly Step[];
interface Counts {
  readonly passed: number;
  readonly failed: number;
}

const sum = (text: string, pattern: RegExp): number =>
  [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
const mocha = (text: string): Counts => ({
  passed: sum(text, /^\s*(\d+) passing/gm),
  failed: sum(text, /^\s*(\d+) failing/gm),
});
const cargo = (text: string): Counts => ({
  passed: sum(text, /^test result: .*? (\d+) passed/gm),
  failed: sum(text, /^test result: .*? (\d+) failed/gm),
});
const counted = (text: string): Counts => ({
  passed: sum(text, /^(\d+) passed, \d+ failed$/gm),
  failed: sum(text, /^\d+ passed, (\d+) failed$/gm),
});

const CHECK: readonly Step[] = [
  { name: 'format and lint (TypeScript)', command: ['biome', 'check', '--error-on-warnings', '.'] },
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'types of the page of the map', command: ['tsc', '-p', 'map/page'] },
  { name: 'format (Rust)', command: ['cargo', 'fmt', '--all', '--check'] },
  {
    name: 'lint (Rust)',
    command: ['cargo', 'clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings'],
  },
  { name: 'generated files', command: ['node', 'hack/generated.ts', '--check'] },
];
const UNIT: readonly Step[] = [
  { name: 'TypeScript: unit, property, simulator', command: ['mocha'], count: mocha },
  {
    name: 'Rust: unit, property, integration',
    command: ['cargo', 'test', '--locked', '--workspace', '--no-fail-fast'],
    count: cargo,
  },
];
const against = (name: string, spec: string): Step => ({
  name: `TypeScript: ${name}`,
  command: ['mocha', '--no-config', '--timeout', '60000', '--ignore', 'test/e2e/cluster.test.ts', spec],
  count: mocha,
});
const INTEGRATION: readonly Stage[] = [
  [
    against('parts against the real servers', 'test/contract/**/*.test.ts'),
    against('what a user starts', 'test/e2e/**/*.test.ts'),
  ],
];
/** The Debian package in its life; its machines are in namespaces of their own. */
const PACKAGE = against('the Debian package', 'test/package/package.test.ts');
const SHORT_DEMO: Step = { name: 'demo, short', command: ['node', 'test/demo/main.ts', '--short'], count: counted };
/** The other kinds of what a node stands on. */
const OTHERS = { SWITCH: 'ovs', XMPP: 'ejabberd' } as const;
const SHORT_DEMO_OTHERS: Step = { ...SHORT_DEMO, name: 'demo, short, with Open vSwitch and ejabberd', env: OTHERS };
const SHORT_FAULTS: Step = {
  name: 'faults, short',
  command: ['node', 'test/faults/main.ts', '--short'],
  count: counted,
};
/** Faults of which `evio status` and `netcheck` have to name the cause. */
const DIAGNOSIS: Step = { name: 'diagnosis', command: ['node', 'test/diagnosis/main.ts'], count: counted };
const SHORT_DIAGNOSIS: Step = { ...DIAGNOSIS, name: 'diagnosis, short', command: [...DIAGNOSIS.command, '--short'] };
const EXACT: Step = { name: 'exact transfers', command: ['node', 'test/exact/main.ts'], count: counted };
const SHORT_EXACT: Step = { ...EXACT, name: 'exact transfers, short', command: [...EXACT.command, '--short'] };
const CLUSTER: Step = { name: 'cluster', command: ['node', 'test/cluster/main.ts'], count: counted };
const SHORT_CLUSTER: Step = { ...CLUSTER, name: 'cluster, short', command: [...CLUSTER.command, '--short'] };
/** What depends on how the nodes reach each other, once more where two of them need a relay. */
const CLUSTER_RELAYED: Step = {
  ...CLUSTER,
  name: 'cluster, behind NATs that need a relay',
  env: { NAT: 'random', EVIO_CLUSTER_ONLY: process.env.EVIO_CLUSTER_ONLY ?? 'traffic,reach,upgrades' },
};
/** Kubernetes' own tests of networking, on that cluster. */
const CONFORMANCE: Step = {
  name: 'conformance',
  command: [
    'sh',
    '-c',
    'hack/cluster/build.sh conformance && hack/cluster/images.sh conformance && node test/cluster/conformance.ts',
  ],
  count: counted,
};
/** Stock Flannel over Evio, on that cluster. */
const FLANNEL: Step = {
  name: 'Flannel over Evio',
  command: ['sh', '-c', 'hack/flannel/build.sh && node test/flannel/main.ts'],
  count: counted,
};
/** Two machines of one LAN with static pods, when every server is away. */
const NEIGHBOURS: Step = {
  name: 'neighbours on a LAN, without any server',
  command: ['node', 'test/lan/main.ts'],
  count: counted,
};
/** Every fuzz target for this long, as many at once as there are processors; EVIO_FUZZ_SECONDS says otherwise. */
const fuzzing = (seconds: number): Step => ({
  name: 'fuzzing',
  command: ['node', 'hack/fuzz.ts', '--seconds', process.env.EVIO_FUZZ_SECONDS ?? String(seconds)],
  count: counted,
});
/** Not the targets in which an input is a node with its kernel, or handshakes: one second of a processor has 170 inputs of the slowest. */
const PARSERS = ['records', 'certificates', 'plaintexts', 'frames', 'openflow', 'stun', 'relay', 'control'];
/** A parser that has not come so far in a day has failed, and says how far it came. */
const TEN_MILLION: Step = {
  name: 'fuzzing the parsers with ten million inputs each',
  command: ['node', 'hack/fuzz.ts', '--inputs', process.env.EVIO_FUZZ_INPUTS ?? '10000000', ...PARSERS],
  count: counted,
};
/** The example without Kubernetes; ffmpeg comes with it. */
const EDGE_VIDEO: Step = {
  name: 'video from the edge, without Kubernetes',
  command: ['sh', '-c', 'hack/examples.sh && mocha --no-config test/edge-video/edge-video.test.ts'],
  count: mocha,
};
/** README.md, typed as it stands, on clean machines; its part for a cluster is part of `cluster`. */
const README: Step = {
  name: 'README.md, on clean machines',
  command: ['mocha', '--no-config', 'test/readme/readme.test.ts'],
  count: mocha,
};
/** The live map in a real browser, which is 300 MB: not part of `all`. */
const MAP: Step = {
  name: 'the map in Chromium',
  command: ['sh', '-c', 'hack/map/setup.sh && node test/map/main.ts'],
  count: counted,
};
const DEMO: Step = { name: 'demo', command: ['node', 'test/demo/main.ts'], count: counted };
const LONG: readonly Step[] = [
  {
    name: 'Rust: tests of some minutes',
    command: ['cargo', 'test', '--locked', '--workspace', '--', '--ignored'],
    count: cargo,
  },
  DEMO,
  { ...DEMO, name: 'demo with Open vSwitch', env: { SWITCH: OTHERS.SWITCH } },
  { ...DEMO, name: 'demo with ejabberd', env: { XMPP: OTHERS.XMPP } },
  { ...DEMO, name: 'demo with Open vSwitch and ejabberd', env: OTHERS },
  {
    name: 'faults with Open vSwitch and ejabberd',
    command: ['node', 'test/faults/main.ts'],
    env: OTHERS,
    count: counted,
  },
  {
    name: 'faults',
    command: ['node', 'test/faults/main.ts', '--long'],
    // Five minutes are past two renewals of keys.
    env: { EVIO_HELD_MS: '300000' },
    count: counted,
  },
  DIAGNOSIS,
  EXACT,
  MAP,
  { name: 'the overlay at scale, 32 real nodes', command: ['node', 'test/scale32/main.ts'], count: counted },
  EDGE_VIDEO,
  { ...README, env: { EVIO_README_BUILD: 'yes' } },
  CLUSTER,
  CLUSTER_RELAYED,
  NEIGHBOURS,
  FLANNEL,
  CONFORMANCE,
  { ...PACKAGE, name: 'the Debian package, on a clean Debian', env: { EVIO_PACKAGE_ROOT: 'debian' } },
  {
    name: 'a release, twice',
    command: ['mocha', '--no-config', 'test/package/release.test.ts'],
    count: mocha,
  },
  {
    name: 'the cluster itself, without Evio',
    command: ['mocha', '--no-config', '--timeout', '300000', 'test/e2e/cluster.test.ts'],
    count: mocha,
  },
  {
    name: 'large simulated overlays',
    command: ['mocha', '--no-config', 'test/sim/world.test.ts'],
    env: { EVIO_SIM: 'full' },
    count: mocha,
  },
  {
    name: 'the overlay at scale, simulated',
    command: ['node', 'test/sim/scale/main.ts', '--seeds', '20', '--only', 'standing'],
    count: counted,
  },
  {
    name: 'the overlay at scale, from nothing and after deaths',
    command: ['node', 'test/sim/scale/main.ts', '--only', 'moving'],
    count: counted,
  },
  {
    name: 'the overlay at scale, 10,000 nodes',
    command: ['node', 'test/sim/scale/main.ts', '--nodes', '10000', '--only', 'standing', '--floods', '100'],
    count: counted,
  },
  {
    name: "the operator's caches, with more of everything",
    command: ['mocha', '--no-config', 'test/contract/operator/watch.test.ts'],
    env: { EVIO_WATCH: 'full', EVIO_CHURN: '4000' },
    count: mocha,
  },
  {
    name: 'generated tables',
    command: ['mocha', '--no-config', 'test/contract/generated-tables.test.ts'],
    env: { EVIO_GENERATED: 'full' },
    count: mocha,
  },
  fuzzing(1_800),
  TEN_MILLION,
];

const GROUPS: Readonly<Record<string, readonly Stage[]>> = {
  check: CHECK,
  unit: UNIT,
  all: [
    ...CHECK,
    ...UNIT,
    fuzzing(30),
    ...INTEGRATION,
    PACKAGE,
    SHORT_DEMO,
    SHORT_DEMO_OTHERS,
    SHORT_FAULTS,
    SHORT_DIAGNOSIS,
    SHORT_EXACT,
    SHORT_CLUSTER,
  ],
  full: [...CHECK, ...UNIT, ...INTEGRATION, ...LONG],
  cluster: [CLUSTER, CLUSTER_RELAYED],
  flannel: [NEIGHBOURS, FLANNEL],
};

/** What failed, one line each: said again at the very end, where somebody with the last lines of a log finds it. */
const failures: string[] = [];
const FAILURE = /^.*\bFAIL(ED)?\b.*$/gm;
/** In mocha's report: a number, the titles, what was expected and what came, up to the first line of the stack. */
const REPORTED = /^ {2}\d+\) .*(?:\n(?! *at |\n {2}\d+\) ).*)*/gm;
const FAILURES_OF_A_STEP = 20;
const LINE_MAX = 1_000;

function failureLines(step: Step, output: string): readonly string[] {
  const report = /^ {2}\d+ failing\n/m.exec(output);
  const found = [
    ...[...output.matchAll(FAILURE)].map(([line]) => line),
    ...(report === null ? [] : [...output.slice(report.index).matchAll(REPORTED)].map(([block]) => block)),
  ];
  // A check says what it has found in its last words.
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  return (found.length > 0 ? found : [last])
    .slice(0, FAILURES_OF_A_STEP)
    .map((text) => `${step.name}: ${text.trim().replace(/\s+/g, ' ').slice(0, LINE_MAX)}`);
}

/** Steps that tell a story as they go. */
const LIVE = /^(demo|faults|diagnosis|exact|cluster|Flannel|neighbours)/;

/** Runs a step; its output is shown as it comes when a person watches, and in full when it fails. */
async function run(step: Step): Promise<Counts> {
  const started = Date.now();
  process.stdout.write(`== ${step.name}\n`);
  const [program, ...args] = step.command;
  const child = spawn(program ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...step.env } });
  const chunks: string[] = [];
  const take = (data: Buffer): void => {
    const text = data.toString();
    chunks.push(text);
    if (LIVE.test(step.name)) process.stdout.write(text.replace(/^\d+ passed, \d+ failed\n/gm, ''));
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const code = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      chunks.push(String(error));
      resolve(127);
    });
    child.on('close', (status) => resolve(status ?? 1));
  });
  const output = chunks.join('');
  const counts = step.count?.(output) ?? { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
  // A runner that died before it could count has failed all the same, and so has one that ran nothing.
  const silent = (code !== 0 && counts.failed === 0) || counts.passed + counts.failed === 0;
  const result = { passed: counts.passed, failed: counts.failed + (silent ? 1 : 0) };
  if (result.failed > 0) failures.push(...failureLines(step, output));
  if (result.failed > 0 && !LIVE.test(step.name)) process.stdout.write(tail(output));
  const took = Math.round((Date.now() - started) / 1000);
  process.stdout.write(`   ${step.name}: ${result.passed} ok, ${result.failed} not, ${took} s\n`);
  return result;
}

/** The end of a long output holds the failures of every runner we use. */
const tail = (text: string): string => (text.length > 20_000 ? `...\n${text.slice(-20_000)}` : text);

const group = process.argv[2] ?? 'all';
const stages = GROUPS[group];
if (stages === undefined) {
  process.stderr.write(`unknown group '${group}'; one of: ${Object.keys(GROUPS).join(', ')}\n`);
  process.exit(2);
}
if (!existsSync('package.json')) {
  process.stderr.write('run this from the top of the repository\n');
  process.exit(2);
}
let passed = 0;
let failed = 0;
for (const stage of stages) {
  for (const counts of await Promise.all([stage].flat().map(run))) {
    passed += counts.passed;
    failed += counts.failed;
  }
}
if (failed > 0) for (const line of failures) process.stdout.write(`${line}\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
