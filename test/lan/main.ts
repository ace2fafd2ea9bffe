/**
 * Neighbours of one LAN without any server (part of `make test-flannel`; results/lan.json): two machines of a home, each with Evio by a
 * node file and a kubelet that runs a static pod, and no API server. Then the XMPP server is gone, then the home's uplink too, and one of
 * them, or both, are rebooted, or lose agent or tincan.
 *
 *   node test/lan/main.ts
 *
 * EVIO_LAN_ONLY=NAME,NAME runs these cases alone; KEEP=1 leaves all of it up (test/lan/host.sh down and test/demo/down.ts remove it).
 */
import './prefix.ts';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, takeDown } from '../demo/internet.ts';
import { createOverlay, enrolNode, type Joined, startAgent, startServer } from '../demo/overlay.ts';
import { Report, say } from '../demo/report.ts';
import { attempt, FOLDER, feed, pidsIn, sleep, until } from '../demo/shell.ts';
import { HOSTS, Host, makeDisks, ROUTER, removeHosts } from './host.ts';
import { hostsTalk, podsTalk, secondsUntil, watched } from './talk.ts';

/** From when Evio was started, and from when the kubelet has started the pods. */
const LIMIT_S = 15;
/** What a kubelet and containerd may take on a busy machine, which is not what is measured. */
const POD_S = 120;
/** Long enough for who is to be found by multicast or by an address. */
const STRANGERS_S = 8;
/** A hello at least so often (docs/wire.md §8), and a moment. */
const HELLO_S = 32;
/** Longer than what is remembered waits to be written. */
const WRITTEN_MS = 3_000;

const report = new Report('lan', false);
const children: ChildProcess[] = [];
const dir = mkdtempSync(join(tmpdir(), FOLDER));
chmodSync(dir, 0o711);

/** Cut: what leaves the home vanishes, nothing is refused. Frames between its machines do not pass here. */
const CUT = `table inet evio_cut {
  chain forward { type filter hook forward priority -300; policy drop; }
}`;
const NO_MULTICAST = `table inet evio_no_lan {
  chain in { type filter hook input priority -300; policy accept; udp dport 6986 drop; }
  chain out { type filter hook output priority -300; policy accept; udp dport 6986 drop; }
}`;

interface Place {
  readonly home: Host;
  readonly desk: Host;
  readonly both: readonly Host[];
}

interface Hooks {
  /** Done while the hosts are off. */
  readonly off?: () => unknown;
  /** Done when they have their interfaces again, and nothing of theirs runs yet. */
  readonly on?: () => Promise<unknown>;
}

/** Turns hosts off and on, and starts what they run. Gives when that began; `started` when the kubelets run. */
async function cycle(
  hosts: readonly Host[],
  { off, on }: Hooks,
): Promise<{ powered: number; started: Promise<unknown> }> {
  await Promise.all(hosts.map((host) => host.off()));
  off?.();
  await Promise.all(hosts.map((host) => host.on()));
  await on?.();
  const powered = performance.now();
  return { powered, started: Promise.all(hosts.map((host) => host.start())) };
}

/** Reboots hosts, and measures how long it takes until everything talks. */
async function reboot(place: Place, title: string, hosts: readonly Host[], hooks: Hooks = {}): Promise<void> {
  say(title);
  const { powered, started } = await cycle(hosts, hooks);
  const addresses = await secondsUntil(2 * LIMIT_S, () => hostsTalk(place.both));
  report.atMost(`${title}: overlay addresses answer each other, after Evio's start`, addresses, LIMIT_S, 's');
  await started;
  const running = await secondsUntil(POD_S, async () =>
    (await Promise.all(place.both.map((host) => host.podRuns()))).every((runs) => runs),
  );
  const pods = await secondsUntil(2 * LIMIT_S, () => podsTalk(place.both));
  report.atMost(`${title}: static pods answer each other, after the kubelet started them`, pods, LIMIT_S, 's');
  const allS = (performance.now() - powered) / 1_000;
  report.details[title] = { addressesS: addresses, podsRunS: running, podsTalkS: pods, allS };
  if (addresses === Number.POSITIVE_INFINITY || pods === Number.POSITIVE_INFINITY) await explain(place);
}

/** What both ways of finding each other are worth is seen when neither is left. */
async function strangers(place: Place): Promise<void> {
  const title = 'uplink cut and no multicast, both hosts rebooted that remember nobody';
  say(title);
  const { started } = await cycle(place.both, {
    off: () => forget(place.both),
    on: () => multicast(place.both, false),
  });
  const early = await secondsUntil(STRANGERS_S, () => hostsTalk(place.both));
  report.holds(`${title}: they do not find each other`, early === Number.POSITIVE_INFINITY);
  await started;
  await multicast(place.both, true);
  const found = await secondsUntil(2 * HELLO_S, () => hostsTalk(place.both));
  report.atMost(`${title}: they do once there is multicast again, after`, found, HELLO_S, 's');
  await secondsUntil(POD_S, () => podsTalk(place.both));
}

const forget = (hosts: readonly Host[]): void => {
  for (const host of hosts) host.forget();
};

async function multicast(hosts: readonly Host[], on: boolean): Promise<void> {
  for (const { name } of hosts)
    if (on) await attempt(name, ['nft', 'delete', 'table', 'inet', 'evio_no_lan']);
    else await feed(name, NO_MULTICAST, 'nft', '-f', '-');
}

/** Kills processes of hosts while pods and hosts ask each other, until others run in their place. */
async function killed(
  place: Place,
  title: string,
  what: 'agent' | 'tincan',
  hosts: readonly Host[],
  limitS: number,
): Promise<void> {
  say(title);
  const before = await Promise.all(hosts.map((host) => host.pidsOf(what)));
  const { outageS, lost, sent } = await watched(place.both, async () => {
    await Promise.all(hosts.map((host, i) => host.in('kill', '-KILL', ...(before[i] ?? []).map(String))));
    await until(`another ${what} runs`, 30_000, async () => {
      const now = await Promise.all(hosts.map((host) => host.pidsOf(what)));
      return now.every((pids, i) => pids.length > 0 && pids.every((pid) => !before[i]?.includes(pid)));
    });
    await sleep(6_000);
  });
  if (limitS === 0) report.none(`${title}: packets lost by hosts and pods`, lost, sent);
  else report.atMost(`${title}: longest outage of hosts and pods`, outageS, limitS, 's');
  const again = await secondsUntil(2 * LIMIT_S, async () => (await hostsTalk(place.both)) && podsTalk(place.both));
  report.atMost(`${title}: hosts and pods answer each other after`, again, LIMIT_S, 's');
  if (again === Number.POSITIVE_INFINITY) await explain(place);
}

async function explain(place: Place): Promise<void> {
  for (const host of place.both)
    for (const part of ['evio', 'kubelet'] as const) say(`${host.name} ${part}: ${host.log(part)}`);
}

type Case = (place: Place) => Promise<void>;
const CASES: Readonly<Record<string, Case>> = {
  'xmpp-gone': (place) => reboot(place, 'XMPP server gone, one host rebooted', [place.home]),
  'uplink-cut': async (place) => {
    await cut();
    await reboot(place, 'uplink cut, one host rebooted', [place.home]);
  },
  both: (place) => reboot(place, 'uplink cut, both hosts rebooted', place.both),
  'no-multicast': async (place) => {
    await reboot(place, 'uplink cut and no multicast, both hosts rebooted', place.both, {
      on: () => multicast(place.both, false),
    });
    await multicast(place.both, true);
  },
  forgetful: (place) =>
    reboot(place, 'uplink cut, both hosts rebooted that remember nobody', place.both, {
      off: () => forget(place.both),
    }),
  strangers,
  agent: (place) => killed(place, 'uplink cut, agent killed', 'agent', [place.home], 0),
  agents: (place) => killed(place, 'uplink cut, both agents killed', 'agent', place.both, 0),
  tincan: (place) => killed(place, 'uplink cut, tincan killed', 'tincan', [place.home], LIMIT_S),
  tincans: (place) => killed(place, 'uplink cut, both tincans killed', 'tincan', place.both, LIMIT_S),
};

let isCut = false;
async function cut(): Promise<void> {
  if (!isCut) await feed(ROUTER, CUT, 'nft', '-f', '-');
  isCut = true;
}

async function bringUp(): Promise<Place> {
  await build();
  const server = await startServer(join(dir, 'server'));
  children.push(server.process);
  const overlay = await createOverlay(server, 'lan', dir, []);
  const far: Joined = await enrolNode(overlay, 'cloud1', join(dir, 'nodes', 'cloud1'));
  children.push(startAgent(far));
  await makeDisks();
  const both: Host[] = [];
  for (const name of HOSTS) both.push(await Host.make(name, overlay, join(dir, 'nodes', name)));
  const [first, second] = both;
  if (first === undefined || second === undefined) throw new Error('there are two hosts');
  await Promise.all(both.map((host) => host.start()));
  await until('all three nodes talk', 60_000, async () => {
    const done = await attempt('cloud1', ['fping', '-q', '-r', '0', ...both.map(({ node }) => node.ipv4)]);
    return done.code === 0 && (await hostsTalk(both));
  });
  const place = { home: first, desk: second, both };
  await until('the static pods talk', POD_S * 1_000, () => podsTalk(both)).catch(async (error: unknown) => {
    await explain(place);
    throw error;
  });
  await sleep(WRITTEN_MS);
  say('the XMPP server and the TURN server are gone for good');
  for (const pid of await pidsIn('server')) process.kill(pid, 'SIGKILL');
  return place;
}

let ended = false;
async function cleanUp(): Promise<void> {
  if (ended) return;
  ended = true;
  if (process.env.KEEP === '1') return say('KEEP=1: all of it stays');
  for (const child of children) child.kill('SIGKILL');
  await removeHosts();
  await takeDown();
  rmSync(dir, { recursive: true, force: true });
}

const only = process.env.EVIO_LAN_ONLY?.split(',') ?? Object.keys(CASES);
const unknown = only.find((name) => CASES[name] === undefined);
if (unknown !== undefined || process.getuid?.() !== 0) {
  process.stderr.write(
    unknown === undefined
      ? 'evio: this needs network namespaces and has to run as root; try: sudo make test-flannel\n'
      : `evio: EVIO_LAN_ONLY has no case ${JSON.stringify(unknown)}; there are: ${Object.keys(CASES).join(', ')}\n`,
  );
  process.exit(1);
}
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => void cleanUp().then(() => process.exit(130)));
await removeHosts();
await takeDown();
try {
  say('two machines of one home with static pods, and one in a cloud');
  const place = await bringUp();
  for (const [name, run] of Object.entries(CASES)) {
    if (!only.includes(name)) continue;
    if (name !== 'xmpp-gone') await cut();
    try {
      await run(place);
    } catch (error) {
      report.holds(`${name} ran to its end`, false, error instanceof Error ? error.message : String(error));
      await explain(place);
    }
  }
} catch (error) {
  report.holds('ran to its end', false, error instanceof Error ? error.message : String(error));
} finally {
  await cleanUp();
}
say(`results in ${report.save()}`);
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
process.exit(report.failed === 0 ? 0 : 1);
