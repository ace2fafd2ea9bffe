/** Somebody changes a node's own network under a running overlay: another address, no default route for a while, the link down. */
import { byName } from '../demo/internet.ts';
import { type Watched, watch } from '../demo/measure.ts';
import { pidOf } from '../demo/overlay.ts';
import { attempt, run, sleep } from '../demo/shell.ts';
import {
  breaking,
  direct,
  type Fault,
  type Lab,
  lostOf,
  node,
  note,
  outageS,
  sentOf,
  whole,
  withNode,
  without,
} from './lab.ts';

/** Behind a NAT that keeps ports, alone in its LAN. */
const VICTIM = 'home2';
const OTHER_ADDRESS = '192.168.1.77';
/** What the requirement allows, beside the time for which nothing could pass. */
const LIMIT_S = 5;
const AWAY_MS = 3_000;

const ip = (...args: string[]): Promise<string> => run(VICTIM, 'ip', ...args);
const { address: ADDRESS, prefix: PREFIX, gateway: GATEWAY } = byName(VICTIM);

/** As when a lease ends and another begins. The old one first: a second address of a subnet goes with the first one. */
async function readdress(from: string, to: string): Promise<void> {
  await ip('address', 'del', `${from}/${PREFIX}`, 'dev', 'eth0');
  await ip('address', 'add', `${to}/${PREFIX}`, 'dev', 'eth0');
  await ip('route', 'replace', 'default', 'via', GATEWAY, 'dev', 'eth0');
}

async function around(lab: Lab, name: string, awayMs: number, during: () => Promise<unknown>): Promise<void> {
  const victim = node(lab, VICTIM);
  const processes = [await pidOf(victim, 'agent'), await pidOf(victim, 'tincan')];
  const watched: readonly Watched[] = await watch(lab.pairs, async () => {
    await during();
    await sleep(LIMIT_S * 1_000 + 2_000);
  });
  note(lab, name, watched);
  lab.report.atMost(
    `${name}: longest outage of pairs of ${VICTIM}${awayMs === 0 ? '' : `, beside the ${awayMs / 1000} s without a way`}`,
    outageS(withNode(watched, VICTIM)) - awayMs / 1000,
    LIMIT_S,
    's',
  );
  const others = direct(without(watched, VICTIM));
  lab.report.none(`${name}: packets lost by direct pairs of the others`, lostOf(others), sentOf(others));
  const alive = [await pidOf(victim, 'agent'), await pidOf(victim, 'tincan')].join() === processes.join();
  lab.report.holds(`${name}: agent and tincan are the same processes`, alive);
  await whole(lab, name, 5_000);
}

async function readdressed(lab: Lab): Promise<void> {
  breaking(lab, `${VICTIM} gets ${OTHER_ADDRESS} in place of ${ADDRESS}, and ${ADDRESS} again later`);
  await around(lab, 'own address changed', 0, () => readdress(ADDRESS, OTHER_ADDRESS));
  await around(lab, 'own address changed back', 0, () => readdress(OTHER_ADDRESS, ADDRESS));
}

async function unrouted(lab: Lab): Promise<void> {
  breaking(lab, `${VICTIM} has no default route for ${AWAY_MS / 1000} s`);
  await around(lab, 'default route deleted', AWAY_MS, async () => {
    await ip('route', 'del', 'default');
    await sleep(AWAY_MS);
    await ip('route', 'add', 'default', 'via', GATEWAY);
  });
}

async function linkDown(lab: Lab): Promise<void> {
  breaking(lab, `eth0 of ${VICTIM} is down for ${AWAY_MS / 1000} s`);
  await around(lab, 'eth0 down', AWAY_MS, async () => {
    await ip('link', 'set', 'eth0', 'down');
    await sleep(AWAY_MS);
    await ip('link', 'set', 'eth0', 'up');
    // What DHCP does on a link that comes back: routes go with the link, addresses stay.
    await attempt(VICTIM, ['ip', 'route', 'replace', 'default', 'via', GATEWAY, 'dev', 'eth0']);
  });
}

export const UPLINK_FAULTS: readonly Fault[] = [
  { name: 'uplink-readdressed', shape: 'mesh', run: readdressed },
  { name: 'uplink-unrouted', shape: 'mesh', run: unrouted },
  { name: 'uplink-down', shape: 'mesh', run: linkDown },
];
