/** Round trips, of an idle tunnel and beside a bulk flow. */
import { join, resolve } from 'node:path';
import { type Latency, latency } from '../demo/measure.ts';
import { run } from '../demo/shell.ts';
import type { Bench, Stage } from './bench.ts';
import type { Peer } from './peers.ts';
import { shown } from './results.ts';
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

const WAKE = join(process.env.CARGO_TARGET_DIR ?? resolve('target'), 'release/wake');

/** What a round trip consists of, mostly. */
async function wakes(): Promise<string> {
  const { sameUs, otherUs } = JSON.parse(await run(undefined, WAKE)) as { sameUs: number; otherUs: number | null };
  const other = otherUs === null ? '' : `, and ${shown(otherUs)} µs on another processor`;
  return `waking a process after a pause takes this machine ${shown(sameUs)} µs on the same processor${other} (\`target/release/wake\`)`;
}

async function measure(stage: Stage): Promise<void> {
  await stage.place('pair');
  stage.record.notes.add(await wakes());
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
  run: measure,
};
