/** `evio connectivity test` in the cluster: starts what asks, takes in what it finds, and judges step by step. */
import { setTimeout as sleep } from 'node:timers/promises';
import { NoAnswer } from '../../../agent/src/io/kube-connection.ts';
import { oneLine } from '../failure.ts';
import { judge, KINDS, type StepReport, type Told } from './judge.ts';
import { askingName, askingPod } from './manifests.ts';
import { ASKED_STEPS, type AskedStep, type Found, type Order, type Stand, standOf } from './order.ts';
import { hasEnded, lastWords, podTrouble } from './pods.ts';
import { foundIn, foundInMessage } from './report.ts';
import type { Standing, World } from './world.ts';

const STANDS: readonly Stand[] = ['pod', 'host'];
const LOG_MS = 5_000;
const LOG_AGAIN_MS = 700;
const LOGS_STEP_MS = 10_000;
/** As many tasks of a pod run at once; what stands in ask.ts. */
const AT_ONCE = 16;

interface Asking {
  readonly node: string;
  readonly stand: Stand;
  readonly pod: string;
  readonly found: Map<AskedStep, Found>;
  ended: boolean;
  why: string | undefined;
}

/** Each step as soon as it and those before it are known. */
export async function test(world: World, told: (step: StepReport) => void): Promise<readonly StepReport[]> {
  const steps: StepReport[] = [];
  const say = (step: StepReport): void => {
    steps.push(step);
    told(step);
  };
  const standing = await world.start();
  say(podsStep(standing));
  const all = standing.order.targets.flatMap(({ node }) =>
    STANDS.map(
      (stand): Asking => ({
        node,
        stand,
        pod: askingName(stand, node),
        found: new Map(),
        ended: false,
        why: undefined,
      }),
    ),
  );
  if (all.length > 0) await askAll(world, standing.order, all, say);
  return steps;
}

function podsStep({ missing, nodes, startedMs }: Standing): StepReport {
  const failed = missing.length > 0 || nodes.length === 0;
  return {
    number: 1,
    id: 'pods',
    title: KINDS.pods.title,
    outcome: failed ? 'failed' : 'passed',
    about: missing.length > 0 ? `${missing.length} of ${nodes.length} nodes` : `${nodes.length} nodes`,
    seconds: startedMs / 1000,
    problems: missing.map(({ node, why }) => `${node}: ${why}`),
    notes: [],
  };
}

async function askAll(world: World, order: Order, all: readonly Asking[], say: (step: StepReport) => void) {
  const { namespace, signal, startMs, tell } = world.options;
  await world.create(all.map(({ node, stand }) => askingPod(namespace, node, world.image, stand)));
  const end = performance.now() + startMs + longestMs(order);
  const nodes = order.targets.map(({ node }) => node);
  const readers = new AbortController();
  const reading = all.map((one) => readLog(world, one, AbortSignal.any([signal, readers.signal])));
  try {
    const open = [...ASKED_STEPS];
    while (open.length > 0) {
      const late = performance.now() >= end;
      await lookAt(world, all, late);
      for (;;) {
        const [step] = open;
        const some = all.filter(({ stand }) => step !== undefined && stand === standOf(step));
        if (step === undefined || !some.every(({ found, ended }) => ended || found.has(step))) break;
        say(
          judge(
            ASKED_STEPS.indexOf(step) + 2,
            step,
            some.map((one) => toldBy(one, step)),
            nodes,
          ),
        );
        open.shift();
      }
      const done = all.filter(({ ended }) => ended).length;
      tell(`${open[0] === undefined ? 'done' : KINDS[open[0]].title}: ${done} of ${all.length} pods have asked all`);
      if (open.length > 0) await world.pause();
    }
  } finally {
    readers.abort();
    await Promise.allSettled(reading);
  }
  say(await logsStep(world, all));
}

/** A step whose every ask fails takes its patience for each batch. */
function longestMs({ targets, clusterIPs, patienceMs }: Order): number {
  const batches = Math.ceil((2 * targets.length) / AT_ONCE) * 5 + Math.ceil(clusterIPs.length / AT_ONCE) * 2 + 1;
  return batches * patienceMs + 10_000;
}

const toldBy = ({ node, found, why }: Asking, step: AskedStep): Told => ({
  node,
  found: found.get(step),
  ...(why === undefined ? {} : { why }),
});

/** What kubelets bring by themselves: it comes also from nodes that nothing reaches. */
async function lookAt(world: World, all: readonly Asking[], late: boolean): Promise<void> {
  const pods = await world.pods();
  for (const one of all.filter(({ ended }) => !ended)) {
    const pod = pods.get(one.pod);
    if (pod !== undefined && hasEnded(pod)) {
      const found = foundInMessage(lastWords(pod));
      for (const each of found ?? []) if (!one.found.has(each.step)) one.found.set(each.step, each);
      if (found === undefined) one.why = podTrouble(pod);
      one.ended = true;
    } else if (pod === undefined || late) {
      one.why = pod === undefined ? 'its pod is gone' : `it had not ended in time: ${podTrouble(pod)}`;
      one.ended = true;
    }
  }
}

/** Logs come step by step, and whole. Who cannot be reached is told by its kubelet in the end. */
async function readLog(world: World, one: Asking, signal: AbortSignal): Promise<void> {
  while (!one.ended && !signal.aborted) {
    await sleep(LOG_AGAIN_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const log = await world.log(one.pod, LOG_MS).catch(() => '');
    for (const found of foundIn(log)) one.found.set(found.step, found);
  }
}

async function logsStep(world: World, all: readonly Asking[]): Promise<StepReport> {
  const began = performance.now();
  const asked = all.filter(({ stand }) => stand === 'pod');
  const problems = await Promise.all(
    asked.map(async ({ node, pod }) => {
      try {
        await world.log(pod, LOGS_STEP_MS);
        return [];
      } catch (error) {
        const silent = error instanceof NoAnswer && error.reason === 'NoAnswer';
        return [
          `${node}: ${silent ? `the API server got nothing from its kubelet within ${LOGS_STEP_MS / 1000} s` : oneLine(error)}`,
        ];
      }
    }),
  );
  world.options.signal.throwIfAborted();
  const lines = problems.flat();
  return {
    number: ASKED_STEPS.length + 2,
    id: 'logs',
    title: KINDS.logs.title,
    outcome: lines.length === 0 ? 'passed' : 'failed',
    about: lines.length === 0 ? `${asked.length} nodes` : `${lines.length} of ${asked.length} nodes`,
    seconds: (performance.now() - began) / 1000,
    problems: lines,
    notes: [],
  };
}
