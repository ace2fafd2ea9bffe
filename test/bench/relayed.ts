/** No way but through coturn. */
import { readFileSync } from 'node:fs';
import { serverPid } from '../demo/overlay.ts';
import { run } from '../demo/shell.ts';
import type { Bench, Stage } from './bench.ts';
import { type EvioPeer, untilPath } from './evio.ts';
import { SIDES } from './place.ts';
import { flowAndCost } from './tcp.ts';

const PATH_MS = 60_000;

/** Processor time of a process in seconds. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function measureRelayed(stage: Stage): Promise<void> {
  await stage.place('pair');
  const [peer] = (await stage.peers(['evio'])) as readonly EvioPeer[];
  if (peer === undefined) return;
  const nodes = Object.values(peer.nodes);
  const coturn = await serverPid('turn');
  // Without eth0 each end has its link to the server only, and the server forwards nothing.
  for (const side of SIDES) await run(peer.ends[side].ns, 'ip', 'link', 'set', 'eth0', 'down');
  try {
    await untilPath(nodes, 'webrtc', PATH_MS);
    const measure = async () => {
      const before = cpuOf(coturn);
      const { mbps, tunnel, end, bytes } = await flowAndCost(peer, stage.seconds);
      const relay = (cpuOf(coturn) - before) / (bytes / 1e9);
      if (relay === 0) throw new Error('coturn did nothing: the flow went another way');
      return { 'tcp1-relayed': mbps, 'tunnel-cpu': tunnel, 'end-cpu': end, 'coturn-cpu': relay };
    };
    await stage.record.rounds(stage.rounds, [{ name: 'evio', measure }]);
    await untilPath(nodes, 'webrtc', PATH_MS);
  } finally {
    for (const side of SIDES) await run(peer.ends[side].ns, 'ip', 'link', 'set', 'eth0', 'up');
    await untilPath(nodes, 'direct', PATH_MS);
  }
}

export const RELAYED: Bench = {
  name: 'relayed',
  title: 'Relayed through coturn',
  text: 'The link between the ends is down, and each reaches nothing but the server with coturn, which runs on the same two processors as both ends: records go from tincan to the agent, by WebRTC to coturn, and back up on the other side.',
  run: measureRelayed,
};
