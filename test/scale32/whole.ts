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
  for (;;) {
    const silent: Pair[] = [];
    // One node after the other: 31 packets at once are no load, 992 would be one.
    for (const from of nodes) {
      const of = waiting.filter((pair) => pair.from === from);
      if (of.length === 0) continue;
      const targets = of.map(({ to }) => to.ipv4);
      const done = await attempt(from.name, fping(targets, 20, 1));
      const runs = parseFping(`${done.stdout}\n${done.stderr}`);
      silent.push(...of.filter(({ to }) => (runs.get(to.ipv4)?.replies.length ?? 0) === 0));
    }
    waiting = silent;
    if (waiting.length === 0 || since(began) > PAIRS_WITHIN_S) break;
  }
  report.holds(name, waiting.length === 0, `${all - waiting.length} after ${since(began).toFixed(1)} s`, `${all}`);
  if (waiting.length > 0) say(`  silent: ${waiting.slice(0, 10).map(pairName).join(', ')}`);
}
