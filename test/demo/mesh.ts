/** Stage mesh: defaults. */
import { contradictions } from './candidates.ts';
import {
  CLASS_OF,
  direct,
  expectedCrossing,
  keep,
  named,
  noneLost,
  others,
  outageOf,
  relayed,
  remember,
  report,
  SHORT,
  touching,
} from './context.ts';
import { counted } from './counters.ts';
import { type Crossed, type Crossing, crossing } from './crossing.ts';
import { agentKilled, nodeDead, pairsTalkingWithoutTincan, tincanKilled, xmppAway } from './faults.ts';
import { byName } from './internet.ts';
import { joinAll, settleDirect, showNodes } from './join.ts';
import { floods, matrix } from './matrix.ts';
import { idleRates, orderedPairs, type Pair, pairName, throughput } from './measure.ts';
import { SWITCH } from './open-vswitch.ts';
import { enrol, type Joined, pidOf, residentMb, type Server, status, stopAll } from './overlay.ts';
import { pathChanges } from './paths.ts';
import { median } from './ping.ts';
import { say } from './report.ts';
import { coturnsWord, nothingCrosses, serversAtRest } from './servers.ts';
import { attempt, until } from './shell.ts';

export async function mesh(server: Server, dir: string): Promise<void> {
  say('stage mesh: evio overlay create, evio node enroll (7)');
  const nodes = await enrol(server, 'mesh', dir, []);
  const atStart = await counted('coturn');
  await joinAll('mesh', nodes);
  const pairs = orderedPairs(nodes);
  await showNodes(nodes);

  for (const node of nodes) {
    const seen = await status(node);
    const expected = CLASS_OF[byName(node.name).attachment];
    report.holds(
      `NAT class found by ${node.name}`,
      seen?.nat.class === expected,
      seen?.nat.class ?? 'no answer',
      expected,
    );
  }

  // A direct path may take three seconds after its tunnel opened; then counters tell how each pair really talks.
  await settleDirect(nodes, 3000);
  await crossings(pairs);
  const contrary = await contradictions(nodes);
  report.holds(
    "`evio peers`: the ends of every pair are the underlay's (outside, on the LAN private, relayed the server's)",
    contrary.length === 0,
    contrary.length === 0 ? 'all' : contrary.join('; '),
    'all',
  );

  await matrix('mesh', nodes);
  await floods('mesh', nodes);
  await speeds(nodes);
  await atRest(nodes);
  await nothingCrosses(nodes);
  await meshFaults(nodes, pairs);
  await coturnsWord(server, 'mesh', atStart);

  const left = await stopAll(nodes);
  report.holds(
    'evio agent stop leaves nothing on the nodes (mesh)',
    left.length === 0,
    left.join(', ') || 'nothing',
    'nothing',
  );
}

/** Which way each pair goes, by counters at the router, at coturn and on home1's LAN. */
async function crossings(pairs: readonly Pair[]): Promise<void> {
  const found: { readonly expected: Crossing; readonly name: string; readonly seen: Crossed }[] = [];
  for (const pair of pairs)
    found.push({ name: pairName(pair), expected: expectedCrossing(pair), seen: await crossing(pair, pair.to.ipv4) });
  report.details['mesh.crossings'] = found.map(({ name, seen }) => ({ pair: name, ...seen }));
  const wrong = found.filter(({ expected, seen }) => seen.crossing !== expected);
  const sent = found[0]?.seen.sent ?? 0;
  const least = Math.min(...found.filter(({ expected }) => expected === 'relayed').map(({ seen }) => seen.relayed));
  const most = Math.max(...found.filter(({ expected }) => expected !== 'relayed').map(({ seen }) => seen.coturn));
  report.holds(
    `14 pairs direct, 7 by TURN, by nft at the router and at coturn, for ${sent} bytes to and fro`,
    wrong.length === 0,
    wrong.map(({ name, expected, seen }) => `${name} not ${expected}: ${JSON.stringify(seen)}`).join('; ') ||
      `all; at coturn >= ${least} of a relayed pair, <= ${most} of a direct one`,
    'all',
  );
  const lan = found.filter(({ expected }) => expected === 'lan');
  report.holds(
    'home1-desk1 by private addresses, by nft on the LAN, at its NAT and at coturn',
    lan.length === 2 && lan.every(({ seen }) => seen.crossing === 'lan'),
    lan.map(({ seen }) => `${seen.lan}, ${seen.wan}, ${seen.coturn}`).join('; '),
    `>= ${sent}, < ${sent}, < ${sent / 2}`,
    'bytes',
  );
}

/** One TCP flow each, in rounds with plain veth, so that a noisy machine hits all alike. */
async function speeds(nodes: readonly Joined[]): Promise<void> {
  const flows = [
    { name: 'LAN pair (home1-desk1)', from: 'home1', to: 'desk1' },
    { name: 'NAT-to-NAT pair (home1-home2)', from: 'home1', to: 'home2' },
    { name: 'cloud pair (cloud1-cloud2)', from: 'cloud1', to: 'cloud2' },
    { name: 'relayed pair (lte1-office1)', from: 'lte1', to: 'office1' },
  ];
  const rounds = SHORT ? 1 : 3;
  const seconds = SHORT ? 2 : 3;
  const plain: number[] = [];
  const measured = flows.map((): number[] => []);
  for (let i = 0; i < rounds; i++) {
    plain.push(await throughput('plain-a', 'plain-b', '10.99.0.2', seconds));
    for (const [k, flow] of flows.entries())
      measured[k]?.push(await throughput(flow.from, flow.to, named(nodes, flow.to).ipv4, seconds));
  }
  say(`  one TCP flow, median of ${rounds}: plain veth ${Math.round(median(plain))} Mbit/s`);
  report.details['tcp.mbits'] = { plain, ...Object.fromEntries(flows.map((flow, k) => [flow.name, measured[k]])) };
  for (const [k, flow] of flows.entries()) {
    const mbits = median(measured[k] ?? []);
    if (flow.from === 'lte1') report.atLeast(`TCP over the ${flow.name}`, mbits, 140, 'Mbit/s');
    else {
      const ratio = median((measured[k] ?? []).map((value, i) => value / (plain[i] ?? Number.NaN)));
      say(`  TCP over the ${flow.name}: ${Math.round(mbits)} Mbit/s, ${ratio.toFixed(3)} of plain veth`);
      // Every frame crosses Open vSwitch's user-space datapath at both ends, which has its own limit.
      if (SWITCH === 'ovs') report.atLeast(`TCP over the ${flow.name}`, mbits, 500, 'Mbit/s');
      else report.atLeast(`TCP over the ${flow.name}, of plain veth`, ratio, 0.15, '');
    }
  }
}

async function atRest(nodes: readonly Joined[]): Promise<void> {
  const seconds = SHORT ? 5 : 20;
  const from = Date.now();
  const rates = await serversAtRest(seconds, () => idleRates(seconds));
  const changes = pathChanges(nodes, from, Date.now());
  report.holds(
    'changes of any path while idle',
    changes.length === 0,
    changes.length === 0 ? 0 : `${changes.length} (${changes.slice(0, 4).join(', ')})`,
    '0',
  );
  report.details['idle.bytesPerSecond'] = Object.fromEntries(
    [...rates].map(([name, rate]) => [name, Math.round(rate)]),
  );
  say(
    `  idle, IP bytes per second and node: ${[...rates].map(([name, rate]) => `${name} ${Math.round(rate)}`).join(', ')}`,
  );
  const memory = await Promise.all(
    nodes.map(async (node) => ({
      agent: await residentMb(await pidOf(node, 'agent')),
      tincan: await residentMb(await pidOf(node, 'tincan')),
    })),
  );
  report.details['memory.mb'] = memory;
  report.atMost(
    'resident memory of the largest agent, 6 tunnels',
    Math.max(...memory.map((one) => one.agent)),
    95,
    'MB',
  );
  report.atMost(
    'resident memory of the largest tincan, 6 tunnels',
    Math.max(...memory.map((one) => one.tincan)),
    12,
    'MB',
  );
}

async function meshFaults(nodes: readonly Joined[], pairs: readonly Pair[]): Promise<void> {
  say('fault: the agent of home1 is killed with -9, and back after 1 s');
  const agent = await agentKilled(named(nodes, 'home1'), pairs, 1000, keep);
  remember('agentKilled', agent);
  noneLost('agent killed: packets lost on direct paths', direct(agent));
  report.atMost('agent killed: longest outage on webrtc paths', outageOf(relayed(agent)), 3, 's');

  say('fault: the tincan of home2 is killed with -9');
  const tincan = await tincanKilled(named(nodes, 'home2'), pairs);
  remember('tincanKilled', tincan);
  report.atMost('tincan killed: longest outage of its pairs', outageOf(touching(tincan, 'home2')), 3, 's');
  noneLost('tincan killed: packets lost by other direct pairs', direct(others(tincan, 'home2')));
  noneLost('tincan killed: packets lost by other relayed pairs', relayed(others(tincan, 'home2')), 'relayed');

  const away = SHORT ? 15_000 : 60_000;
  say(`fault: the XMPP server is away for ${away / 1000} s`);
  const xmpp = await xmppAway(away, pairs);
  remember('xmppAway', xmpp);
  noneLost('XMPP server away: packets lost on direct paths', direct(xmpp));
  noneLost('XMPP server away: packets lost on relayed paths', relayed(xmpp), 'relayed');

  say('fault: cloud2 is dead (all its packets dropped)');
  const dead = await nodeDead(named(nodes, 'cloud2'), pairs, 8000);
  remember('nodeDead.mesh', dead);
  const living = others(dead, 'cloud2');
  noneLost('node dead: packets lost on direct paths without it (mesh)', direct(living));
  // A relayed pair may have been on a detour over the node that died.
  report.atMost('node dead: longest outage of relayed pairs without it (mesh)', outageOf(relayed(living)), 3, 's');
  await until(
    'cloud2 is back',
    20_000,
    async () =>
      (await attempt('cloud2', ['ping', '-n', '-q', '-c', '1', '-W', '1', named(nodes, 'home1').ipv4])).code === 0,
  );

  const talking = await pairsTalkingWithoutTincan(nodes, pairs);
  report.holds('pairs that talk with tincan stopped', talking.length === 0, talking.length, '0');
}
