/** Somebody deletes or changes by hand what Evio made on a node: it is put back, one line says so, and no process ends. */
import { type Watched, watch } from '../demo/measure.ts';
import { type Joined, pidOf } from '../demo/overlay.ts';
import { attempt, run, sleep } from '../demo/shell.ts';
import {
  breaking,
  direct,
  type Fault,
  type Lab,
  LogMarks,
  lostOf,
  node,
  note,
  outageS,
  relayed,
  sentOf,
  whole,
  withNode,
  without,
} from './lab.ts';
import { BRIDGE, flows, sameAgain, stateOf, switchOf, TAP } from './node-state.ts';

const VICTIM = 'home1';
/** What the requirement allows. */
const LIMIT_S = 5;
/** A line the agent writes when something was put right. */
const REPAIR = /somebody (deleted|changed) \d+ flow|something changed the links/;
const POD_PORT = 'pod0';

export interface Harm {
  readonly name: string;
  /** What is about to be done, for people. */
  readonly what: string;
  harm(victim: Joined): Promise<unknown>;
  /** What the one line must name; undefined: nothing was harmed, and no line comes. */
  readonly says: RegExp | undefined;
}

const ip = (victim: Joined, ...args: string[]): Promise<string> => run(victim.name, 'ip', ...args);
const ofctl = (victim: Joined, verb: string, ...args: string[]): Promise<string> =>
  run(victim.name, 'ovs-ofctl', '-O', 'OpenFlow13', verb, switchOf(victim), ...args);

const firstAddress = async (victim: Joined): Promise<string> => {
  const printed = await ip(victim, '-o', '-4', 'address', 'show', 'dev', BRIDGE);
  return / inet (\S+)/.exec(printed)?.[1] ?? '';
};

export const LINK_HARMS: readonly Harm[] = [
  {
    name: 'bridge deleted',
    what: `ip link del ${BRIDGE}, with a pod's veth on it`,
    harm: (victim) => ip(victim, 'link', 'del', BRIDGE),
    says: new RegExp(`create bridge ${BRIDGE}, attach ${TAP} to the bridge, attach ${POD_PORT} to the bridge$`),
  },
  {
    name: 'tap deleted',
    what: `ip link del ${TAP}`,
    harm: (victim) => ip(victim, 'link', 'del', TAP),
    says: new RegExp(`make tap ${TAP}.*attach ${TAP} to the bridge`),
  },
  {
    name: 'tap taken off',
    what: `ip link set ${TAP} nomaster`,
    harm: (victim) => ip(victim, 'link', 'set', TAP, 'nomaster'),
    says: new RegExp(`attach ${TAP} to the bridge`),
  },
  {
    name: 'tap down',
    what: `ip link set ${TAP} down`,
    harm: (victim) => ip(victim, 'link', 'set', TAP, 'down'),
    says: new RegExp(`set ${TAP} up`),
  },
  {
    name: 'bridge down',
    what: `ip link set ${BRIDGE} down`,
    harm: (victim) => ip(victim, 'link', 'set', BRIDGE, 'down'),
    says: new RegExp(`set ${BRIDGE} up.*set \\d+ neighbours`),
  },
  {
    name: 'addresses removed',
    what: `ip address flush dev ${BRIDGE}`,
    harm: (victim) => ip(victim, 'address', 'flush', 'dev', BRIDGE),
    says: /add address/,
  },
  {
    name: 'address of another added',
    what: "an address of the overlay that is not this node's is added",
    harm: async (victim) => {
      const [address = '', prefix] = (await firstAddress(victim)).split('/');
      const other = [...address.split('.').slice(0, 3), '250'].join('.');
      await ip(victim, 'address', 'add', `${other}/${prefix}`, 'dev', BRIDGE);
    },
    says: /remove address [\d.]+\.250/,
  },
  {
    name: 'MTU changed',
    what: `ip link set ${BRIDGE} mtu 1280`,
    harm: (victim) => ip(victim, 'link', 'set', BRIDGE, 'mtu', '1280'),
    says: new RegExp(`set the MTU of ${BRIDGE} to`),
  },
  {
    name: 'neighbours flushed',
    what: `ip neigh flush dev ${BRIDGE} nud permanent`,
    harm: (victim) => ip(victim, 'neigh', 'flush', 'dev', BRIDGE, 'nud', 'permanent'),
    says: /set \d+ neighbours/,
  },
  {
    name: 'neighbour with another MAC',
    what: 'the entry of one member gets another MAC',
    harm: async (victim) => {
      const printed = await ip(victim, '-4', 'neigh', 'show', 'dev', BRIDGE, 'nud', 'permanent');
      const [address = ''] = printed.split(' ');
      await ip(victim, 'neigh', 'replace', address, 'lladdr', '02:00:00:00:00:01', 'dev', BRIDGE, 'nud', 'permanent');
    },
    says: /set neighbour [\d.]+ to 02:45/,
  },
];

export const FLOW_HARMS: readonly Harm[] = [
  {
    name: 'all flows deleted',
    what: 'ovs-ofctl del-flows, all of them',
    harm: (victim) => ofctl(victim, 'del-flows'),
    says: /somebody deleted \d+ flows; put back/,
  },
  {
    name: 'one flow deleted',
    what: 'ovs-ofctl del-flows, what gives frames to the tap',
    harm: (victim) => ofctl(victim, 'del-flows', 'table=5'),
    says: /somebody deleted 1 flow; put back \(the first: cookie=0x4556494f,table=5/,
  },
  {
    name: 'one flow changed',
    what: 'ovs-ofctl mod-flows, so that what gives frames to the tap drops them',
    harm: (victim) => ofctl(victim, 'mod-flows', 'table=5,actions=drop'),
    says: /somebody changed 1 flow; put back \(the first: cookie=0x4556494f,table=5/,
  },
  {
    name: 'groups deleted',
    what: 'ovs-ofctl del-groups: no flow of ours uses one',
    harm: (victim) => ofctl(victim, 'del-groups'),
    says: undefined,
  },
];

/** Who had no part in it lost nothing; relayed pairs lose packets by themselves on a machine that is short of CPU. */
function unharmed(lab: Lab, name: string, watched: readonly Watched[]): void {
  const spared = direct(watched);
  lab.report.none(`${name}: packets lost by direct pairs it does not concern`, lostOf(spared), sentOf(spared));
  lab.report.atMost(`${name}: longest outage of relayed pairs it does not concern`, outageS(relayed(watched)), 3, 's');
}

const pids = (one: Joined): Promise<readonly number[]> =>
  Promise.all((['agent', 'tincan'] as const).map((kind) => pidOf(one, kind)));

async function harmed(lab: Lab, { name, what, harm, says }: Harm): Promise<void> {
  breaking(lab, `on ${VICTIM}: ${what}`);
  const victim = node(lab, VICTIM);
  const before = await stateOf(victim);
  const processes = await pids(victim);
  const marks = new LogMarks([victim]);
  let back = { tookMs: 0, different: [] as readonly string[] };
  const watched = await watch(lab.pairs, async () => {
    await harm(victim);
    back = await sameAgain(victim, before, LIMIT_S * 2_000);
    // Whoever repairs too much, or again and again, is found out.
    await sleep(1_500);
  });
  note(lab, name, watched);
  const after = await sameAgain(victim, before, 0);
  lab.report.atMost(
    `${name}: all is as before after${back.different.length === 0 ? '' : ` (${back.different.slice(0, 3).join('; ')})`}`,
    back.tookMs / 1000,
    LIMIT_S,
    's',
  );
  lab.report.holds(`${name}: it stays so`, after.different.length === 0, after.different[0] ?? 'yes');
  const ours = lab.shape === 'mesh' ? withNode(watched, VICTIM) : watched;
  if (says !== undefined) lab.report.atMost(`${name}: longest outage`, outageS(ours), LIMIT_S, 's');
  if (lab.shape === 'mesh') unharmed(lab, name, says === undefined ? watched : without(watched, VICTIM));
  const lines = marks.since(victim).filter((line) => REPAIR.test(line));
  const expected = says === undefined ? lines.length === 0 : lines.length === 1 && says.test(lines[0] ?? '');
  lab.report.holds(
    `${name}: ${says === undefined ? 'no line' : 'one line'} in the log`,
    expected,
    lines.join(' | ').slice(0, 400) || 'none',
    says === undefined ? 'none' : String(says),
  );
  const alive = (await pids(victim)).join() === processes.join();
  lab.report.holds(`${name}: agent and tincan are the same processes`, alive);
}

/** A pod's veth on the victim's bridge while something is done. */
async function withPod(lab: Lab, during: () => Promise<void>): Promise<void> {
  const victim = node(lab, VICTIM);
  await ip(victim, 'link', 'add', POD_PORT, 'type', 'veth', 'peer', 'name', `${POD_PORT}-in`);
  try {
    for (const end of [POD_PORT, `${POD_PORT}-in`]) await ip(victim, 'link', 'set', end, 'up');
    await ip(victim, 'link', 'set', POD_PORT, 'master', BRIDGE);
    await sleep(500);
    await during();
  } finally {
    await attempt(victim.name, ['ip', 'link', 'del', POD_PORT]);
  }
}

async function links(lab: Lab): Promise<void> {
  await withPod(lab, async () => {
    for (const harm of LINK_HARMS) await harmed(lab, harm);
  });
  await whole(lab, 'links changed by hand', 5_000);
}

async function flowsHarmed(lab: Lab): Promise<void> {
  for (const harm of FLOW_HARMS) await harmed(lab, harm);
  await whole(lab, 'flows changed by hand', 5_000);
}

/** The tap of a running tincan cannot be deleted the other way: the kernel says that it is in use. */
async function tuntapDel(lab: Lab): Promise<void> {
  breaking(lab, `on ${VICTIM}: ip tuntap del ${TAP}`);
  const victim = node(lab, VICTIM);
  const watched = await watch(lab.pairs, async () => {
    const done = await attempt(victim.name, ['ip', 'tuntap', 'del', 'dev', TAP, 'mode', 'tap']);
    lab.report.holds('tuntap del: the kernel refuses', done.code !== 0, done.stderr.trim() || 'done', 'refused');
    await sleep(500);
  });
  unharmed(lab, 'tuntap del', watched);
}

/** What is not ours is left alone: on the bridge, beside our addresses, neighbours and flows. */
async function foreign(lab: Lab): Promise<void> {
  const name = "what is somebody else's";
  breaking(
    lab,
    `on ${VICTIM}: a pod on the bridge, another address and neighbour on ${BRIDGE}, another flow in the switch`,
  );
  const victim = node(lab, VICTIM);
  const marks = new LogMarks([victim]);
  const flow = 'cookie=0x7,table=0,priority=500,in_port=999,actions=drop';
  const before = await stateOf(victim);
  try {
    const watched = await watch(lab.pairs, () =>
      withPod(lab, async () => {
        await ip(victim, 'address', 'add', '192.168.77.1/24', 'dev', BRIDGE);
        await ip(
          victim,
          'neigh',
          'add',
          '192.168.77.9',
          'lladdr',
          '00:11:22:33:44:55',
          'dev',
          BRIDGE,
          'nud',
          'permanent',
        );
        await ofctl(victim, 'add-flow', flow);
        await sleep(6_000);
        const now = await stateOf(victim);
        const kept = {
          pod: now.get('links')?.some((line) => line.includes(`"${POD_PORT}"`)),
          address: now.get('addresses')?.includes('192.168.77.1/24'),
          neighbour: now.get('neighbours')?.some((line) => line.startsWith('192.168.77.9 ')),
          flow: now.get('flows')?.some((line) => line.includes('cookie=0x7')),
        };
        const gone = Object.entries(kept).flatMap(([what, there]) => (there === true ? [] : [what]));
        lab.report.holds(`${name} stays`, gone.length === 0, gone.length === 0 ? 'yes' : `gone: ${gone.join(', ')}`);
      }),
    );
    unharmed(lab, name, watched);
    const lines = marks.since(victim);
    const said = lines.filter((line) => /1 flow that is not ours stays in the table/.test(line));
    lab.report.holds(`${name}: one line tells of the flow`, said.length === 1, said.join(' | ') || 'none');
    const repairs = lines.filter((line) => REPAIR.test(line));
    lab.report.holds(
      `${name}: nothing was put right`,
      repairs.length === 0,
      repairs.join(' | ') || 'nothing',
      'nothing',
    );
  } finally {
    await attempt(victim.name, ['ip', 'neigh', 'del', '192.168.77.9', 'dev', BRIDGE]);
    await attempt(victim.name, ['ip', 'address', 'del', '192.168.77.1/24', 'dev', BRIDGE]);
    await attempt(victim.name, [
      'ovs-ofctl',
      '-O',
      'OpenFlow13',
      '--strict',
      'del-flows',
      switchOf(victim),
      'table=0,priority=500,in_port=999',
    ]);
  }
  const left = await sameAgain(victim, before, 5_000);
  lab.report.holds(`${name}: afterwards all is as before`, left.different.length === 0, left.different[0] ?? 'yes');
}

/** In a ring the records of others pass the switch that lost its flows. */
async function flowsInTheRing(lab: Lab): Promise<void> {
  const all = FLOW_HARMS[0];
  if (all !== undefined) await harmed(lab, all);
  const count = (await flows(node(lab, VICTIM))).length;
  lab.report.details['ring.flows'] = count;
  await whole(lab, 'flows changed by hand', 5_000);
}

export const HAND_FAULTS: readonly Fault[] = [
  { name: 'hands-links', shape: 'mesh', run: links },
  { name: 'hands-tuntap', shape: 'mesh', run: tuntapDel },
  { name: 'hands-foreign', shape: 'mesh', run: foreign },
  { name: 'hands-flows', shape: 'mesh', short: true, run: flowsHarmed },
  { name: 'hands-flows', shape: 'ring', run: flowsInTheRing },
];
