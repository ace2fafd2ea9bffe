/** TCP between two nodes, and between two pods of Flannel on the same two nodes, in turns. */

import { attempt, inNode, must, type NodeName } from '../cluster/kube.ts';
import { addressesOfNodes } from '../cluster/modes.ts';
import type { Probe } from '../cluster/traffic.ts';
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import { insidePod } from './cases.ts';
import type { Backend } from './manifest.ts';

const PORT = 5_201;
const SECONDS = 4;
const ROUNDS = 5;

interface End {
  /** What `nx` is given before a program. */
  readonly place: readonly string[];
  readonly address: string;
}

/** In Mbit/s, as the receiver counts. */
async function iperf(from: End, to: End): Promise<number> {
  const server = attempt('nx', [...to.place, 'iperf3', '-s', '-1', '-p', String(PORT)], '', 40_000);
  await sleep(400);
  const args = [
    'iperf3',
    '-J',
    '-c',
    to.address,
    '-p',
    String(PORT),
    '-t',
    String(SECONDS),
    '--connect-timeout',
    '3000',
  ];
  const said = JSON.parse(await must('nx', [...from.place, ...args], '', 30_000)) as {
    end: { sum_received: { bits_per_second: number } };
  };
  await server;
  return said.end.sum_received.bits_per_second / 1e6;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Whether this kernel takes super-frames of UDP tunnels from a tap (TUN_F_UDP_TUNNEL_GSO, Linux 6.17), asked with one of its own. */
async function kernelCutsTunnels(): Promise<boolean> {
  const program = `import fcntl, os, struct
tap = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack('16sH22x', b'evfl%d', 0x5002))
fcntl.ioctl(tap, 0x400454d0, 7)
try: fcntl.ioctl(tap, 0x400454d0, 7 | 0x80)
except OSError: print('no')
else: print('yes')`;
  return (await inNode('cp', 'python3', '-c', program)).trim() === 'yes';
}

export async function throughput(report: Report, all: readonly Probe[], backend: Backend): Promise<void> {
  const [a, b]: readonly [NodeName, NodeName] = ['cloud1', 'cp'];
  const nodes = await addressesOfNodes();
  const onNode = (name: string): End => ({
    place: [name],
    address: nodes.find(({ node }) => node === name)?.v4 ?? '',
  });
  const inPod = async (name: string): Promise<End> => {
    const probe = all.find(({ node }) => node === name) as Probe;
    return { place: await insidePod(probe), address: probe.v4 };
  };
  const ways = { evio: [onNode(a), onNode(b)], flannel: [await inPod(a), await inPod(b)] } as const;
  const found: Record<keyof typeof ways, number[]> = { evio: [], flannel: [] };
  for (let round = 0; round < ROUNDS; round++) {
    // Each goes first as often as the other, but for one round.
    for (const way of round % 2 === 0 ? (['evio', 'flannel'] as const) : (['flannel', 'evio'] as const))
      found[way].push(Math.round(await iperf(...ways[way])));
  }
  const tunnels = await kernelCutsTunnels();
  report.details[`throughput ${backend}, Mbit/s`] = { ...found, 'UDP tunnels cut by the kernel': tunnels };
  say(`${a} to ${b}, Mbit/s in turns: evio ${found.evio.join(' ')}; ${backend} over it ${found.flannel.join(' ')}`);
  const limit = backend === 'host-gw' ? 0.9 : tunnels ? 0.6 : 0.25;
  // Of each round by itself: what else the machine does changes from one to the next.
  const ratios = found.flannel.map((one, round) => one / (found.evio[round] ?? Number.NaN));
  report.atLeast(
    `${backend}: TCP of pods (median ${median(found.flannel)} Mbit/s) of that of nodes over Evio itself (${median(found.evio)} Mbit/s)`,
    median(ratios),
    limit,
    '',
  );
}
