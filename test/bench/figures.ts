/** The figures that have a goal, by the names that issues and results/bench.json call them. */
import { type BenchRun, type MeasureName, type Results, seriesOf } from './results.ts';
import { best, difference, ratio, type Series, type Summary, summary } from './stats.ts';

export interface Goal {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly bound: 'at least' | 'at most';
  readonly goal: number;
  readonly stretch?: number;
}

interface Definition extends Goal {
  of(results: Results): Series;
}

export interface Figure extends Goal {
  /** Undefined: not measured. */
  readonly value: Summary | undefined;
  readonly reached: boolean;
}

/** One measure of a bench as a ratio of two peers. */
const against =
  (bench: string, measure: MeasureName, other: string) =>
  ({ benches }: Results): Series =>
    ratio(seriesOf(benches[bench], measure, 'evio'), seriesOf(benches[bench], measure, other));

const plain =
  (bench: string, measure: MeasureName, peer = 'evio') =>
  ({ benches }: Results): Series =>
    seriesOf(benches[bench], measure, peer);

/** Encrypted peers of a run other than Evio in whatever form. */
const encryptedOthers = (run: BenchRun | undefined): readonly string[] =>
  run?.peers.filter(({ name, encrypted }) => encrypted && !name.startsWith('evio')).map(({ name }) => name) ?? [];

const DEFINITIONS: readonly Definition[] = [
  {
    name: 'tcp1-vs-wireguard-go',
    title: 'One flow over a tunnel, against wireguard-go',
    unit: '×',
    bound: 'at least',
    goal: 2.3,
    stretch: 3.5,
    of: against('tcp', 'tcp1', 'wireguard-go'),
  },
  {
    name: 'tcp1-vs-veth',
    title: 'One flow over a tunnel, against plain veth',
    unit: '×',
    bound: 'at least',
    goal: 0.28,
    stretch: 0.45,
    of: against('tcp', 'tcp1', 'veth'),
  },
  {
    name: 'tcp1-vs-best-encrypted',
    title: 'One flow, against the best other encrypted peer',
    unit: '×',
    bound: 'at least',
    goal: 2,
    of: ({ benches: { tcp } }) =>
      ratio(seriesOf(tcp, 'tcp1', 'evio'), best(encryptedOthers(tcp).map((peer) => seriesOf(tcp, 'tcp1', peer)))),
  },
  {
    name: 'cpu-seconds-per-gb',
    title: 'CPU of an end: agent and tincan',
    unit: 's/GB',
    bound: 'at most',
    goal: 1.3,
    stretch: 0.9,
    of: plain('tcp', 'tunnel-cpu'),
  },
  {
    name: 'udp1200-vs-veth',
    title: 'UDP of 1200 B one way at < 0.1 % loss, against plain veth',
    unit: '×',
    bound: 'at least',
    goal: 0.5,
    stretch: 0.8,
    of: against('udp', 'udp1200', 'veth'),
  },
  {
    name: 'rtt-added-idle-p50-us',
    title: 'RTT idle, p50, more than plain veth',
    unit: 'µs',
    bound: 'at most',
    goal: 40,
    stretch: 25,
    of: ({ benches: { rtt } }) => difference(seriesOf(rtt, 'rtt-p50', 'evio'), seriesOf(rtt, 'rtt-p50', 'veth')),
  },
  {
    name: 'rtt-idle-p99-vs-wireguard-go',
    title: 'RTT idle, p99, against wireguard-go',
    unit: '×',
    bound: 'at most',
    goal: 0.5,
    of: against('rtt', 'rtt-p99', 'wireguard-go'),
  },
  {
    name: 'rtt-loaded-p50-us',
    title: 'RTT under bulk load, p50',
    unit: 'µs',
    bound: 'at most',
    goal: 500,
    of: plain('rtt', 'rtt-loaded-p50'),
  },
  {
    name: 'transit-vs-adjacent',
    title: 'A transit hop: A-B-C against A-B',
    unit: '×',
    bound: 'at least',
    goal: 0.55,
    of: ({ benches: { transit } }) =>
      ratio(seriesOf(transit, 'tcp1-transit', 'evio'), seriesOf(transit, 'tcp1-adjacent', 'evio')),
  },
  {
    name: 'loss1-vs-wireguard-go',
    title: '1 % loss, 20 ms, against wireguard-go',
    unit: '×',
    bound: 'at least',
    goal: 0.95,
    of: against('loss', 'tcp1-loss1', 'wireguard-go'),
  },
  {
    name: 'relayed-mbps',
    title: 'Relayed through coturn',
    unit: 'Mbit/s',
    bound: 'at least',
    goal: 140,
    stretch: 500,
    of: plain('relayed', 'tcp1-relayed'),
  },
  ...([16, 64] as const).map(
    (count): Definition => ({
      name: `tincan-rss-mb-${count}-tunnels`,
      title: `Resident memory of tincan with ${count} tunnels`,
      unit: 'MB',
      bound: 'at most',
      goal: count === 16 ? 12 : 16,
      of: plain('tunnels', 'rss-tincan', `${count} tunnels`),
    }),
  ),
];

/** All of them, measured or not. A median counts: of single rounds both are shown. */
export function figures(results: Results): readonly Figure[] {
  return DEFINITIONS.map(({ of, ...goal }) => {
    const value = summary([...of(results).values()]);
    const reached =
      value !== undefined && (goal.bound === 'at least' ? value.median >= goal.goal : value.median <= goal.goal);
    return { ...goal, value, reached };
  });
}
