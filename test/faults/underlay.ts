/**
 * Bad lines. home1's NAT (with home1 and desk1 behind it) and cloud2 hang on links that lose, delay, exchange or repeat packets, in
 * both directions. A pair's packets cross none, one or two of these links on their way, and as many on their way back; what the
 * underlay itself makes of that is measured beside it, by plain pings over the same links.
 */
import { byName, SERVER } from '../demo/internet.ts';
import { type Pair, pairName, startProbes, throughput, type Watched, watch } from '../demo/measure.ts';
import { pidOf, status } from '../demo/overlay.ts';
import { courses, nameOf, pathChanges } from '../demo/paths.ts';
import { sleep } from '../demo/shell.ts';
import { type Impaired, type Impairment, impaired, type Uplink } from './impair.ts';
import { breaking, type Fault, type Lab, lostOf, node, note, outageS, sentOf, signal, whole } from './lab.ts';

const BEHIND: Readonly<Record<string, Uplink>> = { home1: 'home1', desk1: 'home1', cloud2: 'cloud2' };

/** How many bad links a pair's packets cross one way. */
function crossed({ from, to }: Pair): number {
  const ends = [BEHIND[from.name], BEHIND[to.name]].filter((uplink) => uplink !== undefined);
  return new Set(ends).size === ends.length ? ends.length : 0;
}

/** The longest time a tunnel was without any path between two times, in ms, and which. */
function longestWithout(lab: Lab, fromMs: number, toMs: number): { readonly ms: number; readonly tunnel: string } {
  let longest = { ms: 0, tunnel: 'none' };
  for (const one of lab.nodes) {
    for (const [peer, course] of courses(one)) {
      for (const [i, { atMs, path }] of course.entries()) {
        if (!path.startsWith('none')) continue;
        const ms = Math.min(course[i + 1]?.atMs ?? toMs, toMs) - Math.max(atMs, fromMs);
        if (ms > longest.ms) longest = { ms, tunnel: `${one.name} to ${nameOf(lab.nodes, peer)}` };
      }
    }
  }
  return longest;
}

// What the underlay does by itself.

/** Pings beside the overlay's, over one and over two of the bad links. */
const PROBES = [
  { from: 'home1', to: SERVER.addresses[0], crossed: 1 },
  { from: 'cloud2', to: SERVER.addresses[0], crossed: 1 },
  { from: 'home1', to: byName('cloud2').address, crossed: 2 },
  { from: 'desk1', to: byName('cloud2').address, crossed: 2 },
] as const;

interface Observed {
  readonly watched: readonly Watched[];
  /** Share of pings that the underlay lost, by the number of bad links. */
  readonly underlay: readonly number[];
  readonly did: Readonly<Record<string, Impaired>>;
  /** Date.now() of the time in which the lines were bad and everything was measured. */
  readonly fromMs: number;
  readonly toMs: number;
}

async function observe(
  lab: Lab,
  uplinks: Partial<Readonly<Record<Uplink, Impairment>>>,
  during: () => Promise<void>,
): Promise<Observed> {
  const { result, did } = await impaired(uplinks, async () => {
    const fromMs = Date.now();
    const probes = startProbes(PROBES);
    try {
      const watched = await watch(lab.pairs, during);
      return { watched, fromMs, toMs: Date.now(), probes };
    } finally {
      probes.stop();
    }
  });
  const runs = await result.probes.runs;
  const underlay = [0, 1, 2].map((links) => {
    const of = runs.filter((_, i) => PROBES[i]?.crossed === links);
    const sent = of.reduce((sum, { sent: one }) => sum + one, 0);
    return sent === 0 ? 0 : 1 - of.reduce((sum, { replies }) => sum + replies.length, 0) / sent;
  });
  const { watched, fromMs, toMs } = result;
  return { watched, underlay, did, fromMs, toMs };
}

const percent = (share: number): number => share * 100;

/** What every impairment has to leave alone, and the loss the overlay adds to the underlay's. */
function judgeLoss(lab: Lab, name: string, { watched, underlay, did }: Observed): void {
  note(lab, name, watched);
  const by = [0, 1, 2].map((links) => watched.filter(({ pair }) => crossed(pair) === links));
  lab.report.details[`${lab.shape}.${name}: lines`] = {
    did,
    underlay,
    overlay: by.map((some) => lostOf(some) / sentOf(some)),
  };
  lab.report.none(`${name}: packets lost by pairs that cross no bad link`, lostOf(by[0] ?? []), sentOf(by[0] ?? []));
  for (const links of [1, 2]) {
    const some = by[links] ?? [];
    lab.report.atMost(
      `${name}: pings lost over ${links === 1 ? 'one bad link' : 'two bad links'} (the underlay loses ${percent(underlay[links] ?? 0).toFixed(1)} % of plain pings)`,
      percent(lostOf(some) / sentOf(some)),
      percent(underlay[links] ?? 0) * 1.5,
      '%',
    );
  }
  const overflowed = Object.values(did).reduce((sum, one) => sum + one.overflowed, 0);
  lab.report.holds(`${name}: the lines dropped nothing for want of room`, overflowed === 0, overflowed, '0');
}

function judgeFlaps(lab: Lab, name: string, { fromMs, toMs }: Observed): void {
  const found = pathChanges(lab.nodes, fromMs, toMs);
  lab.report.holds(
    `${name}: changes of any tunnel's path in ${((toMs - fromMs) / 1000).toFixed(0)} s`,
    found.length === 0,
    found.length === 0 ? 0 : `${found.length} (${found.slice(0, 4).join(', ')})`,
    '0',
  );
}

async function pids(lab: Lab): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const one of lab.nodes)
    for (const kind of ['agent', 'tincan'] as const) found.set(`${kind} of ${one.name}`, await pidOf(one, kind));
  return found;
}

function judgeAlive(
  lab: Lab,
  name: string,
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): void {
  const gone = [...before].filter(([what, pid]) => after.get(what) !== pid).map(([what]) => what);
  lab.report.holds(`${name}: no process ended`, gone.length === 0, gone.join(', ') || 'none', 'none');
}

/** `percentLost` of all packets on both links. */
async function lossy(lab: Lab, percentLost: number): Promise<void> {
  const name = `${percentLost} % loss`;
  breaking(lab, `the links of home1's NAT and of cloud2 lose ${percentLost} % of all packets each way`);
  const before = await pids(lab);
  const impairment = { loss: percentLost };
  const seen = await observe(lab, { home1: impairment, cloud2: impairment }, () => sleep(lab.short ? 10_000 : 30_000));
  judgeLoss(lab, name, seen);
  if (percentLost <= 5) judgeFlaps(lab, name, seen);
  judgeAlive(lab, name, before, await pids(lab));
  const without = longestWithout(lab, seen.fromMs, seen.toMs);
  lab.report.atMost(`${name}: longest time a tunnel had no path (${without.tunnel})`, without.ms / 1000, 3, 's');
  lab.report.atMost(`${name}: longest silence of a pair`, outageS(seen.watched), 5, 's');
  await whole(lab, name, 5_000);
  // ICE gives a connection up 30 s after its last answered consent check (RFC 7675 §5.1): what this loss took is not to show in what follows.
  if (percentLost >= 20) await sleep(35_000);
}

/** 300 ms and 150 ms each way: round trips of 600 and 300 ms over one link, of 900 ms over both. */
async function slow(lab: Lab): Promise<void> {
  const name = '300 ms delay';
  breaking(lab, "the link of home1's NAT delays packets by 300 ms each way, that of cloud2 by 150 ms");
  const before = await pids(lab);
  const seen = await observe(lab, { home1: { delay: 300 }, cloud2: { delay: 150 } }, () => sleep(30_000));
  judgeLoss(lab, name, seen);
  judgeFlaps(lab, name, seen);
  judgeAlive(lab, name, before, await pids(lab));
  await whole(lab, name, 5_000);
}

/** Sessions and paths are made from nothing at that delay. */
async function slowStart(lab: Lab): Promise<void> {
  const name = 'tincan killed at 300 ms delay';
  breaking(lab, 'the same delays, and the tincan of home1 is killed with -9');
  const seen = await observe(lab, { home1: { delay: 300 }, cloud2: { delay: 150 } }, async () => {
    await sleep(3_000);
    await signal(node(lab, 'home1'), 'tincan', 'SIGKILL');
    await sleep(10_000);
  });
  note(lab, name, seen.watched);
  // 3 s, and the delay of the way there and back.
  for (const [links, roundTripS] of [
    [1, 0.6],
    [2, 0.9],
  ] as const) {
    const some = seen.watched.filter(({ pair }) => pairName(pair).includes('home1') && crossed(pair) === links);
    lab.report.atMost(`${name}: longest outage at a round trip of ${roundTripS} s`, outageS(some), 3 + roundTripS, 's');
  }
  await whole(lab, name, 5_000);
}

const duplicatesOf = (watched: readonly Watched[]): number => watched.reduce((sum, { run }) => sum + run.duplicates, 0);

async function replayed(lab: Lab): Promise<number> {
  let count = 0;
  for (const one of lab.nodes) count += (await status(one))?.counters.tincan_replayed ?? 0;
  return count;
}

/** What is exchanged or repeated is not lost: nothing else may change for those above. */
async function disorderly(
  lab: Lab,
  name: string,
  what: string,
  impairment: Impairment,
  fraction: number,
): Promise<void> {
  breaking(lab, `the links of home1's NAT and of cloud2 ${what}`);
  const before = await replayed(lab);
  const uplinks = { home1: impairment, cloud2: impairment };
  const seen = await observe(lab, uplinks, () => sleep(15_000));
  note(lab, name, seen.watched);
  lab.report.details[`${lab.shape}.${name}: lines`] = seen.did;
  judgeFlaps(lab, name, seen);
  lab.report.none(`${name}: packets lost by all pairs`, lostOf(seen.watched), sentOf(seen.watched));
  const twice = duplicatesOf(seen.watched);
  lab.report.holds(`${name}: packets that arrived twice in the overlay`, twice === 0, twice, '0');
  if (impairment.duplicate !== undefined) {
    const dropped = (await replayed(lab)) - before;
    const made = Object.values(seen.did).reduce((sum, one) => sum + one.duplicated, 0);
    lab.report.atLeast(`${name}: records dropped as replayed, of ${made} repeated datagrams`, dropped, made / 2, '');
  }
  await streamed(lab, name, uplinks, fraction);
  await whole(lab, name, 5_000);
}

/** One TCP flow from home1 to cloud1, over the bad link, without and with the overlay. */
async function streamed(
  lab: Lab,
  name: string,
  uplinks: Partial<Readonly<Record<Uplink, Impairment>>>,
  fraction: number,
): Promise<void> {
  const rounds: { plain: number; overlay: number }[] = [];
  await impaired(uplinks, async () => {
    for (let round = 0; round < 3; round++) {
      const plain = await throughput('home1', 'cloud1', byName('cloud1').address, 3);
      rounds.push({ plain, overlay: await throughput('home1', 'cloud1', node(lab, 'cloud1').ipv4, 3) });
    }
  });
  lab.report.details[`${lab.shape}.${name}: Mbit/s`] = rounds;
  const best = (of: (round: { plain: number; overlay: number }) => number): number => Math.max(...rounds.map(of));
  const plain = best((round) => round.plain);
  const overlay = best((round) => round.overlay);
  lab.report.atLeast(
    `${name}: one TCP flow in the overlay, of ${plain.toFixed(0)} Mbit/s that plain TCP reaches over the same link`,
    overlay,
    plain * fraction,
    'Mbit/s',
  );
}

const reordered = (lab: Lab): Promise<void> =>
  disorderly(lab, 'reordering', 'hold 5 % of all packets back for 5 ms', { reorder: 5, hold: 5 }, 0.5);
const duplicated = (lab: Lab): Promise<void> =>
  disorderly(lab, 'duplication', 'repeat 5 % of all packets', { duplicate: 5 }, 0.5);

export const UNDERLAY_FAULTS: readonly Fault[] = [
  { name: 'loss-1', shape: 'mesh', run: (lab) => lossy(lab, 1) },
  { name: 'loss-5', shape: 'mesh', run: (lab) => lossy(lab, 5) },
  { name: 'loss-20', shape: 'mesh', run: (lab) => lossy(lab, 20) },
  { name: 'delay', shape: 'mesh', run: slow },
  { name: 'delay-tincan-killed', shape: 'mesh', run: slowStart },
  { name: 'reordering', shape: 'mesh', run: reordered },
  { name: 'duplication', shape: 'mesh', run: duplicated },
];
