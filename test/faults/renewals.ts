/**
 * Session keys are renewed, fifty times within half a minute, while data flows. What the machine does by itself meanwhile is
 * measured beside it: each renewal's window is followed by a quiet one of the same length.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Control } from '../../agent/src/io/control.ts';
import { type Pair, pairName, watch } from '../demo/measure.ts';
import { type Joined, peers, pidOf } from '../demo/overlay.ts';
import { median, PING_EVERY_MS, type PingRun, quantile } from '../demo/ping.ts';
import { round } from '../demo/report.ts';
import { collect, sleep, until } from '../demo/shell.ts';
import { breaking, type Fault, type Lab, lostOf, node, note, sentOf, whole } from './lab.ts';

/** From one renewal to the next. */
const EVERY_MS = 600;
/** A handshake takes some round trips: what it costs falls into this time. */
const WINDOW_MS = 100;
/** The quiet window begins so long after the renewal. */
const QUIET_AFTER_MS = 300;
const PORT = '5311';

interface Ends {
  readonly pair: Pair;
  readonly controls: readonly [Control, Control];
}

async function opened<T>(pair: Pair, use: (ends: Ends) => Promise<T>): Promise<T> {
  const open = (one: Joined): Promise<Control> =>
    Control.open(join(one.runDir, 'control.sock'), { event: () => undefined, closed: () => undefined });
  const controls = [await open(pair.from), await open(pair.to)] as const;
  try {
    return await use({ pair, controls });
  } finally {
    for (const control of controls) control.close();
  }
}

/** By turns each end renews the session; `at` is told when. Gives how many new sessions each end's log tells of. */
async function renew(
  { pair, controls }: Ends,
  times: number,
  at: (moment: number) => void,
): Promise<readonly [number, number]> {
  const told = (): readonly [number, number] => [sessionsTold(pair.from, pair.to), sessionsTold(pair.to, pair.from)];
  const before = told();
  for (let i = 0; i < times; i++) {
    const began = performance.now();
    at(began);
    await controls[i % 2 === 0 ? 0 : 1].request('renew', { peer: (i % 2 === 0 ? pair.to : pair.from).id });
    await sleep(EVERY_MS - (performance.now() - began));
  }
  await sleep(300);
  const after = told();
  return [after[0] - before[0], after[1] - before[1]];
}

function sessionsTold(one: Joined, peer: Joined): number {
  const log = readFileSync(join(one.runDir, 'tincan.log'), 'utf8');
  return log.match(new RegExp(` info session peer=${peer.id.slice(0, 16)} .*renewed=true`, 'g'))?.length ?? 0;
}

/** What both tincans dropped or refused since they started, by reason. */
async function dropped({ controls }: Ends): Promise<ReadonlyMap<string, number>> {
  const sum = new Map<string, number>();
  for (const control of controls) {
    const { counters } = (await control.request('stats', {})) as { counters: Record<string, number> };
    for (const name of ['unknown-index', 'not-authentic', 'replayed', 'unanswered'])
      sum.set(name, (sum.get(name) ?? 0) + (counters[name] ?? 0));
  }
  return sum;
}

function judgeDropped(
  lab: Lab,
  name: string,
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): void {
  const grown = [...after].filter(([reason, count]) => count > (before.get(reason) ?? 0));
  const text = grown.map(([reason, count]) => `${count - (before.get(reason) ?? 0)} ${reason}`).join(', ');
  lab.report.holds(`${name}: records that no key opened`, grown.length === 0, text || 0, '0');
}

function judgeMade(lab: Lab, name: string, made: readonly [number, number], times: number): void {
  const all = made.every((count) => count === times);
  lab.report.holds(`${name}: sessions made anew, by each end's log`, all, made.join(' and '), String(times));
}

// TCP, by the counters of the receiver's evio0 and of the sender's TCP.

interface Sample {
  readonly at: number;
  readonly bytes: number;
  readonly resent: number;
}

/** The namespace's own counters, read through one of its processes. */
function sample(receiverPid: number, senderPid: number): Sample {
  const device = /^\s*evio0:\s*(\d+)/m.exec(readFileSync(`/proc/${receiverPid}/net/dev`, 'utf8'));
  const [names = '', values = ''] = readFileSync(`/proc/${senderPid}/net/snmp`, 'utf8').match(/^Tcp:.*$/gm) ?? [];
  const at = names.split(' ').indexOf('RetransSegs');
  return { at: performance.now(), bytes: Number(device?.[1] ?? 0), resent: Number(values.split(' ')[at] ?? 0) };
}

/** Mbit/s between two moments, and segments sent again. */
function between(samples: readonly Sample[], from: number, to: number): { rate: number; resent: number } {
  const first = samples.findLast(({ at }) => at <= from) ?? samples[0];
  const last = samples.findLast(({ at }) => at <= to) ?? samples.at(-1);
  if (first === undefined || last === undefined || last.at <= first.at) return { rate: 0, resent: 0 };
  return {
    rate: ((last.bytes - first.bytes) * 8) / 1000 / (last.at - first.at),
    resent: last.resent - first.resent,
  };
}

/** One TCP flow at full speed, pings beside it. */
async function underTcp(lab: Lab, name: string, ends: Ends, path: Path, times: number): Promise<void> {
  const { pair } = ends;
  const [receiverPid, senderPid] = [await pidOf(pair.to, 'tincan'), await pidOf(pair.from, 'tincan')];
  const samples: Sample[] = [];
  const moments: number[] = [];
  const before = await dropped(ends);
  const seconds = String(Math.ceil((times * EVERY_MS) / 1000) + 20);
  const server = collect(pair.to.name, 'iperf3', '-s', '-1', '-p', PORT);
  await sleep(300);
  const client = collect(pair.from.name, 'iperf3', '-c', pair.to.ipv4, '-p', PORT, '-t', seconds);
  let made: readonly [number, number] = [0, 0];
  const clock = setInterval(() => samples.push(sample(receiverPid, senderPid)), 5);
  const watched = await watch([pair, { from: pair.to, to: pair.from }], async () => {
    // Slow start is over by then.
    await sleep(1_500);
    made = await renew(ends, times, (moment) => moments.push(moment));
  }).finally(() => {
    clearInterval(clock);
    client.child.kill('SIGKILL');
    server.child.kill('SIGKILL');
  });
  note(lab, name, watched);
  judgeMade(lab, name, made, times);
  judgeDropped(lab, name, before, await dropped(ends));
  // A direct path has room for pings beside the flow. The relay's queue is short and full: it loses some all the time.
  const half = EVERY_MS / 2;
  if (path === 'direct') lab.report.none(`${name}: pings lost beside it`, lostOf(watched), sentOf(watched));
  else {
    const lost = watched.flatMap(({ run }) => lostAt(run));
    const near = (from: number) => moments.map((at) => lost.filter(within(at + from, half)).length);
    const [soon, late] = [total(near(0)), total(near(half))];
    lab.report.atMost(
      `${name}: pings lost within ${half} ms of a renewal (in the other half of the time ${late})`,
      soon,
      1.5 * late + 20,
      'of all',
    );
  }

  const windows = moments.map((at) => between(samples, at, at + WINDOW_MS));
  const quiet = moments.map((at) => between(samples, at + QUIET_AFTER_MS, at + QUIET_AFTER_MS + WINDOW_MS));
  lab.report.details[`${lab.shape}.${name}: Mbit/s`] = { renewals: windows, quiet };
  const usual = median(quiet.map(({ rate }) => rate));
  const low = quantile(
    quiet.map(({ rate }) => rate),
    0.1,
  );
  lab.report.atLeast(
    `${name}: median of the ${WINDOW_MS} ms from a renewal on (quiet: ${usual.toFixed(0)}, a tenth below ${low.toFixed(0)})`,
    median(windows.map(({ rate }) => rate)),
    round(usual * 0.8),
    'Mbit/s',
  );
  const dips = (of: typeof windows): number => of.filter(({ rate }) => rate < usual * 0.8).length;
  lab.report.atMost(
    `${name}: windows at a renewal that dip by more than 20 % (quiet ones: ${dips(quiet)})`,
    dips(windows),
    byChance(dips(quiet)),
    `of ${times}`,
  );
  const again = (from: number) => moments.map((at) => between(samples, at + from, at + from + half).resent);
  const soon = again(0);
  const late = again(half);
  const some = (of: readonly number[]): number => of.filter((resent) => resent > 0).length;
  if (path === 'direct')
    lab.report.atMost(
      `${name}: renewals with TCP segments sent again within ${half} ms (in the other half of the time ${some(late)})`,
      some(soon),
      byChance(some(late)),
      `of ${times}`,
    );
  else
    lab.report.atMost(
      `${name}: TCP segments sent again within ${half} ms of a renewal (in the other half of the time ${total(late)})`,
      total(soon),
      1.5 * total(late) + 20,
      'segments',
    );
}

const total = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0);
const within =
  (from: number, ms: number) =>
  (at: number): boolean =>
    at >= from && at < from + ms;

/** When the requests without a reply were sent, by performance.now(). */
function lostAt({ replies, sent }: PingRun): readonly number[] {
  const times = new Map(replies.map(({ seq, atMs, rttMs }) => [seq, atMs - rttMs - performance.timeOrigin]));
  const found: number[] = [];
  let before = Number.NaN;
  for (let seq = 1; seq <= sent; seq++) {
    const at = times.get(seq);
    before = at ?? before + PING_EVERY_MS;
    if (at === undefined) found.push(before);
  }
  return found;
}

/** So many of something that happens `usual` times by itself may be seen: three standard deviations of the difference more. */
const byChance = (usual: number): number => Math.round(usual + 3 * Math.sqrt(2 * Math.max(usual, 1)));

/** A UDP flow that the line carries with ease, counted by the numbers in its packets, and pings. */
async function underUdp(lab: Lab, name: string, ends: Ends, times: number): Promise<void> {
  const { pair } = ends;
  const before = await dropped(ends);
  const seconds = String(Math.ceil((times * EVERY_MS) / 1000) + 4);
  const server = collect(pair.to.name, 'iperf3', '-s', '-1', '-p', PORT);
  await sleep(300);
  const flow = ['-u', '-b', '8M', '-l', '1000', '-t', seconds, '-J'];
  const client = collect(pair.from.name, 'iperf3', '-c', pair.to.ipv4, '-p', PORT, ...flow);
  let made: readonly [number, number] = [0, 0];
  let counted = '';
  try {
    const watched = await watch([pair, { from: pair.to, to: pair.from }], async () => {
      made = await renew(ends, times, () => undefined);
      counted = await client.output;
    });
    note(lab, name, watched);
    lab.report.none(`${name}: pings lost`, lostOf(watched), sentOf(watched));
  } finally {
    client.child.kill('SIGKILL');
    server.child.kill('SIGKILL');
  }
  const { lost, sent } = ofUdp(counted);
  lab.report.none(`${name}: packets of a UDP flow lost`, lost, sent);
  judgeMade(lab, name, made, times);
  judgeDropped(lab, name, before, await dropped(ends));
}

function ofUdp(printed: string): { readonly lost: number; readonly sent: number } {
  const body = JSON.parse(printed) as { error?: string; end?: { sum?: { lost_packets?: number; packets?: number } } };
  const { lost_packets: lost, packets: sent } = body.end?.sum ?? {};
  if (lost === undefined || sent === undefined) throw new Error(`iperf3 -u: ${body.error ?? 'it counted nothing'}`);
  return { lost, sent };
}

const SUBJECTS = {
  direct: ['home1', 'cloud1'],
  webrtc: ['home1', 'lte1'],
} as const;
type Path = keyof typeof SUBJECTS;

async function renewals(lab: Lab, path: Path): Promise<void> {
  const times = lab.short ? 10 : 50;
  const [from, to] = SUBJECTS[path].map((name) => node(lab, name));
  if (from === undefined || to === undefined) return;
  const pair = { from, to };
  const name = `${times} key renewals, ${path}`;
  breaking(lab, `the keys of ${pairName(pair)} are renewed ${times} times, ${EVERY_MS} ms apart, while data flows`);
  await until(`${pairName(pair)} is ${path}`, 30_000, async () =>
    (await peers(from)).some((peer) => peer.id === to.id && peer.path === path),
  );
  await opened(pair, async (ends) => {
    await underUdp(lab, name, ends, times);
    await underTcp(lab, `${name}, under TCP`, ends, path, times);
  });
  await whole(lab, name, 5_000);
}

export const RENEWAL_FAULTS: readonly Fault[] = [
  { name: 'renewals', shape: 'mesh', run: (lab) => renewals(lab, 'direct') },
  { name: 'renewals-webrtc', shape: 'mesh', run: (lab) => renewals(lab, 'webrtc') },
];
