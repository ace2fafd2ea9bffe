/** Traffic between nodes, and what the underlay saw of it. */
import { NODES, SERVER } from './internet.ts';
import type { Joined } from './overlay.ts';
import {
  ANSWER_MS,
  fping,
  lost,
  median,
  outageMs,
  PING_EVERY_MS,
  type PingRun,
  parseFping,
  quantile,
  trimmed,
} from './ping.ts';
import { attempt, collect, run, sleep } from './shell.ts';

export interface Pair {
  readonly from: Joined;
  readonly to: Joined;
}

export const orderedPairs = (nodes: readonly Joined[]): readonly Pair[] =>
  nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => ({ from, to })));

export const pairName = ({ from, to }: Pair): string => `${from.name}-${to.name}`;

export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly received: number;
  readonly sent: number;
}

/** Asks `count` times, every 10 ms. Not by ping, which keeps its processor awake between requests. */
export async function latency(ns: string | undefined, target: string, count: number): Promise<Latency> {
  const done = await attempt(ns, fping([target], PING_EVERY_MS, count));
  const replies = parseFping(`${done.stdout}\n${done.stderr}`).get(target)?.replies ?? [];
  const rtts = replies.map((reply) => reply.rttMs);
  return { p50: median(rtts), p99: quantile(rtts, 0.99), received: replies.length, sent: count };
}

/** The underlay's own round trip of a pair: what each end needs to the router that joins them, added up. */
export async function underlayLatency(count: number): Promise<ReadonlyMap<string, Latency>> {
  const found = new Map<string, Latency>();
  for (const node of NODES) found.set(node.name, await latency(node.name, SERVER.gateway, count));
  return found;
}

/** Pings all pairs at once, 100 a second each; bytes of payload that went there and came back, both ways added. */
export async function exchange(pairs: readonly Pair[], count: number, size: number): Promise<number> {
  const answered = await Promise.all(
    pairs.map(async (pair) => {
      const args = ['-n', '-q', '-i', '0.01', '-c', String(count), '-W', '1', '-s', String(size), pair.to.ipv4];
      const done = await attempt(pair.from.name, ['ping', ...args]);
      return Number(/(\d+) received/.exec(done.stdout)?.[1] ?? 0);
    }),
  );
  return answered.reduce((sum, replies) => sum + replies * size * 2, 0);
}

/** One TCP flow for `seconds`; Mbit/s that arrived. */
export async function throughput(client: string, server: string, target: string, seconds: number): Promise<number> {
  const listener = collect(server, 'iperf3', '-s', '-1', '-p', '5301');
  try {
    for (let tries = 0; ; tries++) {
      await sleep(150);
      const done = await attempt(
        client,
        ['iperf3', '-c', target, '-p', '5301', '-t', String(seconds), '-O', '1', '-J'],
        (seconds + 15) * 1000,
      );
      const parsed = parseIperf(done.stdout);
      if (parsed !== undefined) return parsed;
      if (tries === 3)
        throw new Error(`iperf3 from ${client} to ${server} (${target}): ${done.stderr || done.stdout.slice(0, 300)}`);
    }
  } finally {
    listener.child.kill('SIGKILL');
  }
}

function parseIperf(text: string): number | undefined {
  try {
    const body = JSON.parse(text) as { end?: { sum_received?: { bits_per_second: number } } };
    const bits = body.end?.sum_received?.bits_per_second;
    return bits === undefined ? undefined : bits / 1e6;
  } catch {
    return undefined;
  }
}

/** IP bytes per second in and out of every node's underlay interface, over `seconds`. */
export async function idleRates(seconds: number): Promise<ReadonlyMap<string, number>> {
  const read = async (name: string): Promise<number> => {
    const text = await run(
      name,
      'cat',
      '/sys/class/net/eth0/statistics/rx_bytes',
      '/sys/class/net/eth0/statistics/tx_bytes',
    );
    return text
      .trim()
      .split('\n')
      .map(Number)
      .reduce((a, b) => a + b, 0);
  };
  const before = await Promise.all(NODES.map((node) => read(node.name)));
  await sleep(seconds * 1000);
  const after = await Promise.all(NODES.map((node) => read(node.name)));
  return new Map(NODES.map((node, i) => [node.name, ((after[i] ?? 0) - (before[i] ?? 0)) / seconds]));
}

export interface Watched {
  readonly pair: Pair;
  readonly run: PingRun;
  readonly lost: number;
  readonly outageMs: number;
}

/** Pings every pair, 100 times a second unless told otherwise, while `during` runs. */
export async function watch(
  pairs: readonly Pair[],
  during: () => Promise<void>,
  everyMs = PING_EVERY_MS,
): Promise<readonly Watched[]> {
  const probes = startProbes(
    pairs.map(({ from, to }) => ({ from: from.name, to: to.ipv4 })),
    everyMs,
  );
  try {
    await sleep(2000);
    await during();
    await sleep(ANSWER_MS);
  } finally {
    probes.stop();
  }
  const runs = await probes.runs;
  return pairs.map((pair, i) => {
    const result = runs[i] as PingRun;
    return { pair, run: result, lost: lost(result), outageMs: outageMs(result, everyMs) };
  });
}

export interface Probe {
  readonly from: string;
  readonly to: string;
}

/** Asks the addresses, one process a namespace, until stopped; gives the runs in the order of the probes, cut to what had its time. */
export function startProbes(
  probes: readonly Probe[],
  everyMs = PING_EVERY_MS,
): { stop(): void; readonly runs: Promise<readonly PingRun[]> } {
  const started = [...new Set(probes.map(({ from }) => from))].map((from) => {
    const targets = probes.filter((probe) => probe.from === from).map(({ to }) => to);
    return { from, ...collect(from, ...fping(targets, everyMs)) };
  });
  const collected = async (): Promise<readonly PingRun[]> => {
    const found = new Map<string, ReadonlyMap<string, PingRun>>();
    for (const { from, output, errors } of started) found.set(from, parseFping(`${await output}\n${await errors}`));
    return probes.map(({ from, to }) => {
      const run = found.get(from)?.get(to);
      if (run === undefined) throw new Error(`fping from ${from} to ${to} ended without its summary`);
      return trimmed(run, everyMs);
    });
  };
  return {
    stop: () => {
      for (const { child } of started) child.kill('SIGINT');
    },
    runs: collected(),
  };
}
