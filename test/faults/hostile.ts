/**
 * A hostile member: one node's tincan is replaced by one with the same keys that attacks all others (test/hostile), one attack after
 * the other. What the others feel is compared with what they felt before, in the same run.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Control } from '../../agent/src/io/control.ts';
import { orderedPairs, type Pair, pairName, type Watched, watch } from '../demo/measure.ts';
import { EVIO, type Joined, pidOf, residentMb } from '../demo/overlay.ts';
import { median } from '../demo/ping.ts';
import { attempt, collect, pidsIn, sleep, start } from '../demo/shell.ts';
import {
  agentLog,
  breaking,
  direct,
  type Fault,
  type Lab,
  lostOf,
  node,
  note,
  outageS,
  sentOf,
  signal,
  startAgain,
  whole,
} from './lab.ts';

const HOSTILE = join(process.env.CARGO_TARGET_DIR ?? resolve('target'), 'release/hostile');
const ROOM = resolve('test/faults/hostile-room.ts');
/** A public address: it has a direct path to every other node. */
const VICTIM = 'cloud2';
/** Round trips are measured, not throughput: 30 pairs at 100 pings a second would keep two processors busy by themselves. */
const EVERY_MS = 50;
/** The pings of a watch begin so long before the attack. */
const QUIET_MS = 2_000;

/** Records a second to each of six neighbours, and the counters of tincan that tell what became of them. */
const ATTACKS: readonly { readonly name: string; readonly rate: number; readonly counted: readonly string[] }[] = [
  { name: 'handshakes', rate: 500, counted: ['cookie-asked', 'busy', 'replayed'] },
  {
    name: 'labels',
    rate: 3_000,
    counted: ['unknown-index', 'not-authentic', 'noticeForged', 'unknownLabel', 'noRoute'],
  },
  { name: 'floods', rate: 3_000, counted: ['floodRateLimited'] },
  { name: 'storm', rate: 3_000, counted: ['floodRateLimited'] },
  { name: 'replays', rate: 3_000, counted: ['replayed'] },
  { name: 'garbage', rate: 3_000, counted: ['malformed', 'floodMalformed', 'probeUnasked', 'controlTooMany'] },
  { name: 'fragments', rate: 3_000, counted: [] },
  { name: 'probes', rate: 3_000, counted: ['probeUnasked', 'probeTooMany'] },
  { name: 'messages', rate: 3_000, counted: ['controlTooMany'] },
  { name: 'adjacency', rate: 3_000, counted: ['controlTooMany'] },
  { name: 'certificates', rate: 3_000, counted: ['controlTooMany'] },
  { name: 'macs', rate: 3_000, counted: [] },
];

/** Of each of the others: what may not grow without bound. */
interface Footprint {
  readonly pids: readonly number[];
  readonly agentMb: number;
  readonly tincanMb: number;
  readonly lines: number;
  readonly counters: Readonly<Record<string, number>>;
}

const tincanLog = (one: Joined): readonly string[] =>
  readFileSync(join(one.runDir, 'tincan.log'), 'utf8').split('\n').filter(Boolean);

async function counters(one: Joined): Promise<Readonly<Record<string, number>>> {
  const control = await Control.open(join(one.runDir, 'control.sock'), { event: () => {}, closed: () => {} });
  try {
    const stats = (await control.request('stats', {})) as { readonly counters: Readonly<Record<string, number>> };
    return stats.counters;
  } finally {
    control.close();
  }
}

async function footprint(one: Joined): Promise<Footprint> {
  const pids = [await pidOf(one, 'agent'), await pidOf(one, 'tincan')] as const;
  return {
    pids,
    agentMb: await residentMb(pids[0]),
    tincanMb: await residentMb(pids[1]),
    lines: agentLog(one).length + tincanLog(one).length,
    counters: await counters(one),
  };
}

const footprints = (nodes: readonly Joined[]): Promise<readonly Footprint[]> => Promise.all(nodes.map(footprint));

/** Median round trip of all the pairs' pings in ms, in the quiet beginning of a watch and while the attack went on. */
function p50(watched: readonly Watched[], attackMs: number): { readonly before: number; readonly during: number } {
  const between = (fromMs: number, toMs: number): number[] =>
    watched.flatMap(({ run }) => {
      const first = run.replies[0]?.atMs ?? 0;
      return run.replies.filter(({ atMs }) => atMs >= first + fromMs && atMs < first + toMs).map(({ rttMs }) => rttMs);
    });
  return { before: median(between(0, QUIET_MS)), during: median(between(QUIET_MS, QUIET_MS + attackMs)) };
}

/** The largest growth of any of the others. */
const most = (before: readonly Footprint[], after: readonly Footprint[], of: (one: Footprint) => number): number =>
  Math.max(...after.map((one, i) => of(one) - of(before[i] ?? one)));

/** How much all the others together counted of the named. */
function counted(before: readonly Footprint[], after: readonly Footprint[], names: readonly string[]): number {
  const sum = (all: readonly Footprint[]): number =>
    all.reduce((total, one) => total + names.reduce((part, name) => part + (one.counters[name] ?? 0), 0), 0);
  return sum(after) - sum(before);
}

/** Stops the node's agent and tincan and starts the agent with another tincan, or with its own again. */
async function turn(lab: Lab, one: Joined, hostile: boolean): Promise<void> {
  const stopped = await attempt(one.name, [EVIO, 'agent', 'stop', '--run-dir', one.runDir], 15_000);
  // Without an agent nobody hears that: its tincan is told by a signal.
  if (stopped.code !== 0) for (const pid of await pidsIn(one.name)) process.kill(pid, 'SIGTERM');
  await sleep(500);
  if (!hostile) {
    rmSync(join(one.runDir, 'attack'), { force: true });
    startAgain(lab, one);
    return;
  }
  const log = join(one.runDir, '..', 'agent.log');
  // Its processor is another than the others' in the world outside: here it has what they leave.
  const nice = ['nice', '-n', '39'];
  const environment = [`EVIO_TINCAN=${HOSTILE}`, `EVIO_HOSTILE_NODE_FILE=${one.config}`];
  lab.keep(start(one.name, log, ...nice, 'env', ...environment, EVIO, 'agent', 'run', '--config', one.config));
}

async function hostileMember(lab: Lab): Promise<void> {
  const hostile = node(lab, VICTIM);
  const others = lab.nodes.filter((one) => one !== hostile);
  const pairs: readonly Pair[] = orderedPairs(others);
  const ms = lab.short ? 3_000 : 6_000;
  const only = process.env.EVIO_ATTACKS?.split(',');
  breaking(lab, `${VICTIM} becomes hostile: its tincan has genuine keys and attacks all the others`);
  try {
    await turn(lab, hostile, true);
    await whole(lab, 'hostile member, before it attacks', 20_000);
    await sleep(5_000);
    const started = performance.now();
    const first = await footprints(others);
    for (const attack of ATTACKS.filter(({ name }) => only === undefined || only.includes(name)))
      await suffer(lab, hostile, others, pairs, attack, ms);
    if (only === undefined || only.includes('room')) await inTheRoom(lab, hostile, pairs, ms);
    await lasting(lab, others, first, (performance.now() - started) / 60_000);
    await whole(lab, 'hostile member, once it is tired', 10_000, pairs);
  } finally {
    await turn(lab, hostile, false);
  }
  await whole(lab, 'hostile member, honest again', 20_000);
}

/** One attack, and what it cost. */
async function suffer(
  lab: Lab,
  hostile: Joined,
  others: readonly Joined[],
  pairs: readonly Pair[],
  attack: (typeof ATTACKS)[number],
  ms: number,
): Promise<void> {
  const { name, rate } = attack;
  const order = join(hostile.runDir, 'attack');
  const before = await footprints(others);
  const attacked = async (): Promise<void> => {
    writeFileSync(order, `${name} ${rate}\n`);
    await sleep(ms);
    rmSync(order, { force: true });
  };
  const watched = await watch(pairs, attacked, EVERY_MS);
  const after = await footprints(others);
  const sent = (JSON.parse(readFileSync(join(hostile.runDir, 'attacked.json'), 'utf8')) as Record<string, number>)[
    name
  ];
  note(lab, `hostile.${name}`, watched);
  const figures = {
    sent,
    p50: { direct: p50(direct(watched), ms), all: p50(watched, ms) },
    agentMb: most(before, after, (one) => one.agentMb),
    tincanMb: most(before, after, (one) => one.tincanMb),
    lines: most(before, after, (one) => one.lines),
    counters: Object.fromEntries(
      Object.keys(after[0]?.counters ?? {})
        .map((key) => [key, counted(before, after, [key])] as const)
        .filter(([, grown]) => grown > 0),
    ),
    slowest: watched
      .map((one) => ({ pair: pairName(one.pair), p50: p50([one], ms), lost: one.lost }))
      .sort((a, b) => b.p50.during - a.p50.during)
      .slice(0, 5),
  };
  lab.report.details[`${lab.shape}.hostile.${name}.figures`] = figures;
  const title = `hostile member, ${name}`;
  const ratio = figures.p50.direct.during / figures.p50.direct.before;
  // The sender itself must be at work, or the rest says nothing.
  lab.report.atLeast(`${title}: records it sent`, sent ?? 0, (rate * 6 * ms) / 2_000, '');
  lab.report.atMost(`${title}: median round trip of direct pairs, of before`, ratio, 2, 'times');
  lab.report.none(`${title}: packets lost by direct pairs`, lostOf(direct(watched)), sentOf(direct(watched)));
  lab.report.atMost(`${title}: longest outage of the others`, outageS(watched), 1, 's');
  if (attack.counted.length > 0) {
    const dropped = counted(before, after, attack.counted);
    lab.report.holds(`${title}: what it sent is counted`, dropped > 0, dropped, `> 0 of ${attack.counted.join(', ')}`);
  }
}

/** Its agent is gone, and somebody with its account says to all whatever an agent can say (test/faults/hostile-room.ts). */
async function inTheRoom(lab: Lab, hostile: Joined, pairs: readonly Pair[], ms: number): Promise<void> {
  await signal(hostile, 'agent', 'SIGKILL');
  const watched = await watch(
    pairs,
    async () => {
      const seconds = String(ms / 1_000);
      const room = collect(hostile.name, process.execPath, ROOM, hostile.config, seconds);
      lab.keep(room.child);
      lab.report.details[`${lab.shape}.hostile.room.sent`] = JSON.parse(await room.output);
    },
    EVERY_MS,
  );
  note(lab, 'hostile.room', watched);
  const { before, during } = p50(direct(watched), ms);
  const sent = lab.report.details[`${lab.shape}.hostile.room.sent`] as { readonly messages: number };
  lab.report.atLeast('hostile member, in the room: messages it sent', sent.messages, ms / 20, '');
  lab.report.atMost(
    'hostile member, in the room: median round trip of direct pairs, of before',
    during / before,
    2,
    'times',
  );
  lab.report.none(
    'hostile member, in the room: packets lost by direct pairs',
    lostOf(direct(watched)),
    sentOf(direct(watched)),
  );
}

/** After all of it. */
async function lasting(
  lab: Lab,
  others: readonly Joined[],
  first: readonly Footprint[],
  minutes: number,
): Promise<void> {
  const last = await footprints(others);
  const restarted = others.filter((_, i) => last[i]?.pids.join() !== first[i]?.pids.join()).map((one) => one.name);
  lab.report.holds(
    'hostile member: no agent and no tincan of the others restarted',
    restarted.length === 0,
    restarted.join(', ') || 'none',
    'none',
  );
  const grown = (of: (one: Footprint) => number): number => most(first, last, of);
  lab.report.atMost(
    "hostile member: growth of the others' agents",
    grown((one) => one.agentMb),
    40,
    'MB',
  );
  lab.report.atMost(
    "hostile member: growth of the others' tincans",
    grown((one) => one.tincanMb),
    24,
    'MB',
  );
  const lines = grown((one) => one.lines) / minutes;
  lab.report.atMost("hostile member: lines in one node's logs", lines, 300, 'a minute');
}

export const HOSTILE_FAULTS: readonly Fault[] = [{ name: 'hostile-member', shape: 'mesh', run: hostileMember }];
