/** What benches found, as results/bench.json has it. */
import type { Series } from './stats.ts';

export interface Sample {
  /** What was measured: a peer, or a variant of the bench's own. */
  readonly peer: string;
  readonly measure: string;
  /** From 1. */
  readonly round: number;
  readonly value: number;
}

/** What the machine did besides, in one round. */
export interface RoundLoad {
  readonly round: number;
  /** Load average of the last minute, before and after. */
  readonly loadBefore: number;
  readonly loadAfter: number;
  /** Share of all processors' time that the hypervisor gave to others. */
  readonly steal: number;
  /** Share of all processors' time that went to processes that are not the bench's; kernel threads are nobody's. */
  readonly others: number;
}

export interface PeerFact {
  readonly name: string;
  readonly version: string;
  readonly encrypted: boolean;
  /** Of its interface: the packets that a user of it sends. */
  readonly mtu: number;
}

export interface BenchRun {
  readonly name: string;
  readonly at: string;
  readonly commit: string;
  readonly machine: string;
  readonly seconds: number;
  readonly peers: readonly PeerFact[];
  readonly loads: readonly RoundLoad[];
  readonly samples: readonly Sample[];
  /** What a reader of the figures has to know. */
  readonly notes: readonly string[];
  /** What could not be measured, and why. */
  readonly failures: readonly string[];
}

export interface Results {
  readonly benches: Readonly<Record<string, BenchRun>>;
}

export interface Measure {
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  /** Beside plain veth and wireguard-go, and as a chart. */
  readonly compared?: boolean;
}

const mbps = (title: string): Measure => ({ title, unit: 'Mbit/s', better: 'more', compared: true });
const cpu = (title: string): Measure => ({ title, unit: 's/GB', better: 'less' });
const rss = (title: string): Measure => ({ title, unit: 'MB', better: 'less' });
const time = (title: string, unit: 'ms' | 'µs'): Measure => ({ title, unit, better: 'less', compared: true });

/** Every measure there is, by the name that samples have. */
export const MEASURES = {
  tcp1: mbps('One TCP flow'),
  'tcp1-back': mbps('One TCP flow, the other way'),
  tcp4: mbps('Four TCP flows'),
  'tcp4-back': mbps('Four TCP flows, the other way'),
  'tunnel-cpu': cpu('CPU of an end: the tunnel’s processes'),
  'end-cpu': cpu('CPU of an end: tunnel, iperf3 and kernel threads'),
  'machine-cpu': cpu('CPU of this machine, whatever ran'),
  rss: rss('Resident memory of an end’s processes, after the flows'),
  'rss-agent': rss('of that, the agent'),
  'rss-tincan': rss('of that, tincan'),
  udp1200: { title: 'UDP of 1200 B, one way, at < 0.1 % loss', unit: 'packets/s', better: 'more', compared: true },
  'rtt-p50': time('RTT idle, p50', 'µs'),
  'rtt-p99': time('RTT idle, p99', 'µs'),
  'rtt-loaded-p50': time('RTT beside one TCP flow, p50', 'µs'),
  'rtt-loaded-p99': time('RTT beside one TCP flow, p99', 'µs'),
  'tcp1-loss01': mbps('One TCP flow, 20 ms, 0.1 % loss'),
  'tcp1-loss1': mbps('One TCP flow, 20 ms, 1 % loss'),
  'tcp1-adjacent': mbps('One TCP flow, A-B'),
  'tcp1-transit': mbps('One TCP flow, A-B-C'),
  'tcp1-relayed': mbps('One TCP flow by coturn'),
  'coturn-cpu': cpu('CPU of coturn'),
  'pods-node': mbps('Pod to pod on one node, one TCP flow'),
  'pods-nodes': mbps('Pod to pod over two nodes, one TCP flow'),
  'pods-rtt-p50': time('RTT from pod to pod over two nodes, p50', 'µs'),
  'setup-first': time('From the second end’s start to the first answered ping', 'ms'),
  'setup-direct': time('From the second end’s start to the direct path', 'ms'),
  'cni-add-p50': time('ADD, p50', 'ms'),
  'cni-add-p99': time('ADD, p99', 'ms'),
  'cni-del-p50': time('DEL, p50', 'ms'),
  'cni-del-p99': time('DEL, p99', 'ms'),
} as const satisfies Readonly<Record<string, Measure>>;

export type MeasureName = keyof typeof MEASURES;
export const isMeasure = (name: string): name is MeasureName => Object.hasOwn(MEASURES, name);
export const measureOf = (name: MeasureName): Measure => MEASURES[name];

/** One measure of one peer, by round. */
export function seriesOf(run: BenchRun | undefined, measure: MeasureName, peer: string): Series {
  const found = run?.samples.filter((sample) => sample.measure === measure && sample.peer === peer) ?? [];
  return new Map(found.map(({ round, value }) => [round, value]));
}

/** In the order in which they were first measured. */
export const measuresIn = (run: BenchRun): readonly MeasureName[] =>
  [...new Set(run.samples.map(({ measure }) => measure))].filter(isMeasure);
export const peersIn = (run: BenchRun, measure: MeasureName): readonly string[] => [
  ...new Set(run.samples.filter((sample) => sample.measure === measure).map(({ peer }) => peer)),
];

/** Whether others had so much of the machine that only ratios of one round mean something. */
export const wasLoaded = ({ others, steal }: RoundLoad): boolean => others > 0.1 || steal > 0.02;

/**
 * Results with one bench more. What was measured on another machine goes: figures of two machines do not stand beside each other.
 */
export function withRun(results: Results, run: BenchRun): Results {
  const kept = Object.entries(results.benches).filter(([, one]) => one.machine === run.machine);
  return { benches: { ...Object.fromEntries(kept), [run.name]: run } };
}

/** A number as people read it: three digits that count, thousands grouped. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return '?';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}
