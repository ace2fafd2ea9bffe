/** The run: an overlay of 32 is started, left alone, compared with its simulation, made to move, and harmed. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVER } from '../demo/internet.ts';
import { giveLock, takeLock } from '../demo/lock.ts';
import type { Pair } from '../demo/measure.ts';
import { checkNats } from '../demo/nat-check.ts';
import {
  createOverlay,
  enrolNode,
  initServer,
  type Joined,
  pidOf,
  runServer,
  runs,
  startAgent,
  stopAll,
} from '../demo/overlay.ts';
import { Report, say } from '../demo/report.ts';
import { FOLDER, PREFIX, sleep } from '../demo/shell.ts';
import { Agents } from './agents.ts';
import { compare, type Seen } from './compare.ts';
import { debianLimits } from './debian.ts';
import { hotPair } from './hot.ts';
import { idle, xmpp } from './idle.ts';
import { NODES as ALL, build, relayed, takeDown } from './internet.ts';
import { simulateAll } from './simulated.ts';
import { Steady } from './steady.ts';
import { counted, placeCounters, rates, sum } from './traffic.ts';
import { closes, pings, type Run } from './whole.ts';

/** 64 processes on few processors: one agent after the other, as a site would switch its machines on. */
const PACE_MS = 500;
const RING_S = 20;
const RING_DEAD_S = 10;
const RING_BACK_S = 20;
/** Connections are parked after 30 s; sessions of all pairs, which the pings made, are renewed once after 120 to 130 s and then sleep. */
const STAND_S = 140;
/** After the machine stood still all paths are proven anew. */
const REST_S = 30;
const KILLED = 3;
/** After the ring is closed the last tunnels are made. */
const JOINED_MS = 10_000;
/** Half of what a client of Debian's server may send in the 20 s within which the ring is to close, both ways together. */
const JOIN_KB = 100;
const HOT_PAIRS = 3;
/** What pings made is counted as traffic for a moment. */
const STILL_MS = 3_000;
const kB = (bytes: number): string => `${(bytes / 1_000).toFixed(1)} kB`;

const args = process.argv.slice(2);
const seconds = Number(args[args.indexOf('--seconds') + 1] ?? Number.NaN);
const IDLE_S = args.includes('--seconds') ? seconds : 60;
if (!(IDLE_S >= 10 && IDLE_S <= 3_600)) {
  process.stderr.write('evio: --seconds takes a number from 10 to 3600\n');
  process.exit(2);
}
const joining = args.includes('--join') ? Number(args[args.indexOf('--join') + 1] ?? Number.NaN) : undefined;
if (joining !== undefined && !(joining >= 4 && joining <= ALL.length)) {
  process.stderr.write(`evio: --join takes a number from 4 to ${ALL.length}\n`);
  process.exit(2);
}
/** Of fewer nodes as many of each kind as of all. */
const NODES = ALL.filter(
  (_, i) => Math.floor(((i + 1) * (joining ?? 32)) / 32) > Math.floor((i * (joining ?? 32)) / 32),
);
if (process.getuid?.() !== 0) {
  process.stderr.write('evio: this makes network namespaces and has to run as root; try: sudo make test-scale\n');
  process.exit(1);
}

const report = new Report(joining === undefined ? 'scale' : 'scale-join', false);
const children: ChildProcess[] = [];
const agents = new Agents();
const dir = mkdtempSync(join(tmpdir(), FOLDER));
// The servers run as their own users and have to get through to their folders.
chmodSync(dir, 0o711);
const steady = new Steady();
const run: Run = { report, agents, dir };
const spec = new Map(NODES.map((node) => [node.name, node]));
const specOf = ({ name }: Joined) => {
  const found = spec.get(name);
  if (found === undefined) throw new Error(`no node ${name}`);
  return found;
};

async function main(): Promise<void> {
  say(`a small internet: ${ALL.length} nodes, 16 behind NATs, a server host, a router`);
  await build();
  await placeCounters(ALL.map(({ name }) => name));
  for (let i = 0; i < NODES.length; i += 8) await checkNats(NODES.slice(i, i + 8));
  report.holds('the NATs behave as named, by plain sockets', true, `${NODES.length} nodes`);

  await initServer(join(dir, 'server'));
  const conf = join(dir, 'server', 'prosody', 'prosody.cfg.lua');
  const { text, limits } = debianLimits(readFileSync(conf, 'utf8'));
  writeFileSync(conf, text);
  say(`Prosody with Debian's limits: ${limits}`);
  report.details.limits = limits;
  const server = await runServer(join(dir, 'server'));
  children.push(server.process);
  const home = await createOverlay(server, 'scale', dir, ['--full-mesh', 'off']);
  const nodes: Joined[] = [];
  for (const { name } of NODES) nodes.push(await enrolNode(home, name, join(dir, 'nodes', name)));
  say(`${nodes.length} nodes are enrolled`);
  if (args.includes('--hold')) await enter();

  const simulated = joining === undefined ? simulateAll(nodes) : [];
  await sleep(1_000);

  const rest = (): Promise<void> => sleep(REST_S * 1_000);
  await steady.part(
    run,
    (part) => joins(part, nodes),
    async () => {
      await stopAll(nodes);
    },
  );
  if (joining !== undefined) {
    if (args.includes('--hot')) await someHot(nodes);
    return;
  }
  await steady.part(run, (part) => alone(part, nodes), rest);
  let pairs: readonly Seen[] = [];
  const beside = async (part: Run): Promise<void> => {
    pairs = await compare(part, nodes, simulated);
  };
  await steady.part(run, beside, rest);
  await steady.part(run, (part) => hot(part, nodes, pairs), rest);
  await steady.part(
    run,
    (part) => deaths(part, nodes),
    async () => {
      for (const node of nodes) if ((await runs(node, 'agent')) === undefined) children.push(startAgent(node));
      await rest();
    },
  );
}

async function alone(part: Run, nodes: readonly Joined[]): Promise<void> {
  say(`left alone for ${STAND_S} s`);
  await sleep(STAND_S * 1_000);
  await idle(part, nodes, IDLE_S);
}

/** For whoever wants to start a capture first. */
async function enter(): Promise<void> {
  say('--hold: the agents start once a line comes in');
  await once(process.stdin, 'data');
  process.stdin.pause();
}

// From nothing.

async function joins(part: Run, nodes: readonly Joined[]): Promise<void> {
  const before = await counted(SERVER.name);
  for (const node of nodes) {
    children.push(startAgent(node));
    await sleep(PACE_MS);
  }
  const began = performance.now() - PACE_MS;
  await closes(part, 'ring closed, from the last start on', nodes, RING_S, began);
  await sleep(JOINED_MS);
  const after = await counted(SERVER.name);
  const bytes = xmpp(rates(before, after, 1));
  part.report.details['join.xmppBytes'] = bytes;
  part.report.atMost(
    `joining: bytes at the XMPP server's port for one node (in ${kB(bytes.in / nodes.length)}, out ${kB(bytes.out / nodes.length)})`,
    sum(Object.values(bytes)) / nodes.length / 1_000,
    JOIN_KB,
    'kB',
  );
  await pings(part, 'all pairs ping', nodes);
}

// Moved.

async function hot(part: Run, nodes: readonly Joined[], seen: readonly Seen[]): Promise<void> {
  const pictures = await agents.everyPeers(nodes);
  const apart = ({ from, to }: Pair) =>
    !(pictures.get(from.id) ?? []).some((peer) => peer.id === to.id && peer.path !== 'via') &&
    !relayed(specOf(from), specOf(to)) &&
    specOf(from).attachment !== 'public';
  const far = seen
    .filter(({ pair, ping }) => ping?.path === 'via' && apart(pair))
    .sort((a, b) => (b.ping?.hops ?? 0) - (a.ping?.hops ?? 0))[0];
  if (far === undefined) part.report.holds('some pair has no tunnel and could have a direct one', false);
  else await hotPair(part.report, agents, far.pair, dir);
}

/** Several pairs, one after the other: what each waits for is by chance. */
async function someHot(nodes: readonly Joined[]): Promise<void> {
  for (let i = 1; i <= HOT_PAIRS; i++) {
    const pairs = nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => ({ from, to })));
    const seen = await Promise.all(pairs.map(async (pair) => ({ pair, ping: await agents.ping(pair.from, pair.to) })));
    await sleep(STILL_MS);
    await hot(run, nodes, [...seen.slice(i), ...seen.slice(0, i)]);
    report.details[`hotPair${i}`] = report.details.hotPair;
  }
}

// Harmed.

async function deaths(part: Run, nodes: readonly Joined[]): Promise<void> {
  // Of all kinds of places; none of them beside another on the ring, or the ring would have more to heal.
  const victims = ['cloud5', 'home2a', 'lte1']
    .map((name) => nodes.find((node) => node.name === name))
    .filter((node) => node !== undefined);
  if (victims.length !== KILLED) throw new Error('the victims are not there');
  say(`${victims.map(({ name }) => name).join(', ')}: agent and tincan killed with -9`);
  for (const victim of victims)
    for (const kind of ['agent', 'tincan'] as const) process.kill(await pidOf(victim, kind), 'SIGKILL');
  const living = nodes.filter((node) => !victims.includes(node));
  await closes(part, '10 % of the nodes are dead: ring of the others closed', living, RING_DEAD_S);
  await pings(part, 'all pairs of the others ping', living);
  for (const victim of victims) children.push(startAgent(victim));
  await closes(part, 'they are started again: ring closed', nodes, RING_BACK_S);
  await pings(part, 'all pairs ping again', nodes);
}

async function cleanUp(): Promise<void> {
  agents.close();
  for (const child of children) child.kill('SIGKILL');
  await takeDown();
  rmSync(dir, { recursive: true, force: true });
  giveLock();
}

takeLock('scale32');
// What is measured comes before who measures.
setPriority(5);
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) return;
    interrupted = true;
    say(`${signal}: cleaning up`);
    void cleanUp().then(() => process.exit(130));
  });
}
await takeDown();
try {
  await main();
} catch (error) {
  if (!interrupted)
    report.holds(
      'the run came to its end',
      false,
      error instanceof Error ? (error.stack ?? error.message) : String(error),
      'no error',
    );
}
if (!interrupted) {
  say(`results in ${report.save()}`);
  if (process.env.KEEP === '1') {
    say(`KEEP=1: the network stays, in namespaces ${PREFIX}...; its files are in ${dir}; the next run removes it`);
    giveLock();
  } else await cleanUp();
  process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
  process.exit(report.failed === 0 ? 0 : 1);
}
