/** A NAT gets another public address, or reboots and has forgotten its mappings: the tunnels find their ways anew. */
import { counted, grown } from '../demo/counters.ts';
import { type Pair, type Watched, watch } from '../demo/measure.ts';
import { peers } from '../demo/overlay.ts';
import { attempt, feed, run, sleep } from '../demo/shell.ts';
import { breaking, type Fault, type Lab, lostOf, node, note, outageS, sentOf, signal, whole, without } from './lab.ts';
import { type Fared, openStream, type Stream } from './stream.ts';

/** What the requirement allows for both. */
const LIMIT_S = 8;
/** 251 of the router's 192.0.2.4/30 are taken: the provider gives a single address, routed to the same link. */
export const OLD = '192.0.2.6';
export const NEW = '192.0.2.22';
const ROUTER = '192.0.2.5';
const BEHIND_HOME1 = ['home1', 'desk1'];

/** As a lease that ran out: the old address is gone at once, and every mapping with it. */
export async function readdress(from: string, to: string, prefix: number): Promise<void> {
  await run('inet', 'ip', 'route', 'replace', `${to}/32`, 'dev', 'to-home1');
  await run('nat-home1', 'ip', 'address', 'add', `${to}/${prefix}`, 'dev', 'wan');
  await run('nat-home1', 'ip', 'route', 'replace', 'default', 'via', ROUTER, 'dev', 'wan', 'onlink', 'src', to);
  const old = (await run('nat-home1', 'ip', '-o', '-4', 'address', 'show', 'dev', 'wan')).match(
    new RegExp(`${from.replaceAll('.', '\\.')}/\\d+`),
  );
  if (old !== null) await run('nat-home1', 'ip', 'address', 'del', old[0], 'dev', 'wan');
  await run('nat-home1', 'conntrack', '-F');
  await attempt('inet', ['ip', 'route', 'del', `${from}/32`, 'dev', 'to-home1']);
}

/** Nothing passes for a second, then it does and nothing is remembered. The LAN behind it is a switch of its own. */
export async function reboot(...nats: string[]): Promise<void> {
  const dead = `table ip evio_reboot {
  chain in { type filter hook prerouting priority -400; iifname "wan" drop; }
  chain out { type filter hook postrouting priority -400; oifname "wan" drop; }
}`;
  await Promise.all(nats.map((nat) => feed(nat, dead, 'nft', '-f', '-')));
  await sleep(1_000);
  await Promise.all(nats.map((nat) => run(nat, 'conntrack', '-F')));
  await Promise.all(nats.map((nat) => run(nat, 'nft', 'delete', 'table', 'ip', 'evio_reboot')));
}

/** Which nodes have a direct path to which, and by what address: `home1 cloud1` → `198.51.100.6:23456`. */
async function directPaths(lab: Lab): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  await Promise.all(
    lab.nodes.map(async (one) => {
      for (const peer of await peers(one))
        if (peer.path === 'direct') found.set(`${one.name} ${peer.name}`, peer.remote?.address ?? '');
    }),
  );
  return found;
}

const touches = (pair: Pair, names: readonly string[]): boolean =>
  names.includes(pair.from.name) || names.includes(pair.to.name);

/** Checks that TCP connections over these pairs live through what is done. */
async function streaming<T>(
  lab: Lab,
  name: string,
  pairs: readonly (readonly [string, string])[],
  during: () => Promise<T>,
): Promise<T> {
  const opened: Stream[] = [];
  for (const [i, [from, to]] of pairs.entries())
    opened.push(await openStream({ from: node(lab, from), to: node(lab, to) }, 7_100 + i));
  const fared: Fared[] = [];
  try {
    return await during();
  } finally {
    for (const stream of opened) fared.push(await stream.finish());
    for (const [i, [from, to]] of pairs.entries()) {
      const { alive, error, bytesBack, longestStallMs } = fared[i] as Fared;
      lab.report.holds(
        `${name}: the TCP connection ${from}-${to} lives on`,
        alive,
        `${alive ? 'yes' : (error ?? 'no')}, ${(bytesBack / 1000).toFixed(0)} kB, stood still for ${(longestStallMs / 1000).toFixed(1)} s at most`,
      );
    }
  }
}

function judge(lab: Lab, name: string, watched: readonly Watched[], hit: readonly string[]): void {
  note(lab, name, watched);
  const others = without(watched, ...hit);
  const ours = watched.filter(({ pair }) => touches(pair, hit));
  lab.report.atMost(`${name}: longest outage of pairs of ${hit.join(' and ')}`, outageS(ours), LIMIT_S, 's');
  // Between hosts of one LAN nothing passes the NAT.
  const inside = ours.filter(({ pair }) => hit.includes(pair.from.name) && hit.includes(pair.to.name));
  if (inside.length > 0) lab.report.none(`${name}: packets lost inside the LAN`, lostOf(inside), sentOf(inside));
  lab.report.none(`${name}: packets lost by other pairs`, lostOf(others), sentOf(others));
}

/** A check: what was direct is direct again. */
async function directAgain(
  lab: Lab,
  name: string,
  before: ReadonlyMap<string, string>,
  withinMs: number,
): Promise<void> {
  const started = performance.now();
  for (;;) {
    const now = await directPaths(lab);
    const missing = [...before.keys()].filter((pair) => !now.has(pair));
    const tookMs = performance.now() - started;
    if (missing.length > 0 && tookMs < withinMs * 2) {
      await sleep(250);
      continue;
    }
    lab.report.atMost(
      `${name}: what was direct is direct again after${missing.length === 0 ? '' : ` (not: ${missing.slice(0, 5).join(', ')})`}`,
      missing.length === 0 ? tookMs / 1000 : Number.POSITIVE_INFINITY,
      withinMs / 1000,
      's',
    );
    return;
  }
}

async function readdressed(lab: Lab): Promise<void> {
  const name = 'NAT readdressed';
  breaking(lab, `the NAT of home1 and desk1 gets ${NEW} in place of ${OLD}, and ${OLD} again later`);
  const afterMs = lab.short ? 10_000 : 15_000;
  const pairs = [
    ['home1', 'cloud1'],
    ['home1', 'home2'],
  ] as const;
  const before = await directPaths(lab);
  const countedBefore = await counted('router');
  const there = await streaming(lab, name, pairs, () =>
    watch(lab.pairs, async () => {
      await readdress(OLD, NEW, 32);
      await sleep(afterMs);
    }),
  );
  judge(lab, name, there, BEHIND_HOME1);
  await directAgain(lab, name, before, 5_000);
  const now = await directPaths(lab);
  const seen = lab.nodes.flatMap((one) =>
    BEHIND_HOME1.filter((hidden) => !BEHIND_HOME1.includes(one.name) && now.has(`${one.name} ${hidden}`)).map(
      (hidden) => ({ pair: `${one.name} ${hidden}`, address: now.get(`${one.name} ${hidden}`) ?? '' }),
    ),
  );
  const stale = seen.filter(({ address }) => !address.startsWith(`${NEW}:`));
  lab.report.holds(
    `${name}: peers of home1 and desk1 show the new address`,
    seen.length > 0 && stale.length === 0,
    stale.map(({ pair, address }) => `${pair} ${address}`).join(', ') || `${seen.length} of ${seen.length}`,
  );
  const since = grown(countedBefore, await counted('router'));
  const clouds = ['198.51.100.6', '198.51.100.10'];
  const bytes = clouds.map((to) => since.get(`data ${NEW} ${to}`)?.bytes ?? 0);
  lab.report.holds(
    `${name}: bytes from the new address to the clouds, at the router`,
    bytes.every((count) => count > 10_000),
    bytes.join(', '),
    '> 10000 each',
  );

  const again = await streaming(lab, `${name} again`, pairs, () =>
    watch(lab.pairs, async () => {
      await readdress(NEW, OLD, 30);
      await sleep(afterMs);
    }),
  );
  judge(lab, `${name} again`, again, BEHIND_HOME1);
  await directAgain(lab, `${name} again`, before, 5_000);
  await whole(lab, name, 5_000);
}

async function rebooted(lab: Lab, name: string, nats: readonly string[], hit: readonly string[]): Promise<void> {
  breaking(lab, `${nats.join(' and ')} reboot: nothing passes for 1 s, and every mapping is forgotten`);
  const [first = ''] = hit;
  const before = await directPaths(lab);
  const pairs = [
    [first, 'cloud1'],
    [first, 'home2'],
  ] as const;
  const watched = await streaming(lab, name, pairs, () =>
    watch(lab.pairs, async () => {
      await reboot(...nats);
      await sleep(12_000);
    }),
  );
  judge(lab, name, watched, hit);
  await directAgain(lab, name, before, 5_000);
  await whole(lab, name, 5_000);
}

const homeRebooted = (lab: Lab): Promise<void> => rebooted(lab, 'home NAT rebooted', ['nat-home1'], BEHIND_HOME1);
const carrierRebooted = (lab: Lab): Promise<void> =>
  rebooted(lab, "lte1's NATs rebooted", ['nat-lte1', 'cgn'], ['lte1']);

/**
 * Two nodes alone in the world: no third one tells what it sees, and none carries a detour. All but these two are held, so that
 * nothing but the server helps.
 */
async function readdressedAlone(lab: Lab): Promise<void> {
  const name = 'NAT readdressed, two nodes alone';
  breaking(lab, `all nodes but home1 and home2 are held, then the NAT of home1 gets ${NEW} in place of ${OLD}`);
  const pair: Pair = { from: node(lab, 'home1'), to: node(lab, 'home2') };
  const others = lab.nodes.filter((one) => one !== pair.from && one !== pair.to);
  const hold = (signalName: 'SIGSTOP' | 'SIGCONT'): Promise<unknown> =>
    Promise.all(others.flatMap((one) => (['agent', 'tincan'] as const).map((kind) => signal(one, kind, signalName))));
  const before = await directPaths(lab);
  await hold('SIGSTOP');
  let watched: readonly Watched[] = [];
  try {
    // Detours by the others are given up by then.
    await sleep(5_000);
    watched = await streaming(lab, name, [['home1', 'home2']], () =>
      watch([pair, { from: pair.to, to: pair.from }], async () => {
        await readdress(OLD, NEW, 32);
        await sleep(15_000);
      }),
    );
  } finally {
    await hold('SIGCONT');
    await readdress(NEW, OLD, 30);
  }
  note(lab, name, watched);
  lab.report.atMost(`${name}: longest outage`, outageS(watched), LIMIT_S, 's');
  await directAgain(lab, name, before, 15_000);
  await whole(lab, name, 10_000);
}

export const NAT_FAULTS: readonly Fault[] = [
  { name: 'nat-readdressed', shape: 'mesh', run: readdressed },
  { name: 'nat-readdressed-alone', shape: 'mesh', run: readdressedAlone },
  { name: 'nat-rebooted', shape: 'mesh', run: homeRebooted },
  { name: 'nat-rebooted-random-port', shape: 'mesh', run: carrierRebooted },
];
