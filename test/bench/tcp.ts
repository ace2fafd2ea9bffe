/** Bulk: TCP flows over the tunnel of each peer, what they cost, and what each peer keeps in memory. */
import { run } from '../demo/shell.ts';
import type { Bench, Measured, Stage } from './bench.ts';
import { groupOf, type Peer } from './peers.ts';
import { SIDES } from './place.ts';
import type { MeasureName } from './results.ts';
import { congestionControl, spending, tcp } from './traffic.ts';
import { cpuSeconds } from './usage.ts';

export const ALL_PEERS = [
  'veth',
  'vxlan',
  'wireguard-go',
  'kernel-wireguard',
  'nebula',
  'vpncloud',
  'boringtun',
  'evio',
];

/** The ends as hosts of traffic. */
export const hosts = ({ ends }: Peer) => ({
  a: { ns: ends.a.ns, group: 'traffic-a' },
  b: { ns: ends.b.ns, group: 'traffic-b' },
});

/** One flow from a to b and what an end spent on it. */
export async function flowAndCost(
  peer: Peer,
  seconds: number,
): Promise<{ readonly mbps: number; readonly bytes: number; readonly tunnel: number; readonly end: number }> {
  const { a, b } = hosts(peer);
  const tunnels = SIDES.map((side) => groupOf(peer.fact.name, side));
  const { result, spent } = await spending([...tunnels, a.group, b.group], cpuSeconds, () =>
    tcp(a, b, peer.addresses.b, { seconds, flows: 1 }),
  );
  const of = (groups: readonly string[]): number => groups.reduce((sum, group) => sum + (spent.groups[group] ?? 0), 0);
  // Both ends stand on this machine.
  const perEnd = (cpu: number): number => cpu / 2 / (result.bytes / 1e9);
  const tunnel = of(tunnels);
  return {
    ...result,
    tunnel: perEnd(tunnel),
    end: perEnd(tunnel + of([a.group, b.group]) + spent.kernelThreads),
  };
}

async function measure(stage: Stage, peer: Peer): Promise<Measured> {
  const { seconds } = stage;
  const { a, b } = hosts(peer);
  const { mbps, tunnel, end } = await flowAndCost(peer, seconds);
  const back = await tcp(a, b, peer.addresses.b, { seconds, flows: 1, back: true });
  const four = await tcp(a, b, peer.addresses.b, { seconds, flows: 4 });
  const fourBack = await tcp(a, b, peer.addresses.b, { seconds, flows: 4, back: true });
  const found: Record<string, number> = {
    tcp1: mbps,
    'tcp1-back': back.mbps,
    tcp4: four.mbps,
    'tcp4-back': fourBack.mbps,
    'end-cpu': end,
  };
  const memory = [await peer.memory('a'), await peer.memory('b')];
  for (const name of Object.keys(memory[0] ?? {}))
    found[name] = memory.reduce((sum, side) => sum + (side[name] ?? Number.NaN), 0) / memory.length;
  if (found.rss !== undefined) found['tunnel-cpu'] = tunnel;
  return found as Partial<Record<MeasureName, number>>;
}

async function allPeers(stage: Stage): Promise<void> {
  await stage.place('pair');
  const peers = await stage.peers(ALL_PEERS);
  stage.record.notes.add(congestionControl());
  await stage.record.rounds(
    stage.rounds,
    peers.map((peer) => ({ name: peer.fact.name, measure: () => measure(stage, peer) })),
  );
}

/** Segmentation: a veth has it all by default, and no GRO. */
export const OFFLOADS = [
  'tso',
  'gso',
  'tx-udp-segmentation',
  'tx-udp_tnl-segmentation',
  'tx-udp_tnl-csum-segmentation',
];

/** Segmentation on the underlay's interfaces of both ends. */
async function offloads({ ends }: Peer, state: 'on' | 'off'): Promise<void> {
  for (const side of SIDES)
    await run(ends[side].ns, 'ethtool', '-K', 'eth0', ...OFFLOADS.flatMap((name) => [name, state]));
}

async function withoutOffloads(stage: Stage): Promise<void> {
  await stage.place('pair');
  const peers = await stage.peers(ALL_PEERS);
  try {
    for (const peer of peers) await offloads(peer, 'off');
    await stage.record.rounds(
      stage.rounds,
      peers.map((peer) => ({
        name: peer.fact.name,
        measure: async () => {
          const { mbps, tunnel, end } = await flowAndCost(peer, stage.seconds);
          const { a, b } = hosts(peer);
          const four = await tcp(a, b, peer.addresses.b, { seconds: stage.seconds, flows: 4 });
          const cost = tunnel > 0 ? { 'tunnel-cpu': tunnel } : {};
          return { tcp1: mbps, tcp4: four.mbps, 'end-cpu': end, ...cost };
        },
      })),
    );
  } finally {
    for (const peer of peers) await offloads(peer, 'on');
  }
}

async function openVSwitch(stage: Stage): Promise<void> {
  await stage.place('pair');
  const peers = await stage.peers(['veth', 'wireguard-go', 'evio', 'evio-ovs']);
  await stage.record.rounds(
    stage.rounds,
    peers.map((peer) => ({
      name: peer.fact.name,
      measure: async () => {
        const { mbps, end } = await flowAndCost(peer, stage.seconds);
        return { tcp1: mbps, 'end-cpu': end };
      },
    })),
  );
}

export const TCP_BENCHES: readonly Bench[] = [
  {
    name: 'tcp',
    title: 'TCP over a tunnel',
    text: 'iperf3 between two network namespaces, joined by a veth, which is the underlay of all peers; one second of warm-up is not counted. The CPU is that of the flow from A to B.',
    run: allPeers,
  },
  {
    name: 'tcp-wire',
    title: 'TCP over a tunnel, without segmentation offloads of the underlay',
    text: 'The same with TSO, GSO and UDP segmentation (of tunnels too) switched off at both ends of the veth, which has no GRO anyway: the kernel cuts every packet before it leaves, as for a wire without a clever card.',
    run: withoutOffloads,
  },
  {
    name: 'ovs',
    title: 'Open vSwitch at the edge',
    text: 'Both ends with `switch: "ovs"`, an Open vSwitch with the netdev datapath (in user space) and userspace TSO each, beside tincan’s own switch.',
    run: openVSwitch,
  },
];
