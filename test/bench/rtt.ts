/** Round trips, of an idle tunnel and beside a bulk flow. */
import { type Latency, latency } from '../demo/measure.ts';
import type { Bench, Stage } from './bench.ts';
import type { Peer } from './peers.ts';
import { ALL_PEERS, hosts } from './tcp.ts';
import { tcp } from './traffic.ts';

/** Every 10 ms. */
const PINGS = 400;
const MICROS = 1000;

async function answered(peer: Peer, count: number): Promise<Latency> {
  const found = await latency(peer.ends.a.ns, peer.addresses.b, count);
  if (found.received < found.sent / 2) throw new Error(`${found.received} of ${found.sent} pings were answered`);
  return found;
}

async function run(stage: Stage): Promise<void> {
  await stage.place('pair');
  const peers = await stage.peers(ALL_PEERS);
  await stage.record.rounds(
    stage.rounds,
    peers.map((peer) => ({
      name: peer.fact.name,
      measure: async () => {
        const idle = await answered(peer, PINGS);
        const { a, b } = hosts(peer);
        // The pings end while the flow is still on its way, of whatever length it is.
        const flow = tcp(a, b, peer.addresses.b, { seconds: stage.seconds, flows: 1 });
        const [loaded] = await Promise.all([answered(peer, stage.seconds * 80), flow]);
        return {
          'rtt-p50': idle.p50 * MICROS,
          'rtt-p99': idle.p99 * MICROS,
          'rtt-loaded-p50': loaded.p50 * MICROS,
          'rtt-loaded-p99': loaded.p99 * MICROS,
        };
      },
    })),
  );
}

export const RTT: Bench = {
  name: 'rtt',
  title: 'Round trips',
  text: `ICMP echo from A to B every 10 ms: ${PINGS} over the idle tunnel, then as many as go into a bulk TCP flow of the same direction.`,
  run,
};
