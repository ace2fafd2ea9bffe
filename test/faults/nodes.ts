/** Nodes go and come back, the net splits, a node forwards nothing. */
import { byName } from '../demo/internet.ts';
import { type Pair, type Watched, watch } from '../demo/measure.ts';
import { EVIO, type Joined, peers, pidOf, serverPid } from '../demo/overlay.ts';
import { say } from '../demo/report.ts';
import { attempt, feed, run, sleep } from '../demo/shell.ts';
import {
  breaking,
  crash,
  direct,
  type Fault,
  type Lab,
  lostOf,
  node,
  note,
  outageS,
  relayed,
  sentOf,
  signal,
  startAgain,
  whole,
  withNode,
  without,
} from './lab.ts';

const DEAD = `table inet evio_dead {
  chain in { type filter hook input priority -300; policy accept; iifname "eth0" drop; }
  chain out { type filter hook output priority -300; policy accept; oifname "eth0" drop; }
}`;

/** All packets of the nodes are dropped, in and out: no goodbye. */
export async function silence(...names: string[]): Promise<void> {
  for (const name of names) await feed(name, DEAD, 'nft', '-f', '-');
}

export async function unsilence(...names: string[]): Promise<void> {
  for (const name of names) await attempt(name, ['nft', 'delete', 'table', 'inet', 'evio_dead']);
}

/**
 * What the living felt. In a mesh a direct path depends on nobody and loses nothing; a relayed pair may have been on a detour over
 * the dead, because the fault before this one broke its connection or the relay was slower. In a ring traffic crosses nodes.
 */
function living(lab: Lab, name: string, watched: Awaited<ReturnType<typeof watch>>, ...dead: string[]): void {
  note(lab, name, watched);
  const rest = without(watched, ...dead);
  if (lab.shape === 'mesh')
    lab.report.none(`${name}: packets lost by direct pairs of the others`, lostOf(direct(rest)), sentOf(direct(rest)));
  lab.report.atMost(`${name}: longest outage of the others`, outageS(rest), 3, 's');
}

/** Dead for a while, then back with another boot id: a power cut. */
async function powerCut(lab: Lab): Promise<void> {
  breaking(lab, 'home2 loses power for 10 s: its processes are gone without a word');
  const victim = node(lab, 'home2');
  const watched = await watch(lab.pairs, async () => {
    await silence(victim.name);
    await crash(victim);
    await sleep(10_000);
    await unsilence(victim.name);
    startAgain(lab, victim);
    await sleep(3_000);
  });
  living(lab, 'a node loses power', watched, victim.name);
  await whole(lab, 'a node loses power', 10_000);
}

async function twoDead(lab: Lab): Promise<void> {
  const dead = ['cloud2', 'home2'];
  breaking(lab, `${dead.join(' and ')} are dead for 10 s`);
  const watched = await watch(lab.pairs, async () => {
    await silence(...dead);
    await sleep(10_000);
  });
  living(lab, 'two nodes dead', watched, ...dead);
  await unsilence(...dead);
  await whole(lab, 'two nodes dead', 10_000);
}

/** In a ring two dead nodes may cut off what lies between them; the ring closes over them, and then everybody talks. */
async function twoDeadInTheRing(lab: Lab): Promise<void> {
  const dead = ['cloud2', 'home2'];
  breaking(lab, `${dead.join(' and ')} are dead`);
  try {
    await silence(...dead);
    const rest = lab.pairs.filter(({ from, to }) => !dead.includes(from.name) && !dead.includes(to.name));
    await whole(lab, 'two nodes dead: the others', 10_000, rest);
    const watched = await watch(rest, () => sleep(3_000));
    note(lab, 'two nodes dead', watched);
    lab.report.none('two nodes dead: packets lost once the ring is closed', lostOf(watched), sentOf(watched));
  } finally {
    await unsilence(...dead);
  }
  await whole(lab, 'two nodes dead: all are back', 10_000);
  await sleep(8_000);
}

/** Names of nodes; only those of the first half reach the server. */
type Halves = readonly [readonly string[], readonly string[]];
const HALVES: Halves = [
  ['cloud1', 'home1', 'desk1', 'lte1'],
  ['cloud2', 'home2', 'office1'],
];
/** They have one public address: no half of the internet has one of them alone. */
const ONE_LAN = ['home1', 'desk1'];

/** The internet splits: the server is reached by one half only, so that no relay joins them. */
export async function splitInternet<T>(during: () => Promise<T>, halves = HALVES): Promise<T> {
  const outside = (names: readonly string[]) => [...new Set(names.map((name) => byName(name).outside))].join(', ');
  const [left, right] = [outside(halves[0]), outside(halves[1])];
  const table = `table ip evio_split {
  chain forward { type filter hook forward priority -10; policy accept;
    ip saddr { ${left} } ip daddr { ${right} } drop
    ip saddr { ${right} } ip daddr { ${left}, 203.0.113.10, 203.0.113.11 } drop
    ip daddr { ${right} } ip saddr { 203.0.113.10, 203.0.113.11 } drop
  }
}`;
  try {
    await feed('inet', table, 'nft', '-f', '-');
    return await during();
  } finally {
    await attempt('inet', ['nft', 'delete', 'table', 'ip', 'evio_split']);
  }
}

/** Who reaches whom, by the tunnels that are left when the internet splits: of the half without the server, by direct ones. */
async function joinedWithin(lab: Lab, halves: Halves): Promise<(pair: Pair) => boolean> {
  const group = new Map(lab.nodes.map((one) => [one.name, one.name]));
  for (const one of lab.nodes) {
    const half = halves.findIndex((names) => names.includes(one.name));
    for (const peer of await peers(one)) {
      const holds = peer.path === 'direct' || (half === 0 && peer.path === 'webrtc');
      if (peer.kinds.length === 0 || !holds || !halves[half]?.includes(peer.name)) continue;
      const [mine, theirs] = [group.get(one.name) as string, group.get(peer.name) as string];
      for (const [name, of] of group) if (of === theirs) group.set(name, mine);
    }
  }
  return ({ from, to }) => group.get(from.name) === group.get(to.name);
}

/**
 * A ring is cut into two halves at two of its edges, wherever the nodes' labels have put them: of the arcs of three nodes the one
 * that keeps most pairs joined goes without the server.
 */
async function arcs(lab: Lab): Promise<Halves> {
  const ring = lab.nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(({ name }) => name);
  let [best, most] = [HALVES, -1];
  for (let first = 0; first < ring.length; first++) {
    const arc = [0, 1, 2].map((i) => ring[(first + i) % ring.length] as string);
    const rest = ring.filter((name) => !arc.includes(name));
    if (ONE_LAN.filter((name) => arc.includes(name)).length === 1) continue;
    const joined = lab.pairs.filter(await joinedWithin(lab, [rest, arc])).length;
    if (joined > most) [best, most] = [[rest, arc], joined];
  }
  return best;
}

async function split(lab: Lab): Promise<void> {
  const ms = lab.short ? 10_000 : 60_000;
  const halves = lab.shape === 'ring' ? await arcs(lab) : HALVES;
  breaking(lab, `the internet splits into ${halves.map((half) => half.join(', ')).join(' | ')} for ${ms / 1000} s`);
  const sameHalf = ({ from, to }: Pair): boolean =>
    halves.some((half) => [from.name, to.name].every((name) => half.includes(name)));
  const inside = lab.pairs.filter(sameHalf);
  // In a mesh every pair has a tunnel, and relayed pairs of the half without the server have to find another way.
  const joined = lab.shape === 'ring' ? await joinedWithin(lab, halves) : () => true;
  const watched = await watch(inside, () => splitInternet(() => sleep(ms), halves));
  note(lab, 'split', watched);
  const reachable = watched.filter(({ pair }) => joined(pair));
  lab.report.atMost(
    `split: longest outage of the ${reachable.length} pairs that tunnels within their half join`,
    outageS(reachable),
    3,
    's',
  );
  const apart = watched.filter(({ pair }) => !joined(pair));
  if (apart.length > 0) say(`  the ${apart.length} others of their half, without a tunnel: ${outageS(apart)} s`);
  await whole(lab, 'split and healed', 10_000);
}

/** The neighbour that most routed pairs of others cross first, by direct tunnels on both sides. */
async function transitNode(lab: Lab): Promise<string> {
  const direct = new Map<string, number>();
  for (const one of lab.nodes) {
    const seen = await peers(one);
    direct.set(one.name, seen.filter((peer) => peer.kinds.length > 0 && peer.path === 'direct').length);
  }
  return [...direct].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'cloud1';
}

/**
 * Records with a routing header (first byte C0, docs/wire.md §4.1) that carry another source label than the node's own do not get
 * far: it answers every probe and carries its own traffic, and forwards nothing. The rule stands at the router behind the node, to
 * which each record comes in a packet of its own: in a batch it would see the first one only.
 */
async function blackHole(lab: Lab): Promise<void> {
  const name = await transitNode(lab);
  const victim = node(lab, name);
  breaking(lab, `${name} answers every probe and forwards nothing`);
  const label = victim.id.slice(0, 16);
  const table = `table inet evio_hole {
  chain forward { type filter hook forward priority -10; policy accept;
    ip saddr ${byName(name).outside} meta l4proto udp @th,64,8 0xc0 @th,160,64 != 0x${label} counter drop
  }
}`;
  let swallowed = 0;
  try {
    const watched = await watch(lab.pairs, async () => {
      await run(name, 'ip', 'link', 'set', 'eth0', 'gso_max_segs', '1');
      await feed('inet', table, 'nft', '-f', '-');
      await sleep(12_000);
      const listing = (await attempt('inet', ['nft', 'list', 'table', 'inet', 'evio_hole'])).stdout;
      swallowed = Number(/packets (\d+)/.exec(listing)?.[1] ?? 0);
    });
    note(lab, 'black hole', watched);
    lab.report.holds('black hole: it swallowed records', swallowed > 0, swallowed, '> 0', 'packets');
    lab.report.atMost('black hole: longest outage of a pair', outageS(watched), 5, 's');
    // Routed around means for good: no losses in the last five seconds.
    const late = watched.reduce((sum, one) => sum + lostAfter(one, 7_000), 0);
    lab.report.none('black hole: packets lost once it was routed around', late, sentOf(watched) / 2);
    lab.report.atMost('black hole: longest outage of its own pairs', outageS(withNode(watched, name)), 1, 's');
  } finally {
    await attempt('inet', ['nft', 'delete', 'table', 'inet', 'evio_hole']);
    await attempt(name, ['ip', 'link', 'set', 'eth0', 'gso_max_segs', '65535']);
  }
  await whole(lab, 'black hole', 5_000);
}

/** Requests without a reply from `ms` after the watch's start on; the first two seconds of a watch are quiet. */
function lostAfter({ run }: Watched, ms: number): number {
  const first = run.replies[0];
  if (first === undefined) return run.sent;
  const from = run.replies.find((reply) => reply.atMs >= first.atMs + 2_000 + ms)?.seq;
  if (from === undefined) return run.sent;
  const kept = new Set(run.replies.map((reply) => reply.seq));
  let lost = 0;
  for (let seq = from; seq <= run.sent; seq++) if (!kept.has(seq)) lost++;
  return lost;
}

/** tincan goes and another comes, with the XMPP server held: its sessions are made again between the nodes alone. */
async function tincanGone(
  lab: Lab,
  name: string,
  how: string,
  goes: (victim: Joined) => Promise<unknown>,
): Promise<void> {
  breaking(lab, `${how}; the XMPP server is held meanwhile`);
  const victim = node(lab, 'home2');
  const before = await pidOf(victim, 'tincan');
  const xmpp = await serverPid('xmpp');
  process.kill(xmpp, 'SIGSTOP');
  try {
    const watched = await watch(lab.pairs, async () => {
      await goes(victim);
      await sleep(8_000);
    });
    note(lab, name, watched);
    const suffers = lab.shape === 'mesh' ? withNode(watched, victim.name) : watched;
    lab.report.atMost(`${name}: longest outage`, outageS(suffers), 3, 's');
    if (lab.shape === 'mesh') {
      const others = without(watched, victim.name);
      const straight = direct(others);
      const by = relayed(others);
      lab.report.none(`${name}: packets lost by other direct pairs`, lostOf(straight), sentOf(straight));
      lab.report.none(`${name}: packets lost by other relayed pairs`, lostOf(by), sentOf(by), 'relayed');
    }
    lab.report.holds(`${name}: it is another process`, (await pidOf(victim, 'tincan')) !== before);
    await whole(lab, name, 5_000);
  } finally {
    process.kill(xmpp, 'SIGCONT');
  }
}

const tincanKilled = (lab: Lab): Promise<void> =>
  tincanGone(lab, 'tincan killed', 'the tincan of home2 is killed with -9', (victim) =>
    signal(victim, 'tincan', 'SIGKILL'),
  );

const tincanUpgraded = (lab: Lab): Promise<void> =>
  tincanGone(lab, 'tincan upgraded', 'the tincan of home2 is exchanged by evio agent upgrade', (victim) =>
    run(victim.name, EVIO, 'agent', 'upgrade', '--run-dir', victim.runDir),
  );

export const NODE_FAULTS: readonly Fault[] = [
  { name: 'tincan-killed', shape: 'mesh', short: true, run: tincanKilled },
  { name: 'tincan-killed', shape: 'ring', run: tincanKilled },
  { name: 'tincan-upgraded', shape: 'mesh', short: true, run: tincanUpgraded },
  { name: 'tincan-upgraded', shape: 'ring', run: tincanUpgraded },
  { name: 'power-cut', shape: 'mesh', run: powerCut },
  { name: 'power-cut', shape: 'ring', run: powerCut },
  { name: 'two-dead', shape: 'mesh', short: true, run: twoDead },
  { name: 'two-dead', shape: 'ring', run: twoDeadInTheRing },
  { name: 'split', shape: 'mesh', run: split },
  { name: 'split', shape: 'ring', run: split },
  { name: 'black-hole', shape: 'ring', short: true, run: blackHole },
];
