/** A bad line: 20 ms there and back, and packets that are lost. */
import { impairedStretch } from '../faults/impair.ts';
import type { Bench, Stage } from './bench.ts';
import type { Peer } from './peers.ts';
import { routerOf, TO_B } from './place.ts';
import { hosts } from './tcp.ts';
import { congestionControl, tcp } from './traffic.ts';

/** Half of it each way. */
const RTT_MS = 20;
/** A flow that loses packets needs a while to show its pace. */
const LONGER = 3;

async function over(peer: Peer, loss: number, seconds: number): Promise<number> {
  const { a, b } = hosts(peer);
  const stretch = { ns: routerOf(peer.fact.name), ...TO_B, table: '100' };
  const { result, did } = await impairedStretch(stretch, { loss, delay: RTT_MS / 2 }, () =>
    tcp(a, b, peer.addresses.b, { seconds, flows: 1 }),
  );
  if (did === undefined || did.taken === 0) throw new Error('no packet crossed the bad line');
  if (did.overflowed > 0) throw new Error(`the bad line itself was full: ${did.overflowed} packets`);
  return result.mbps;
}

async function run(stage: Stage): Promise<void> {
  await stage.place('line');
  const peers = await stage.peers(['veth', 'wireguard-go', 'nebula', 'vpncloud', 'boringtun', 'evio']);
  const seconds = stage.seconds * LONGER;
  stage.record.notes.add(congestionControl());
  await stage.record.rounds(
    stage.rounds,
    peers.map((peer) => ({
      name: peer.fact.name,
      measure: async () => ({
        'tcp1-loss01': await over(peer, 0.1, seconds),
        'tcp1-loss1': await over(peer, 1, seconds),
      }),
    })),
  );
}

export const LOSS: Bench = {
  name: 'loss',
  title: 'A bad line',
  text: `One TCP flow where a router between the ends holds every datagram for ${RTT_MS / 2} ms and loses a share of them, each way and each for itself (\`test/impair\`, a program in user space: this kernel has no netem).`,
  run,
};
