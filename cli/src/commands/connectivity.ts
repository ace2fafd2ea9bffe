/** `evio connectivity test` and `perf`; `answer`, `ask` and `measure` are what their pods run. */
import { accessSync, constants, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Argv } from 'yargs';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import type { StepReport } from '../connectivity/judge.ts';
import { type AskedStep, hostAndPort, type Order } from '../connectivity/order.ts';
import type { World, WorldOptions } from '../connectivity/world.ts';
import { Failure, oneLine, UsageError } from '../failure.ts';
import { type Io, print } from '../output.ts';
import { Progress } from '../progress.ts';
import { type Command, command } from './command.ts';

const NAMESPACE = 'evio-connectivity';
const PATIENCE_MS = 8_000;
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const worldOptions = (yargs: Argv) =>
  yargs
    .option('kubeconfig', {
      type: 'string',
      describe: 'Who you are to the cluster (default: KUBECONFIG, ~/.kube/config)',
    })
    .option('context', { type: 'string', describe: 'Of the kubeconfig (default: its current one)' })
    .option('namespace', { type: 'string', default: 'evio-system', describe: 'Where Evio is' })
    .option('test-namespace', {
      type: 'string',
      default: NAMESPACE,
      describe: 'The namespace to make, and to remove in the end',
    })
    .option('nodes', { type: 'string', describe: 'Only these, with commas between (default: all)' })
    .option('timeout', { type: 'number', default: 120, describe: 'Seconds that pods may take to start' })
    .option('keep', { type: 'boolean', default: false, describe: 'Leave the namespace and its pods' });

interface WorldArguments {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace: string;
  readonly 'test-namespace': string;
  readonly nodes?: string | undefined;
  readonly timeout: number;
  readonly keep: boolean;
}

function within(option: string, value: number, min: number, max: number): number {
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${option}: ${value} is not allowed; allowed: ${min} to ${max} seconds`);
}

function settingsOf(args: WorldArguments, outside?: string): Omit<WorldOptions, 'signal' | 'tell'> {
  for (const option of ['namespace', 'test-namespace'] as const)
    if (!LABEL.test(args[option]))
      throw new UsageError(
        `--${option}: "${args[option]}" is not allowed; allowed: the name of a namespace (a DNS label)`,
      );
  if (args.namespace === args['test-namespace'])
    throw new UsageError(`--test-namespace: ${args.namespace} is Evio's own; it would be removed in the end`);
  const nodes = args.nodes?.split(',').map((name) => name.trim());
  if (nodes?.includes(''))
    throw new UsageError(`--nodes: "${args.nodes}" has an empty name; give names with commas between`);
  try {
    if (outside !== undefined) hostAndPort(outside);
  } catch (error) {
    throw new UsageError(`--outside: ${oneLine(error)}; one like example.org:443 or [2001:db8::1]:443 is`);
  }
  return {
    kubeconfig: args.kubeconfig,
    context: args.context,
    evioNamespace: args.namespace,
    namespace: args['test-namespace'],
    nodes,
    startMs: within('timeout', args.timeout, 5, 3_600) * 1000,
    outside,
    patienceMs: PATIENCE_MS,
  };
}

/** The path, if a file can be written there. */
function writable(option: string, file: string): string {
  const path = resolve(file);
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw new UsageError(`--${option}: cannot write ${path}: ${systemReason(error)}`);
  }
  return path;
}

/** Does `work`, and takes away what it made however it ends; a second signal does not wait for that. */
async function inWorld(
  settings: Omit<WorldOptions, 'signal' | 'tell'>,
  keep: boolean,
  work: (world: World) => Promise<void>,
): Promise<void> {
  const { NotRun, World } = await import('../connectivity/world.ts');
  const { ApiFailure } = await import('../../../agent/src/kube-api/client.ts');
  const stop = new AbortController();
  let code: number | undefined;
  const give = (signalCode: number): void => {
    if (code !== undefined) {
      process.stderr.write(
        `evio: namespace ${settings.namespace} may stay; remove it: kubectl delete namespace ${settings.namespace}\n`,
      );
      process.exit(signalCode);
    }
    code = signalCode;
    stop.abort();
  };
  for (const [signal, signalCode] of Object.entries(SIGNALS)) process.on(signal, () => give(signalCode));
  // The reader has left (`| head`): there is nobody to tell, and pods to be taken away all the same.
  process.stdout.removeAllListeners('error').on('error', () => (code === undefined ? give(1) : undefined));
  const progress = new Progress();
  const options: WorldOptions = { ...settings, signal: stop.signal, tell: (text) => progress.tell(text) };
  const world = await World.find(options).catch((error: unknown) => {
    progress.end();
    throw error;
  });
  try {
    await work(world);
  } catch (error) {
    if (code === undefined) throw error instanceof ApiFailure ? new NotRun(error.message) : error;
  } finally {
    try {
      if (!keep) await world.remove();
    } catch (error) {
      // What went before is said as well.
      process.stderr.write(`evio: ${oneLine(error)}\n`);
      process.exitCode = 1;
    }
    progress.end();
    world.close();
    if (keep)
      process.stderr.write(
        `evio: namespace ${settings.namespace} is kept; remove it: kubectl delete namespace ${settings.namespace}\n`,
      );
  }
  if (code !== undefined) {
    process.stderr.write('evio: interrupted\n');
    process.exitCode = code;
  }
}

const EXIT_CODES = {
  2: 'the command line is wrong, nothing was done',
  3: 'it could not be run: no cluster, no Evio in it, not permitted, or the namespace is there already',
  '129, 130, 143': 'ended by a signal; the namespace was removed',
} as const;

const probeOptions = (yargs: Argv) =>
  yargs.option('order', { type: 'string', demandOption: true, describe: 'File with what to ask' });

function environment(): { readonly node: string; readonly own: readonly string[] } {
  const { NODE_NAME: node, POD_IPS: ips = '' } = process.env;
  if (node === undefined || node === '')
    throw new UsageError('NODE_NAME is missing in the environment: this is what pods of the test run');
  return { node, own: ips.split(',') };
}

function readOrder(file: string): Order {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Order;
  } catch (error) {
    throw new UsageError(
      `cannot read the order ${file}: ${error instanceof SyntaxError ? error.message : systemReason(error)}`,
    );
  }
}

const TERMINATION_LOG = '/dev/termination-log';
/** What is left for the kubelet; outside of a pod there is nobody to leave it for. */
function leave(message: string): void {
  if (process.env.KUBERNETES_SERVICE_HOST !== undefined) writeFileSync(TERMINATION_LOG, message);
}

export const connectivityCommands: readonly Command[] = [
  command({
    path: 'connectivity test',
    describe:
      'Pods of its own on every node of a cluster ask each other, step by step, and the names of those that fail',
    exitCodes: {
      0: 'every step passed, or had nothing to ask',
      1: 'a step failed, and names who did not reach whom',
      ...EXIT_CODES,
    },
    options: (yargs) =>
      worldOptions(yargs)
        .option('outside', {
          type: 'string',
          describe:
            'HOST:PORT outside the cluster that takes TCP connections (default: the API server, as nodes reach it)',
        })
        .option('junit', { type: 'string', describe: 'Write the steps there too, as JUnit XML' })
        .option('bundle', {
          type: 'string',
          describe:
            'Where objects and logs go when a step fails (default: evio-connectivity-TIME.tar.gz in this directory); never a file that is there',
        }),
    run: async (args, io) => {
      const settings = settingsOf(args, args.outside);
      const wallMs = Date.now();
      const began = new Date(wallMs).toISOString();
      const folder = `evio-connectivity-${began.slice(0, 19).replaceAll(':', '-')}`;
      const junitFile = args.junit === undefined ? undefined : writable('junit', args.junit);
      const bundleFile = args.bundle === undefined ? resolve(`${folder}.tar.gz`) : writable('bundle', args.bundle);
      await inWorld(settings, args.keep, (world) =>
        testIn(world, io, { began, wallMs, folder, junitFile, bundleFile }),
      );
    },
  }),
  command({
    path: 'connectivity perf',
    describe: 'One TCP flow and round trips from pod to pod, between all pairs of nodes, one after the other',
    exitCodes: { 0: 'every pair was measured', 1: 'a pair could not be, and says why', ...EXIT_CODES },
    options: (yargs) => worldOptions(yargs).option('seconds', { type: 'number', default: 3, describe: 'Of each flow' }),
    run: async (args, io) => {
      const seconds = within('seconds', args.seconds, 1, 30);
      await inWorld(settingsOf(args), args.keep, async (world) => {
        const { perf } = await import('../connectivity/perf.ts');
        const { measuredText } = await import('../connectivity/measured.ts');
        const all = await perf(world, seconds);
        world.options.tell('');
        print(io, all, measuredText);
        if (all.some(({ why }) => why !== undefined)) process.exitCode = 1;
      });
    },
  }),
  command({
    path: 'connectivity answer',
    describe: 'What the pods of the test run that answer; not for people',
    options: (yargs) => yargs,
    run: async () => {
      const { answer } = await import('../connectivity/answer.ts');
      const server = await answer(environment().node);
      process.stdout.write(`answers on port ${server.port}\n`);
      await new Promise<void>((done) => process.once('SIGTERM', () => done()));
      server.close();
    },
  }),
  command({
    path: 'connectivity ask',
    describe: 'What the pods of the test run that ask; not for people',
    options: (yargs) =>
      probeOptions(yargs).option('stand', {
        choices: ['pod', 'host'] as const,
        demandOption: true,
        describe: 'Whose network this is',
      }),
    run: async (args) => {
      const { node, own } = environment();
      const order = readOrder(args.order);
      const { askStep, mtuOf } = await import('../connectivity/ask.ts');
      const { lineOf, messageOf } = await import('../connectivity/report.ts');
      const { ASKED_STEPS, standOf, tasksOf } = await import('../connectivity/order.ts');
      const tasks = tasksOf(order, node, args.stand);
      const steps: readonly AskedStep[] = ASKED_STEPS.filter((step) => standOf(step) === args.stand);
      const all = [];
      for (const step of steps) {
        const some = tasks.filter((task) => task.step === step);
        const found = await askStep(step, some, { own, patienceMs: order.patienceMs, mtu: mtuOf() });
        all.push(found);
        process.stdout.write(`${lineOf(found)}\n`);
      }
      leave(messageOf(all));
    },
  }),
  command({
    path: 'connectivity measure',
    describe: 'What the pods of the measurement run; not for people',
    options: (yargs) => probeOptions(yargs).option('seconds', { type: 'number', default: 3, describe: 'Of each flow' }),
    run: async (args) => {
      const { node } = environment();
      const { measureAll } = await import('../connectivity/measure.ts');
      const { measuredMessage } = await import('../connectivity/measured.ts');
      const { lineOf } = await import('../connectivity/report.ts');
      const all = await measureAll(readOrder(args.order), node, args.seconds, (one) =>
        process.stdout.write(`${lineOf(one)}\n`),
      );
      leave(measuredMessage(all));
    },
  }),
];

interface TestFiles {
  readonly began: string;
  readonly wallMs: number;
  readonly folder: string;
  readonly junitFile: string | undefined;
  readonly bundleFile: string;
}

async function testIn(world: World, io: Io, files: TestFiles): Promise<void> {
  const { test } = await import('../connectivity/test.ts');
  const { stepText, sumText } = await import('../connectivity/text.ts');
  const text = io.output === 'text';
  const steps = await test(world, (step) => {
    if (!text) return;
    // A line of progress would stand before it.
    world.options.tell('');
    io.out(stepText(step));
  });
  if (files.junitFile !== undefined) {
    const { junit } = await import('../connectivity/junit.ts');
    write(files.junitFile, junit(steps, files.began), {});
  }
  const failed = steps.some(({ outcome }) => outcome === 'failed');
  if (failed) process.exitCode = 1;
  const bundled = failed ? await bundleOf(world, steps, files) : undefined;
  world.options.tell('');
  const { namespace, nodes } = world.options;
  print(
    io,
    { namespace, nodes: nodes ?? world.nodes, steps, ...(bundled === undefined ? {} : { bundle: bundled.file }) },
    () => (bundled === undefined ? sumText(steps) : `${bundled.words}${sumText(steps)}`),
  );
}

async function bundleOf(
  world: World,
  steps: readonly StepReport[],
  { bundleFile, folder, wallMs }: TestFiles,
): Promise<{ readonly file: string; readonly words: string } | undefined> {
  const { bundle } = await import('../connectivity/bundle.ts');
  const made = await bundle(world, steps, folder, wallMs);
  try {
    write(bundleFile, made.archive, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    // What was found is worth more than the bundle.
    process.stderr.write(`evio: no bundle: ${oneLine(error)}\n`);
    return undefined;
  }
  const taken = made.redactions.map(
    ({ file, what, times }) => `  taken out of ${file}: ${what}${times === 1 ? '' : ` (${times} times)`}\n`,
  );
  const missing = made.missing.map((line) => `  missing: ${line}\n`);
  return {
    file: bundleFile,
    words: `objects and logs are in ${bundleFile}; names and addresses are in it: look at it before you give it away\n${taken.join('')}${missing.join('')}`,
  };
}

function write(
  file: string,
  content: string | Buffer,
  options: { readonly mode?: number; readonly flag?: string },
): void {
  try {
    writeFileSync(file, content, options);
  } catch (error) {
    throw new Failure(`cannot write ${file}: ${systemReason(error)}`);
  }
}
