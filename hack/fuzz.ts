/**
 * Fuzzes tincan: builds every target of agent/tincan/fuzz once and runs each for some time, or with so many inputs, as many targets at
 * once as there are processors. How many inputs each has executed is in its line and in results/fuzz.json. Ends with `N passed, N failed`,
 * one per target.
 *
 *   node hack/fuzz.ts [--seconds N] [--inputs N] [--jobs N] [--keep] [TARGET...]
 *
 * `--seconds` is how long each target runs (60). With `--inputs` it runs until so many were executed, those it began with included, and
 * `--seconds` (a day) is the longest it may take: one that has not executed them by then has failed, and says how far it came.
 *
 * Runs begin with the inputs of agent/tincan/fuzz/corpus (hack/fuzz-corpus.ts) and write what they find to .cache/fuzz, never to the
 * repository. `--keep` afterwards puts the smallest set of inputs that reaches what all of them reach in place of the checked-in ones
 * (with `--seconds 0` without a run before); new test vectors get in by that too. Inputs named `regression-*` are findings of old: they
 * stay. What broke a target once is tried first from then on, until the target takes it.
 *
 * cargo-fuzz is not needed (it costs another minute to build), but works: `cargo fuzz run TARGET` has AddressSanitizer.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { Report } from '../test/demo/report.ts';
import { lay, pack, pickUp, REGRESSION, readCorpus } from './fuzz-corpus.ts';
import { describe, rateOf, reached, readEnd } from './fuzz-result.ts';
import { seeds } from './fuzz-seeds.ts';

const ROOT = resolve(import.meta.dirname, '..');
const CRATE = join(ROOT, 'agent/tincan/fuzz');
const CORPUS = join(CRATE, 'corpus');
const CACHE = join(ROOT, '.cache/fuzz');
const BUILD = join(ROOT, 'target/fuzz');
/** Larger inputs only take longer: every format has its limits within these bytes or a few. */
const INPUT_MAX = 4_096;
/** What one target may hold in the repository. */
const BYTES_MAX = 90_000;
/** An input that takes longer hangs. Generous, since others may have the processors. */
const HANG_S = 60;
const MEMORY_MB = 1_024;
/** How long a target runs; the longest it may take where a number of inputs ends it. */
const SECONDS = 60;
const SECONDS_MAX = 86_400;
/** An input of these is a node with its kernel, or handshakes: where a number of inputs is the end, they take longest and come first. */
const SLOW = ['member', 'handshake', 'flood'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    inputs: { type: 'string' },
    jobs: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

/** results/fuzz.json. */
process.chdir(ROOT);
const report = new Report('fuzz', false);

const children = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    for (const child of children) child.kill('SIGKILL');
    process.exit(1);
  });
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

/** Runs a program to its end; whatever becomes of this process, the program dies with it. */
function run(program: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((done) => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    const chunks: string[] = [];
    const take = (data: Buffer): void => {
      chunks.push(data.toString());
      // Of a long run only the end is of interest.
      if (chunks.length > 2_000) chunks.splice(0, 1_000);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    const end = (code: number): void => {
      children.delete(child);
      done({ code, output: chunks.join('') });
    };
    child.on('error', (error) => {
      chunks.push(`${error}\n`);
      end(127);
    });
    child.on('close', (status) => end(status ?? 1));
  });
}

const binary = (target: string): string => join(BUILD, 'release', target);
const directory = (...parts: string[]): string => {
  const path = join(CACHE, ...parts);
  mkdirSync(path, { recursive: true });
  return path;
};
const fileOf = (target: string): string => join(CORPUS, `${target}.txt`);
/** The checked-in inputs as files. */
const checkedInOf = (target: string): string => lay(readCorpus(fileOf(target)), join(CACHE, 'checked-in', target));

/** Cargo decides what is stale. */
function build(): void {
  const built = spawnSync(
    'cargo',
    ['build', '--release', '--locked', '--bins', '--manifest-path', join(CRATE, 'Cargo.toml')],
    {
      cwd: ROOT,
      env: { ...process.env, RUSTC_WRAPPER: join(ROOT, 'hack/fuzz-rustc.sh'), CARGO_TARGET_DIR: BUILD },
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    },
  );
  if (built.status !== 0) fail(`the fuzz targets do not build:\n${built.stderr ?? built.error}`);
}

/** What a person needs of a finding: where it is, how to see it again, and the line that keeps it (the file may be gone tomorrow). */
function tell(target: string, path: string): void {
  const input = readFileSync(path);
  const line = `${REGRESSION}NAME ${input.toString('base64')}`;
  process.stdout.write(`input:     ${relative(ROOT, path)} (${input.length} bytes)\n`);
  process.stdout.write(`reproduce: ${relative(ROOT, binary(target))} ${relative(ROOT, path)}\n`);
  process.stdout.write(`keep:      add this line to the top of ${relative(ROOT, fileOf(target))}\n${line}\n`);
}

/** What ends a run: the time, and the number of inputs if there is one to reach. */
interface Bounds {
  readonly seconds: number;
  readonly inputs: number | undefined;
}

/** True when nothing was found, and as many inputs were executed as there were to be. */
async function fuzz(target: string, { seconds, inputs }: Bounds): Promise<boolean> {
  const findings = directory('findings', target);
  const { code, output } = await run(binary(target), [
    `-max_total_time=${seconds}`,
    ...(inputs === undefined ? [] : [`-runs=${inputs}`]),
    `-max_len=${INPUT_MAX}`,
    `-timeout=${HANG_S}`,
    `-rss_limit_mb=${MEMORY_MB}`,
    `-artifact_prefix=${findings}/`,
    directory('corpus', target),
    findings,
    checkedInOf(target),
  ]);
  const executed = readEnd(code, output);
  report.details[target] = executed === undefined ? null : { ...executed, rate: rateOf(executed) };
  if (executed !== undefined) {
    process.stdout.write(`  ${target}: ${describe(executed, inputs)}\n`);
    const good = reached(executed, inputs);
    report.note({
      name: `fuzz-${target}`,
      value: executed.inputs,
      unit: 'inputs',
      limit: `>= ${inputs ?? 1}`,
      ok: good,
    });
    return good;
  }
  process.stdout.write(`  ${target}: FAILED\n`);
  report.note({ name: `fuzz-${target}`, value: 'a finding', unit: '', limit: 'none', ok: false });
  // Not the tale of its progress, lines that begin with the number of a run.
  const told = output.split('\n').filter((line) => !/^#\d/.test(line));
  process.stdout.write(`${told.slice(-60).join('\n')}\n`);
  const written = [...output.matchAll(/Test unit written to (\S+)/g)].map((match) => basename(match[1] ?? ''));
  for (const path of written.map((name) => join(findings, name)).filter(existsSync)) tell(target, path);
  return false;
}

/** Replaces the checked-in inputs by the smallest set that reaches the same. */
async function keep(target: string): Promise<boolean> {
  const merged = lay(new Map(), join(CACHE, 'merged', target));
  const vectors = new Map(seeds(target).map(([name, bytes]) => [name, bytes.subarray(0, INPUT_MAX)]));
  // How often a place is reached tells inputs apart when they are looked for; to reach it once is enough to keep.
  const sources = [checkedInOf(target), lay(vectors, join(CACHE, 'seeds', target)), directory('corpus', target)];
  const options = ['-set_cover_merge=1', '-use_counters=0', `-max_len=${INPUT_MAX}`];
  const merge = await run(binary(target), [...options, merged, ...sources]);
  if (merge.code !== 0) {
    process.stdout.write(
      `  ${target}: the inputs cannot be merged\n${merge.output.split('\n').slice(-20).join('\n')}\n`,
    );
    return false;
  }
  const kept = new Map([...readCorpus(fileOf(target))].filter(([name]) => name.startsWith(REGRESSION)));
  let [files, bytes] = [0, 0];
  // The small ones first: what does not fit is found again soon.
  for (const [name, input] of [...pickUp(merged)].sort(([, a], [, b]) => a.length - b.length)) {
    if (bytes + input.length > BYTES_MAX) break;
    kept.set(name, input);
    [files, bytes] = [files + 1, bytes + input.length];
  }
  writeFileSync(fileOf(target), pack(kept));
  process.stdout.write(`  ${target}: ${files} inputs kept, ${bytes} bytes\n`);
  return true;
}

/** Hands every target to the next free of `jobs` workers; how many of them said no. */
async function each(
  targets: readonly string[],
  jobs: number,
  work: (target: string) => Promise<boolean>,
): Promise<number> {
  const waiting = [...targets];
  let failed = 0;
  const worker = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
      if (!(await work(target))) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return failed;
}

const number = (name: 'seconds' | 'inputs' | 'jobs', least: number, otherwise: number): number => {
  const text = values[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least
    ? value
    : fail(`--${name} must be a whole number from ${least} up, not '${text}'`);
};
const inputs = values.inputs === undefined ? undefined : number('inputs', 1, 1);
const seconds = number('seconds', 0, inputs === undefined ? SECONDS : SECONDS_MAX);
const jobs = number('jobs', 1, availableParallelism());
const manifest = readFileSync(join(CRATE, 'Cargo.toml'), 'utf8');
const known = [...manifest.matchAll(/^\[\[bin\]\]\nname = "([a-z]+)"/gm)].map((match) => match[1] ?? '');
const unknown = positionals.filter((target) => !known.includes(target));
if (unknown.length > 0) fail(`no such target: ${unknown.join(' ')}; there are ${known.join(', ')}`);
if (seconds === 0 && !values.keep) fail('--seconds 0 is for --keep only');

const wanted = positionals.length > 0 ? positionals : known;
const targets = [
  ...SLOW.filter((target) => wanted.includes(target)),
  ...wanted.filter((target) => !SLOW.includes(target)),
];
build();
let failed = 0;
if (seconds > 0) {
  failed += await each(targets, jobs, (target) => fuzz(target, { seconds, inputs }));
  report.save();
}
if (values.keep) failed += await each(targets, jobs, keep);
process.stdout.write(`${Math.max(0, targets.length - failed)} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
