/** Parts of Evio are exchanged while new requests go on between all pairs of pods. */
import { cpus, loadavg } from 'node:os';
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import { EDGES, isTrue, kubectl, list, must, NAMESPACE, wait } from './kube.ts';
import { type Asker, described, type Found, type Pair, pairsOf, stoodStill, totalsOf } from './lost.ts';
import { LOAD_PORT } from './manifests.ts';
import { edgePaths } from './paths.ts';
import type { Probe } from './traffic.ts';

/** Of requests that were late because a probe stood still: with more, the probes are what was measured. */
const PAUSED_SHARE = 0.01;

/** A container's end and start among it. */
const DATAPLANE_SECONDS = 3;

const addressOf = ({ v4 }: Probe): string => `${v4}:${LOAD_PORT}`;

/** So many new requests a second from every pod to every other, for so long. */
export function load(all: readonly Probe[], perSecond: number, seconds: number): Promise<readonly Asker[]> {
  return Promise.all(
    all.map(async (from): Promise<Asker> => {
      const to = all.filter((one) => one !== from).map(addressOf);
      const url = `http://${addressOf(from)}/ask?rate=${perSecond}&seconds=${seconds}&to=${to.join(',')}`;
      // From the pod's own node, which needs nothing but the node's own wiring.
      const curl = ['curl', '-sS', '--fail-with-body', '--max-time', String(seconds + 20), url];
      const out = await must('nx', [from.node, ...curl], '', (seconds + 30) * 1_000);
      return { node: from.node, address: addressOf(from), found: JSON.parse(out) as Found };
    }),
  );
}

/** How much of the machine was used, and how many processes wanted to run. */
function machine(): () => object {
  const sum = () => {
    const times = cpus().map(({ times: { user, nice, sys, irq, idle } }) => ({ busy: user + nice + sys + irq, idle }));
    return {
      busy: times.reduce((total, { busy }) => total + busy, 0),
      idle: times.reduce((total, { idle }) => total + idle, 0),
    };
  };
  const before = sum();
  return () => {
    const after = sum();
    const [busy, idle] = [after.busy - before.busy, after.idle - before.idle];
    return { busy: Number((busy / (busy + idle)).toFixed(2)), loadAverage: loadavg().map((one) => Math.round(one)) };
  };
}

interface Exchange {
  /** Names the checks and the details. */
  readonly title: string;
  readonly all: readonly Probe[];
  readonly perSecond: number;
  readonly seconds: number;
  /** What happens while requests go on. */
  during(): Promise<void>;
}

/** What became of the requests. */
async function underLoad(report: Report, exchange: Exchange): Promise<readonly Pair[]> {
  const { title, all, perSecond, seconds } = exchange;
  const used = machine();
  const loading = load(all, perSecond, seconds);
  const began = performance.now();
  await sleep(3_000);
  await exchange.during();
  const took = (performance.now() - began) / 1_000;
  say(`${title}: done after ${took.toFixed(1)} s`);
  const askers = await loading;
  const pairs = pairsOf(askers);
  const totals = totalsOf(pairs);
  const first = Math.min(...askers.map(({ found }) => found.beganUs));
  report.details[title] = {
    seconds: Number(took.toFixed(1)),
    ...totals,
    slowestMs: Math.max(...pairs.map(({ slowestMs }) => slowestMs)),
    machine: used(),
    stoodStill: Object.fromEntries(
      askers.map(({ node, found }) => [node, stoodStill(found.pauses, [found.beganUs, found.endedUs])]),
    ),
    pairs: pairs
      .filter((pair) => pair.lost.length + pair.paused.length + pair.retransmitted > 0)
      .map(({ nodes: _, ...pair }) => ({
        ...pair,
        lost: pair.lost.map((late) => described(late, first)),
        paused: pair.paused.map((late) => described(late, first)),
      })),
  };
  const { paused, sent } = totals;
  report.atMost(`${title}: late because a probe stood still itself`, paused, PAUSED_SHARE * sent, `of ${sent}`);
  return pairs;
}

async function lossless(report: Report, exchange: Exchange): Promise<void> {
  const { lost, sent } = totalsOf(await underLoad(report, exchange));
  report.none(exchange.title, lost, sent);
}

/** All pods of it are new ones. */
async function roll(workload: string): Promise<void> {
  await kubectl('-n', NAMESPACE, 'rollout', 'restart', workload);
  await kubectl('-n', NAMESPACE, 'rollout', 'status', workload, '--timeout=120s');
}

export async function upgrades(report: Report, all: readonly Probe[], short: boolean): Promise<void> {
  const perSecond = short ? 20 : 100;
  // With the kind of the path that the load took between the edges.
  const title = async (what: string): Promise<string> =>
    `lost-requests-on-upgrade: ${what}, ${EDGES.join('-')} ${(await edgePaths()).join('/')}`;
  await lossless(report, {
    title: await title('agents'),
    all,
    perSecond,
    seconds: short ? 40 : 60,
    during: () => roll('daemonset/evio-agent'),
  });
  await lossless(report, {
    title: await title('operator'),
    all,
    perSecond,
    seconds: short ? 20 : 30,
    during: () => roll('deployment/evio-operator'),
  });
  const node = EDGES[0] as string;
  await dataplane(report, node, { title: await title(`dataplane of ${node}`), all, perSecond, seconds: 20 });
}

/** A new tincan costs its own node's traffic a moment, and nobody else's anything. */
async function dataplane(report: Report, node: string, exchange: Omit<Exchange, 'during'>): Promise<void> {
  const pairs = await underLoad(report, {
    ...exchange,
    during: async () => {
      const ofNode = [
        ...['-n', NAMESPACE, '-l', 'app.kubernetes.io/component=dataplane'],
        `--field-selector=spec.nodeName=${node}`,
      ];
      await kubectl('delete', 'pod', ...ofNode);
      // Exchanged on demand only, so that there is no rollout to wait for.
      await wait(`another tincan runs on ${node}`, 60_000, async () =>
        (await list('pods', ...ofNode)).some((pod) => isTrue(pod, 'Ready')),
      );
    },
  });
  const own = pairs.filter(({ nodes }) => nodes.includes(node));
  const { lost, sent } = totalsOf(pairs.filter((pair) => !own.includes(pair)));
  report.none(`${exchange.title}: between the others`, lost, sent);
  // Requests begin evenly: those lost of the worst pair say for how long.
  const seconds = Math.max(...own.map((pair) => pair.lost.length)) / exchange.perSecond;
  report.atMost(`${exchange.title}: without answers to and from it`, seconds, DATAPLANE_SECONDS, 's');
}
