/** Datagrams: how many a second arrive, all but one in a thousand. */
import type { Bench, Stage } from './bench.ts';
import { learned, nextRate, type Search, UNKNOWN } from './bisect.ts';
import { ALL_PEERS, hosts } from './tcp.ts';
import { type ELSEWHERE, type Host, udp } from './traffic.ts';

const SIZE = 1200;
const MOST_LOST = 0.001;
const TRIAL_S = 1;
/** One second in which the receiving program got no turn says nothing about a rate: it has to fail as often as this. */
const TRIES = 3;
/** Packets a second that the first trial of all asks for. */
const FIRST = 40_000;

async function trial(a: Host, b: Host | typeof ELSEWHERE, target: string, rate: number) {
  for (let tried = 1; ; tried++) {
    const { sent, lost, pace } = await udp(a, b, target, { size: SIZE, pace: rate, seconds: TRIAL_S });
    const ok = lost <= sent * MOST_LOST;
    if (ok || tried === TRIES) return { ok, reached: pace };
  }
}

/** From one host to an address of the other. */
export async function highestRate(a: Host, b: Host | typeof ELSEWHERE, target: string, first = FIRST): Promise<number> {
  let search: Search = UNKNOWN;
  for (let rate = nextRate(search, first); rate !== undefined; rate = nextRate(search, first)) {
    search = learned(search, rate, await trial(a, b, target, rate));
  }
  return search.low;
}

async function run(stage: Stage): Promise<void> {
  await stage.place('pair');
  const peers = await stage.peers(ALL_PEERS);
  // A search that begins where the one of the last round ended needs fewer trials.
  const last = new Map<string, number>();
  await stage.record.rounds(
    stage.rounds,
    peers.map((peer) => ({
      name: peer.fact.name,
      measure: async () => {
        const { a, b } = hosts(peer);
        const rate = await highestRate(a, b, peer.addresses.b, last.get(peer.fact.name));
        if (rate > 0) last.set(peer.fact.name, Math.round(rate));
        return { udp1200: rate };
      },
    })),
  );
}

export const UDP: Bench = {
  name: 'udp',
  title: 'Small datagrams',
  text: `UDP of ${SIZE} bytes from A to B by iperf3, one way: the highest rate at which a trial of ${TRIAL_S} s loses less than one in a thousand, to within 6 %, found by bisection; a rate is too high when ${TRIES} trials lost more. The rate is what iperf3 sent, which for a fast peer is all that iperf3 can.`,
  run,
};
