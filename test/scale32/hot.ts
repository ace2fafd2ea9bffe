/** Two nodes without a tunnel begin to talk much: they get one of their own, and nothing that is under way notices. */
import type { Peer } from '../../agent/src/api.ts';
import type { Pair } from '../demo/measure.ts';
import { pairName } from '../demo/measure.ts';
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import { type Datagrams, type Stream, sendDatagrams, sendStream, takeTransfers } from '../exact/transfer.ts';
import type { Agents } from './agents.ts';

const MBPS = 20;
const SECONDS = 12;
const DATAGRAM_BYTES = 1_000;
const DATAGRAM_MBPS = 4;
const WITHIN_S = 3;
const LOOK_MS = 50;

interface Moved {
  /** Seconds since the traffic began. */
  readonly tunnelS: number;
  readonly directS: number;
  readonly kinds: readonly string[];
}

export async function hotPair(report: Report, agents: Agents, pair: Pair, dir: string): Promise<void> {
  say(`hot pair: ${pairName(pair)}, TCP at ${MBPS} Mbit/s and numbered datagrams at ${DATAGRAM_MBPS} for ${SECONDS} s`);
  await takeTransfers(pair.to.name, `${dir}/transfers.log`);
  // Who resolves the address first is no part of it.
  await agents.ping(pair.from, pair.to);
  const began = performance.now();
  const done = Promise.all([
    sendStream(pair.from.name, pair.to.ipv4, { bytes: (MBPS * 1e6 * SECONDS) / 8, mbps: MBPS }),
    sendDatagrams(pair.from.name, pair.to.ipv4, {
      count: (DATAGRAM_MBPS * 1e6 * SECONDS) / 8 / DATAGRAM_BYTES,
      least: DATAGRAM_BYTES,
      most: DATAGRAM_BYTES,
      mbps: DATAGRAM_MBPS,
    }),
  ]);
  // Whatever comes of it is looked at below.
  done.catch(() => undefined);
  const moved = await watchMove(agents, pair, began);
  const [stream, datagrams] = await done;
  report.details.hotPair = { pair: pairName(pair), moved, stream, datagrams };
  report.atMost('hot pair: a direct tunnel of its own, from the first byte on', moved.directS, WITHIN_S, 's');
  report.holds(
    'hot pair: that tunnel is on demand',
    moved.kinds.includes('on-demand'),
    moved.kinds.join(', '),
    'on-demand',
  );
  judge(report, stream, datagrams);
}

async function watchMove(agents: Agents, { from, to }: Pair, began: number): Promise<Moved> {
  const seconds = () => (performance.now() - began) / 1_000;
  let tunnelS = Number.POSITIVE_INFINITY;
  let seen: Peer | undefined;
  while (seconds() < SECONDS) {
    seen = (await agents.peers(from)).find((peer) => peer.id === to.id);
    if (seen?.path === 'webrtc' || seen?.path === 'direct') tunnelS = Math.min(tunnelS, seconds());
    if (seen?.path === 'direct') return { tunnelS, directS: seconds(), kinds: seen.kinds };
    await sleep(LOOK_MS);
  }
  return { tunnelS, directS: Number.POSITIVE_INFINITY, kinds: seen?.kinds ?? [] };
}

function judge(report: Report, { sent, resent, arrived: tcp }: Stream, datagrams: Datagrams): void {
  report.holds(
    'hot pair: its TCP connection lives through it, byte for byte',
    tcp.error === null && tcp.firstDifference === null && tcp.bytes === sent,
    `${tcp.bytes} of ${sent} bytes, ${resent ?? 0} segments sent again, longest pause ${tcp.longestPauseMs} ms${tcp.error === null ? '' : `, ${tcp.error}`}`,
    'all',
  );
  const { received, reordered, duplicated, damaged } = datagrams.arrived;
  const lost = datagrams.sent - received;
  report.holds(
    'hot pair: numbered datagrams lost, out of order, twice, damaged',
    lost === 0 && reordered === 0 && duplicated === 0 && damaged === 0,
    `${lost}, ${reordered}, ${duplicated}, ${damaged} of ${datagrams.sent}`,
    '0, 0, 0, 0',
  );
}
