/** Stage ring: traffic crosses other nodes. */
import { keep, lostOf, noneLost, others, outageOf, remember, report } from './context.ts';
import { agentKilled, nodeDead } from './faults.ts';
import { byName } from './internet.ts';
import { joinAll, settleDirect, showNodes } from './join.ts';
import { floods, matrix } from './matrix.ts';
import { orderedPairs, type Pair, pairName } from './measure.ts';
import { enrol, type Joined, type Server, status, stopAll } from './overlay.ts';
import { say } from './report.ts';
import { sightings } from './secrecy.ts';

export async function ring(server: Server, dir: string): Promise<void> {
  say('stage ring: full mesh off, one successor, no long-distance links');
  const nodes = await enrol(server, 'ring', dir, ['--full-mesh', 'off', '--successors', '1', '--long-distance', '0']);
  await joinAll('ring', nodes);
  await showNodes(nodes);
  await settleDirect(nodes, 3000);
  const hops = await matrix('ring', nodes);
  await floods('ring', nodes);

  const far = hops.find((pair) => pair.path === 'via');
  if (far === undefined) report.holds('some pair crosses other nodes', false);
  else {
    const seen = await sightings(far.pair.from, far.pair.to, nodes, dir);
    report.holds(`a marker from ${pairName(far.pair)} is seen in the tap`, seen.tap > 0, seen.tap, '> 0', 'times');
    report.holds(
      'and not on the underlay or at coturn',
      total(seen.underlay) === 0,
      total(seen.underlay),
      '0',
      'times',
    );
    report.holds("and not in any agent's memory", total(seen.agents) === 0, total(seen.agents), '0', 'times');
    await ringFaults(nodes, far.pair);
  }
  const left = await stopAll(nodes);
  report.holds(
    'evio agent stop leaves nothing on the nodes (ring)',
    left.length === 0,
    left.join(', ') || 'nothing',
    'nothing',
  );
}

/** In the ring, the first node between a far pair goes: its agent first, then all of it. */
async function ringFaults(nodes: readonly Joined[], far: Pair): Promise<void> {
  const pairs = orderedPairs(nodes);
  await viaDirect(nodes, pairs);
  const between =
    nodes.find((node) => node !== far.from && node !== far.to && byName(node.name).attachment !== 'random-port') ??
    far.from;
  say(`fault: the agent of ${between.name} is killed with -9 (ring)`);
  const agent = await agentKilled(between, pairs, 1000, keep);
  remember('agentKilled.ring', agent);
  report.details['agentKilled.ring.lost'] = lostOf(agent);
  report.atMost('agent killed in the ring: longest outage', outageOf(agent), 3, 's');

  say(`fault: ${between.name} is dead (ring)`);
  const dead = await nodeDead(between, pairs, 10_000);
  remember('nodeDead.ring', dead);
  report.atMost(
    'node dead in the ring: longest outage of pairs without it',
    outageOf(others(dead, between.name)),
    3,
    's',
  );
}

/** What crosses a node by direct tunnels never meets its agent: with that killed, no pair loses anything. */
async function viaDirect(nodes: readonly Joined[], pairs: readonly Pair[]): Promise<void> {
  const victim = nodes.find((node) => byName(node.name).attachment === 'public');
  if (victim === undefined) throw new Error('no node has direct tunnels only');
  const before = await transitOf(victim);
  say(`fault: the agent of ${victim.name}, whose tunnels are direct, is killed with -9 (ring)`);
  const watched = await agentKilled(victim, pairs, 1000, keep);
  remember('agentKilled.ring.direct', watched);
  const crossed = (await transitOf(victim)) - before;
  report.holds('records of other pairs crossed it meanwhile', crossed > 0, crossed, '> 0');
  noneLost('agent killed in the ring: packets lost on direct and via paths', watched);
}

/** Records of others that its tincan has passed on. */
async function transitOf(node: Joined): Promise<number> {
  return (await status(node))?.counters.tincan_transitRecords ?? Number.NaN;
}

const total = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0);
