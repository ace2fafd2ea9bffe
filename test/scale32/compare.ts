/** The real overlay beside the simulation of the same ids. */
import type { PingResult } from '../../agent/src/api.ts';
import type { Pair } from '../demo/measure.ts';
import type { Joined } from '../demo/overlay.ts';
import { figure } from '../sim/scale/measure.ts';
import { withKind } from './ring.ts';
import type { Simulated } from './simulated.ts';
import type { Run } from './whole.ts';

export interface Seen {
  readonly pair: Pair;
  readonly ping: PingResult | undefined;
}

export async function compare(
  { report, agents }: Run,
  nodes: readonly Joined[],
  simulated: readonly Simulated[],
): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  for (const from of nodes) {
    const others = nodes.filter((node) => node !== from);
    seen.push(
      ...(await Promise.all(others.map(async (to) => ({ pair: { from, to }, ping: await agents.ping(from, to) })))),
    );
  }
  const hops = seen.flatMap(({ ping }) => (ping === undefined ? [] : [ping.hops]));
  const { mean, max } = figure(hops);
  const log2 = Math.log2(nodes.length);
  report.holds('evio ping: pairs that answer', hops.length === seen.length, hops.length, `${seen.length}`);
  report.atMost('hops of all pairs, mean', mean, log2 / 2, '');
  report.atMost('hops of all pairs, most', max, 3 * log2, '');

  const expected = figure(simulated.map(({ hopsMean }) => hopsMean)).mean;
  const pictures = await agents.everyPeers(nodes);
  const others = nodes.filter((node) => {
    const real = withKind(
      (pictures.get(node.id) ?? []).map(({ id, kinds }) => [id, kinds] as const),
      'successor',
    );
    return simulated.some(({ successors }) => real.join() !== (successors.get(node.id) ?? []).join());
  });
  report.details.simulated = simulated.map(({ hopsMean, hopsMax, tunnelsMean }) => ({
    hopsMean,
    hopsMax,
    tunnelsMean,
  }));
  report.details.hops = Object.fromEntries(
    [...new Set(hops)].sort().map((n) => [n, hops.filter((h) => h === n).length]),
  );
  report.holds(
    'simulator and real run agree on all successors',
    others.length === 0,
    others.length === 0 ? 'all' : `not of ${others.map(({ name }) => name).join(', ')}`,
    'all',
  );
  const off = Math.abs(mean - expected) / expected;
  report.holds(
    'simulator and real run agree on the mean of hops',
    off <= 0.1,
    `${mean.toFixed(3)} and ${expected.toFixed(3)}`,
    'within 10 %',
  );
  return seen;
}
