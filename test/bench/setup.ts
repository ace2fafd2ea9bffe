/** How long a tunnel takes to be there. */
import { attempt, sleep, until } from '../demo/shell.ts';
import type { Bench, Measured, Stage } from './bench.ts';
import type { Peer } from './peers.ts';

const PEERS = ['wireguard-go', 'kernel-wireguard', 'nebula', 'vpncloud', 'boringtun', 'evio'];
/** What the other end does about one that has left is not what is measured. */
const SETTLE_MS = 1_000;

async function measure(peer: Peer): Promise<Measured> {
  const { ns } = peer.ends.b;
  await peer.stop('b');
  await sleep(SETTLE_MS);
  const started = performance.now();
  await peer.start('b');
  // Many that wait for a short time each, so that the first answer is seen when it comes.
  const ping = ['ping', '-n', '-q', '-c', '1', '-W', '0.05', peer.addresses.a];
  await until(`${peer.fact.name} carries a ping`, 30_000, async () => (await attempt(ns, ping)).code === 0, 1);
  const first = performance.now() - started;
  await peer.ready();
  if (!peer.fact.name.startsWith('evio')) return { 'setup-first': first };
  return { 'setup-first': first, 'setup-direct': performance.now() - started };
}

async function run(stage: Stage): Promise<void> {
  await stage.place('pair');
  const peers = await stage.peers(PEERS);
  await stage.record.rounds(
    stage.rounds,
    peers.map((peer) => ({ name: peer.fact.name, measure: () => measure(peer) })),
  );
}

export const SETUP: Bench = {
  name: 'setup',
  title: 'Until a tunnel is there',
  text: 'A waits; B is started. The time from that on until B’s first ping of A is answered: for the peers that is their daemon and `wg`, with keys and addresses of the other end known; Evio’s agent has to log in at the XMPP server, find A in the room, and agree on a tunnel, which first goes by WebRTC and then by the direct path.',
  run,
};
