/** SWITCH=ovs: what can befall the Open vSwitch of a node, from outside and by hand. Its agent says what happened, and mends its own. */
import { watch } from '../demo/measure.ts';
import { ovsOf } from '../demo/open-vswitch.ts';
import type { Joined } from '../demo/overlay.ts';
import { attempt, run, sleep } from '../demo/shell.ts';
import type { Ovs } from '../servers/ovs.ts';
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
  sentOf,
  whole,
  withNode,
  without,
} from './lab.ts';
import { BRIDGE } from './node-state.ts';

const VICTIM = 'home1';

interface Harm {
  readonly name: string;
  readonly what: string;
  harm(ovs: Ovs, victim: Joined): Promise<unknown> | unknown;
  /** A line the agent must write. */
  readonly says: RegExp;
  /** Longest outage of the victim's pairs. */
  readonly limitS: number;
}

const mgmt = (ovs: Ovs): string => `unix:${ovs.runDir}/${BRIDGE}.mgmt`;
const taps = (ovs: Ovs): readonly string[] =>
  ovs
    .vsctl('list-ports', BRIDGE)
    .split('\n')
    .filter((name) => name.startsWith('evio0-'));

const HARMS: readonly Harm[] = [
  {
    name: 'all flows deleted in Open vSwitch',
    what: 'ovs-ofctl del-flows, all of them',
    harm: (ovs, victim) => run(victim.name, 'ovs-ofctl', '-O', 'OpenFlow13', 'del-flows', mgmt(ovs)),
    says: /ovs: somebody deleted \d+ flows.*; put back/,
    limitS: 3,
  },
  {
    name: 'all groups deleted in Open vSwitch',
    what: 'ovs-ofctl del-groups, all of them, and the flows with them',
    harm: (ovs, victim) => run(victim.name, 'ovs-ofctl', '-O', 'OpenFlow13', 'del-groups', mgmt(ovs)),
    says: /ovs: somebody deleted \d+ flows.*; put back/,
    limitS: 3,
  },
  {
    name: 'ovs-vswitchd killed',
    what: 'ovs-vswitchd is killed with -9, and started again at once',
    harm: async (ovs) => {
      await ovs.killVswitchd();
      await ovs.startVswitchd();
    },
    says: /ovs: ovs-vswitchd has ended the connection of bridge evio0/,
    limitS: 3,
  },
  {
    name: 'ovsdb-server killed',
    what: 'ovsdb-server is killed with -9, and started again after 1 s',
    harm: async (ovs) => {
      await ovs.killServer();
      await sleep(1_000);
      await ovs.startServer();
    },
    says: /ovs: ovsdb-server is away/,
    // ovs-vswitchd waits ever longer between its own attempts, and passes nothing meanwhile.
    limitS: 10,
  },
  {
    name: 'database emptied',
    what: 'the database file is removed, and ovsdb-server started anew with an empty one',
    harm: async (ovs) => {
      await ovs.killServer();
      ovs.emptyDatabase();
      await ovs.startServer();
    },
    says: /ovs: somebody emptied the database of Open vSwitch; put back/,
    limitS: 10,
  },
  {
    name: 'foreign controller',
    what: `ovs-vsctl set-controller ${BRIDGE} tcp:127.0.0.1:6653`,
    harm: (ovs) => ovs.vsctl('set-controller', BRIDGE, 'tcp:127.0.0.1:6653'),
    says: /ovs: somebody set controller tcp:127\.0\.0\.1:6653 on bridge evio0; put back/,
    // With a bridge's first Controller record, and with its last, ovs-vswitchd drops all flows and groups by itself.
    limitS: 3,
  },
  {
    name: 'a port deleted',
    what: `ovs-vsctl del-port ${BRIDGE} of one tunnel's tap`,
    harm: (ovs) => ovs.vsctl('del-port', BRIDGE, taps(ovs)[0] ?? ''),
    says: /ovs: somebody deleted port evio0-[0-9a-f]+; put back/,
    limitS: 3,
  },
  {
    name: 'the bridge deleted',
    what: `ovs-vsctl del-br ${BRIDGE}`,
    harm: (ovs) => ovs.vsctl('del-br', BRIDGE),
    says: /ovs: somebody deleted bridge evio0; put back/,
    limitS: 5,
  },
];

async function harmed(lab: Lab, { name, what, harm, says, limitS }: Harm): Promise<void> {
  const victim = node(lab, VICTIM);
  const ovs = ovsOf(VICTIM);
  if (ovs === undefined) throw new Error(`${VICTIM} has no Open vSwitch`);
  breaking(lab, `on ${VICTIM}: ${what}`);
  const marks = new LogMarks([victim]);
  const watched = await watch(lab.pairs, async () => {
    await harm(ovs, victim);
    await sleep(Math.max(4_000, limitS * 1_000 + 2_000));
  });
  note(lab, name, watched);
  const own = withNode(watched, VICTIM);
  const others = direct(without(watched, VICTIM));
  lab.report.atMost(`${name}: longest outage of ${VICTIM}`, outageS(own), limitS, 's');
  lab.report.none(`${name}: packets lost by direct pairs of the others`, lostOf(others), sentOf(others));
  const lines = marks.since(victim);
  const said = lines.filter((line) => says.test(line));
  lab.report.holds(`${name}: the agent says so`, said.length >= 1, said[0] ?? lines.join(' | '), String(says));
  const warnings = lines.filter((line) => / (warn|error) /.test(line));
  lab.report.atMost(`${name}: warnings`, warnings.length, 6, 'lines');
  lab.report.details[`${lab.shape}.${name}.lines`] = lines;
  await whole(lab, name, 5_000);
}

async function openVSwitch(lab: Lab): Promise<void> {
  for (const harm of HARMS) await harmed(lab, harm);
}

/** What somebody else has on the bridge and in its tables stays. */
async function foreign(lab: Lab): Promise<void> {
  const name = "what is somebody else's in Open vSwitch";
  const [victim, ovs] = [node(lab, VICTIM), ovsOf(VICTIM)];
  if (ovs === undefined) throw new Error(`${VICTIM} has no Open vSwitch`);
  breaking(lab, `on ${VICTIM}: a port of somebody else on ${BRIDGE}, a bridge beside it, a flow of another cookie`);
  const ofctl = (...args: string[]): Promise<string> => run(victim.name, 'ovs-ofctl', '-O', 'OpenFlow13', ...args);
  await run(victim.name, 'ip', 'link', 'add', 'other0', 'type', 'veth', 'peer', 'name', 'other1');
  try {
    const watched = await watch(lab.pairs, async () => {
      ovs.vsctl('add-port', BRIDGE, 'other0');
      ovs.vsctl('add-br', 'other', '--', 'set', 'bridge', 'other', 'datapath_type=netdev');
      await ofctl('add-flow', mgmt(ovs), 'cookie=0x7,table=0,priority=500,in_port=999,actions=drop');
      await sleep(6_000);
    });
    note(lab, name, watched);
    const own = direct(withNode(watched, VICTIM));
    lab.report.none(`${name}: packets lost over direct paths`, lostOf(own), sentOf(own));
    const kept = {
      port: ovs.vsctl('list-ports', BRIDGE).includes('other0'),
      bridge: ovs.vsctl('list-br').includes('other'),
      flow: (await ofctl('dump-flows', mgmt(ovs))).includes('cookie=0x7'),
    };
    const gone = Object.entries(kept).flatMap(([what, there]) => (there ? [] : [what]));
    lab.report.holds(`${name} stays`, gone.length === 0, gone.length === 0 ? 'yes' : `gone: ${gone.join(', ')}`);
  } finally {
    ovs.vsctl('--if-exists', 'del-br', 'other', '--', '--if-exists', 'del-port', 'other0');
    await attempt(victim.name, ['ip', 'link', 'del', 'other0']);
    await attempt(victim.name, ['ovs-ofctl', '-O', 'OpenFlow13', 'del-flows', mgmt(ovs), 'cookie=0x7/-1']);
  }
  await whole(lab, name, 5_000);
}

export const OVS_FAULTS: readonly Fault[] = [
  { name: 'ovs', shape: 'mesh', run: openVSwitch },
  { name: 'ovs-foreign', shape: 'mesh', run: foreign },
];
