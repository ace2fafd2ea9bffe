/** Whether the overlay is whole: the ring closed, every pair answering; and how long that took. */

import { orderedPairs, type Pair, pairName } from '../demo/measure.ts';
import type { Joined } from '../demo/overlay.ts';
import { fping, parseFping } from '../demo/ping.ts';
import { type Report, say } from '../demo/report.ts';
import { attempt, sleep } from '../demo/shell.ts';
import type { Agents } from './agents.ts';
import { gaps } from './ring.ts';

/** What every stage shares. */
export interface Run {
  readonly report: Report;
  readonly agents: Agents;
  readonly dir: string;
}

const LOOK_MS = 250;
const PAIRS_WITHIN_S = 60;
/** Nodes that ping all others at once: 248 packets are no load, 992 would be one; and who stays silent costs everybody a second and a half. */
const AT_ONCE = 8;

export const since = (began: number): number => (performance.now() - began) / 1_000;

/** One check: each has a tunnel to the next one by id. */
export async function closes(
  { report, agents }: Run,
  name: string,
  nodes: readonly Joined[],
  limitS: number,
  began = performance.now(),
): Promise<void> {
  const ids = nodes.map(({ id }) => id);
  let open: readonly string[] = ids;
  let at = Number.POSITIVE_INFINITY;
  while (open.length > 0 && since(began) < 3 * limitS) {
    open = gaps(ids, await agents.everyPeers(nodes));
    if (open.length === 0) at = since(began);
    else await sleep(LOOK_MS);
  }
  const names = nodes.filter(({ id }) => open.includes(id)).map((node) => node.name);
  report.atMost(`${name}${names.length === 0 ? '' : ` (open after ${names.join(', ')})`}`, at, limitS, 's');
}

/** One check: every ordered pair answers; how long until the last did. */
export async function pings({ report }: Run, name: string, nodes: readonly Joined[]): Promise<void> {
  const began = performance.now();
  let waiting = orderedPairs(nodes);
  const all = waiting.length;
  const rounds: { readonly afterS: number; readonly silent: number; readonly some: readonly string[] }[] = [];
  for (;;) {
    const silent: Pair[] = [];
    for (let i = 0; i < nodes.length; i += AT_ONCE)
      silent.push(...(await Promise.all(nodes.slice(i, i + AT_ONCE).map((from) => unanswered(from, waiting)))).flat());
    waiting = silent;
    rounds.push({
      afterS: Number(since(began).toFixed(1)),
      silent: silent.length,
      some: silent.slice(0, 10).map(pairName),
    });
    if (waiting.length === 0 || since(began) > PAIRS_WITHIN_S) break;
  }
  report.details[name] = rounds;
  report.holds(name, waiting.length === 0, `${all - waiting.length} after ${since(began).toFixed(1)} s`, `${all}`);
  if (waiting.length > 0) say(`  silent: ${waiting.slice(0, 10).map(pairName).join(', ')}`);
}

async function unanswered(from: Joined, pairs: readonly Pair[]): Promise<readonly Pair[]> {
  const of = pairs.filter((pair) => pair.from === from);
  if (of.length === 0) return [];
  const targets = of.map(({ to }) => to.ipv4);
  const done = await attempt(from.name, fping(targets, 20, 1));
  const runs = parseFping(`${done.stdout}\n${done.stderr}`);
  return of.filter(({ to }) => (runs.get(to.ipv4)?.replies.length ?? 0) === 0);
}
