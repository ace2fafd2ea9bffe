/**
 * What every fault works on: the demo's internet with one overlay running in it, and the means to break and to mend.
 *
 * A fault is a function of the lab that breaks something while `watch` pings every pair, says what it found to `lab.report`, and
 * leaves the overlay whole: `whole` waits for that, and is itself a check.
 */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive } from '../alive.ts';
import { byName } from '../demo/internet.ts';
import { orderedPairs, type Pair, pairName, type Watched } from '../demo/measure.ts';
import { EVIO, enrol, type Joined, pidOf, type Server, startAgent, stopAll } from '../demo/overlay.ts';
import { gaps } from '../demo/ping.ts';
import { type Report, say } from '../demo/report.ts';
import { attempt, feed, run, sleep, until } from '../demo/shell.ts';

/** `mesh`: the defaults. `ring`: one successor and no other links, so that traffic crosses nodes. */
export type Shape = 'mesh' | 'ring';

export interface Fault {
  /** As `--only` takes it: words with dashes. */
  readonly name: string;
  readonly shape: Shape;
  /** Part of `make test` too, in its short form (`lab.short`). */
  readonly short?: boolean;
  /** Takes an hour or more: only by name, or with `--long`. */
  readonly long?: boolean;
  run(lab: Lab): Promise<void>;
}

export interface Lab {
  readonly report: Report;
  readonly short: boolean;
  readonly dir: string;
  /** The overlay's directory on the server (authority key, book). */
  readonly home: string;
  readonly server: Server;
  readonly shape: Shape;
  readonly nodes: readonly Joined[];
  readonly pairs: readonly Pair[];
  /** Processes to end when the lab is taken down. */
  keep(child: ChildProcess): void;
}

const TOPOLOGY: Readonly<Record<Shape, readonly string[]>> = {
  mesh: [],
  ring: ['--full-mesh', 'off', '--successors', '1', '--long-distance', '0'],
};

/** Enrols seven nodes in an overlay of that shape and starts them all. */
export async function openLab(
  base: Pick<Lab, 'report' | 'short' | 'dir' | 'server' | 'keep'>,
  shape: Shape,
): Promise<Lab> {
  const nodes = await enrol(base.server, shape, base.dir, TOPOLOGY[shape]);
  for (const one of nodes) base.keep(startAgent(one));
  const lab: Lab = { ...base, shape, nodes, home: join(base.dir, shape), pairs: orderedPairs(nodes) };
  await whole(lab, `${shape}: seven nodes join`, 20_000);
  // Direct paths follow within three seconds, and surplus edges of the joining phase go.
  await sleep(shape === 'ring' ? 12_000 : 5_000);
  return lab;
}

export async function closeLab(lab: Lab): Promise<void> {
  const left = await stopAll(lab.nodes);
  lab.report.holds(
    `${lab.shape}: evio agent stop leaves nothing on the nodes`,
    left.length === 0,
    left.join(', ') || 'nothing',
    'nothing',
  );
}

export function node(lab: Lab, name: string): Joined {
  const found = lab.nodes.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no node ${name}`);
  return found;
}

const answers = async (from: Joined, target: string): Promise<boolean> =>
  (await attempt(from.name, ['ping', '-n', '-q', '-c', '1', '-W', '1', target])).code === 0;

/** Pairs that do not answer, once `withinMs` have passed; none as soon as all have answered one ping. */
export async function silentPairs(pairs: readonly Pair[], withinMs: number): Promise<readonly Pair[]> {
  const end = performance.now() + withinMs;
  let waiting = [...pairs];
  for (;;) {
    const results = await Promise.all(
      waiting.map(async (pair) => ((await answers(pair.from, pair.to.ipv4)) ? [] : [pair])),
    );
    waiting = results.flat();
    if (waiting.length === 0 || performance.now() > end) return waiting;
  }
}

/** A check: every pair answers again within the limit. */
export async function whole(lab: Lab, name: string, withinMs: number, pairs = lab.pairs): Promise<void> {
  const started = performance.now();
  // Longer than the limit, so that the next fault begins with a whole overlay even when this one was slow.
  const silent = await silentPairs(pairs, withinMs * 2);
  lab.report.atMost(
    `${name}: all pairs answer after${silent.length === 0 ? '' : ` (silent: ${silent.slice(0, 5).map(pairName).join(', ')})`}`,
    silent.length === 0 ? (performance.now() - started) / 1000 : Number.POSITIVE_INFINITY,
    withinMs / 1000,
    's',
  );
}

// What a watch found.

export const lostOf = (watched: readonly Watched[]): number => watched.reduce((sum, one) => sum + one.lost, 0);
export const sentOf = (watched: readonly Watched[]): number => watched.reduce((sum, one) => sum + one.run.sent, 0);
export const outageS = (watched: readonly Watched[]): number =>
  watched.reduce((most, one) => Math.max(most, one.outageMs), 0) / 1000;
export const without = (watched: readonly Watched[], ...names: string[]): readonly Watched[] =>
  watched.filter(({ pair }) => !names.includes(pair.from.name) && !names.includes(pair.to.name));
export const withNode = (watched: readonly Watched[], name: string): readonly Watched[] =>
  watched.filter(({ pair }) => pair.from.name === name || pair.to.name === name);

/** Notes which pairs lost what, for results/faults.json. */
export function note(lab: Lab, name: string, watched: readonly Watched[]): void {
  lab.report.details[`${lab.shape}.${name}`] = watched
    .filter((one) => one.lost > 0)
    .map(({ pair, run, lost, outageMs }) => ({
      pair: pairName(pair),
      lost,
      outageMs,
      sent: run.sent,
      gaps: gaps(run).slice(0, 5),
    }));
}

/** A pair that no direct path can join: a random-port NAT with any NAT but none (see the demo's table of 7 pairs). */
export function relayedPair({ from, to }: Pair): boolean {
  const ends = [byName(from.name).attachment, byName(to.name).attachment];
  return ends.includes('random-port') && !ends.includes('public');
}
export const relayed = (watched: readonly Watched[]): readonly Watched[] =>
  watched.filter(({ pair }) => relayedPair(pair));
export const direct = (watched: readonly Watched[]): readonly Watched[] =>
  watched.filter(({ pair }) => !relayedPair(pair));

/** Checks: a direct path loses nothing; a relayed one depends on coturn, which may drop on a loaded machine. */
export function unharmed(lab: Lab, name: string, watched: readonly Watched[]): void {
  lab.report.none(`${name}: packets lost over direct paths`, lostOf(direct(watched)), sentOf(direct(watched)));
  lab.report.atMost(`${name}: longest outage over relayed paths`, outageS(relayed(watched)), 1.5, 's');
}

// Breaking and mending processes.

/** Packets to the XMPP server vanish: signalling is silent, not refused. */
const NO_XMPP = `table inet evio_no_xmpp {
  chain out { type filter hook output priority -300; policy accept; oifname "eth0" tcp dport { 5222, 5223 } drop; }
}`;

export async function withoutXmpp(names: readonly string[], during: () => Promise<void>): Promise<void> {
  for (const name of names) await feed(name, NO_XMPP, 'nft', '-f', '-');
  try {
    await during();
  } finally {
    for (const name of names) await attempt(name, ['nft', 'delete', 'table', 'inet', 'evio_no_xmpp']);
  }
}

/** Ends a node's agent and tincan the orderly way. */
export const stop = (one: Joined): Promise<string> => run(one.name, EVIO, 'agent', 'stop', '--run-dir', one.runDir);

/** An agent that was told to end and did not. */
export class StuckError extends Error {}

/**
 * As for an upgrade: the agent ends and tincan carries on. Resolves once the next one may start. One that does not end is killed, as a
 * supervisor would, and a StuckError tells what it was doing.
 */
export async function endAgent(one: Joined): Promise<void> {
  const pid = await signal(one, 'agent', 'SIGTERM');
  try {
    await until(`the agent of ${one.name} has ended`, 5_000, async () => !alive(pid), 20);
  } catch (error) {
    const threads = readdirSync(`/proc/${pid}/task`).map((thread) => {
      const of = (name: string) => readFileSync(`/proc/${pid}/task/${thread}/${name}`, 'utf8').trim();
      return `${of('comm')} ${of('stat').replace(/^.*\) /, '')[0]} ${of('wchan')}`;
    });
    const log = agentLog(one).slice(-5).join(' | ');
    process.kill(pid, 'SIGKILL');
    throw new StuckError(`${(error as Error).message}; its threads: ${threads.join(', ')}; its log: ${log}`);
  }
}

export async function signal(one: Joined, kind: 'agent' | 'tincan', signalName: NodeJS.Signals): Promise<number> {
  const pid = await pidOf(one, kind);
  process.kill(pid, signalName);
  return pid;
}

/** As a supervisor would: starts the agent again. */
export function startAgain(lab: Lab, one: Joined): void {
  lab.keep(startAgent(one));
}

/** Ends agent and tincan of a node without a goodbye; evio0 stays as a crash leaves it. */
export async function crash(one: Joined): Promise<void> {
  for (const kind of ['agent', 'tincan'] as const) await signal(one, kind, 'SIGKILL');
}

/** The lines the agent has written to its log so far. */
export const agentLog = (one: Joined): readonly string[] =>
  readFileSync(join(one.runDir, '..', 'agent.log'), 'utf8')
    .split('\n')
    .filter(Boolean);

/** Where each agent's log ended at a moment, to look at what came after. */
export class LogMarks {
  readonly #lines: ReadonlyMap<string, number>;

  constructor(nodes: readonly Joined[]) {
    this.#lines = new Map(nodes.map((one) => [one.name, agentLog(one).length]));
  }

  since(one: Joined): readonly string[] {
    return agentLog(one).slice(this.#lines.get(one.name) ?? 0);
  }
}

/** Says what is about to be broken. */
export const breaking = (lab: Lab, what: string): void => say(`${lab.shape}: ${what}`);
