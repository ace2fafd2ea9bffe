/** SWITCH=ovs: every node has an Open vSwitch of its own at the edge, as a machine with openvswitch-switch installed has. */
import { Ovs } from '../servers/ovs.ts';
import { NODES } from './internet.ts';
import { PREFIX } from './shell.ts';

const SWITCHES = ['tincan', 'ovs'] as const;
export const SWITCH = SWITCHES.find((name) => name === (process.env.SWITCH ?? 'tincan')) ?? unknownSwitch();

function unknownSwitch(): never {
  process.stderr.write(`evio: SWITCH=${process.env.SWITCH} is not allowed; allowed: ${SWITCHES.join(', ')}\n`);
  process.exit(2);
}

const running = new Map<string, Ovs>();

/** One on each node, if they are wanted at all, with its directory within `dir`. */
export async function startSwitches(dir: string): Promise<void> {
  if (SWITCH !== 'ovs') return;
  for (const { name } of NODES) {
    const ovs = await Ovs.start({ netns: PREFIX + name, within: dir });
    if (process.env.KEEP === '1') ovs.leave();
    running.set(name, ovs);
  }
}

export async function stopSwitches(): Promise<void> {
  for (const ovs of running.values()) await ovs.stop();
  running.clear();
}

/** The Open vSwitch of a node, undefined where the switch is tincan's own. */
export function ovsOf(node: string): Ovs | undefined {
  return running.get(node);
}

/** What a node file says of its switch. */
export function switchKeys(node: string): object {
  const ovs = ovsOf(node);
  return ovs === undefined ? {} : { switch: 'ovs', ovs: { runDir: ovs.runDir } };
}
