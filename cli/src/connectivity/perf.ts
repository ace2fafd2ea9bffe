/** `evio connectivity perf` in the cluster: the nodes measure one after the other, so that none disturbs another. */

import { askingName, measuringPod } from './manifests.ts';
import { type Measured, measuredOf } from './measured.ts';
import { hasEnded, lastWords, podTrouble } from './pods.ts';
import { valuesIn, valuesInMessage } from './report.ts';
import { NotRun, type World } from './world.ts';

const LOG_MS = 5_000;
/** Round trips, all lost but the last, and a flow that does not end. */
const PAIR_MORE_MS = 15_000;

/** `seconds`: of each flow. Nodes that take no part are in the result as pairs that have no figures. */
export async function perf(world: World, seconds: number): Promise<readonly Measured[]> {
  const { namespace, startMs, tell } = world.options;
  const { order, missing } = await world.start();
  if (order.targets.length < 2) {
    const why = missing.map(({ node, why }) => `${node}: ${why}`).join('; ');
    throw new NotRun(`two nodes are needed, and ${order.targets.length} have a pod${why === '' ? '' : ` (${why})`}`);
  }
  const all: Measured[] = [];
  for (const [at, { node }] of order.targets.entries()) {
    tell(`to ${node}: ${at + 1} of ${order.targets.length} nodes`);
    await world.create([measuringPod(namespace, node, world.image, seconds)]);
    const others = order.targets.filter((one) => one.node !== node);
    const end = performance.now() + startMs + others.length * (seconds * 1000 + PAIR_MORE_MS);
    const found = await ended(world, askingName('pod', node), end);
    for (const { node: from } of others) {
      const one = found.all.find((each) => each.from === from && each.to === node);
      all.push(one ?? { from, to: node, why: found.why ?? 'its pod told nothing of it' });
    }
  }
  for (const { node, why } of missing)
    for (const { node: other } of order.targets) all.push({ from: other, to: node, why });
  return all;
}

async function ended(world: World, name: string, end: number): Promise<{ all: readonly Measured[]; why?: string }> {
  for (;;) {
    const pod = (await world.pods()).get(name);
    if (pod === undefined) return { all: [], why: 'its pod is gone' };
    if (hasEnded(pod)) {
      // Whole, where a message may be cut; who cannot be reached has at least that.
      const log = await world.log(name, LOG_MS).catch(() => '');
      const values = valuesInMessage(lastWords(pod));
      if (values === undefined) return { all: [], why: podTrouble(pod) };
      const lines = valuesIn(log);
      return { all: measuredOf(lines.length > 0 ? lines : values) };
    }
    if (performance.now() >= end) return { all: [], why: `it had not ended in time: ${podTrouble(pod)}` };
    await world.pause();
  }
}
