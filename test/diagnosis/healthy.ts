/** Networks where nothing is wrong: whatever is told of them is a false alarm. */

import { join } from 'node:path';
import type { Mapping } from '../../cli/src/netcheck/behaviour.ts';
import { createOverlay, enrolNode, type Joined } from '../demo/overlay.ts';
import { sleep } from '../demo/shell.ts';
import { startWith, withClock } from './faults/clocks.ts';
import type { Lab } from './lab.ts';

export interface Healthy {
  readonly name: string;
  /** Part of `make test`. */
  readonly short?: boolean;
  /** What was told all the same, a line each; and what was found wrong in what netcheck says of the NAT. */
  run(lab: Lab): Promise<readonly string[]>;
}

/** `by`: the command's clock, as words before it. */
async function checked(
  lab: Lab,
  node: Joined,
  mapping: Mapping,
  before: readonly string[] = [],
): Promise<readonly string[]> {
  const { value, words } = await lab.netcheck(node, { before });
  if (value === undefined) return [words];
  const { nat, udp, ok, findings, turn, xmpp } = value;
  const wrong = findings.map(({ code, text }) => `${code}: ${text}`);
  const is = (what: string, got: unknown, wanted: unknown): void => {
    if (got !== wanted) wrong.push(`${what} is ${got}, not ${wanted}`);
  };
  is('the exit code’s word', ok, true);
  is('UDP', udp, true);
  is('the mapping', nat?.mapping, mapping);
  is('the filtering', nat?.filtering, mapping === 'none' ? 'none' : 'address-and-port-dependent');
  is('hairpin', nat?.hairpin, mapping === 'none' ? null : false);
  is('the room', xmpp.room, 'there');
  is(
    'TURN servers that take the credentials',
    turn?.filter(({ outcome }) => outcome.kind === 'well').length,
    turn?.length,
  );
  return wrong;
}

/** Their agents run, and have joined each other; what each tells after some seconds. */
async function running(
  lab: Lab,
  nodes: readonly Joined[],
  start: (node: Joined) => Promise<unknown> = (node) => lab.start(node),
): Promise<readonly string[]> {
  try {
    await Promise.all(nodes.map(start));
    for (const node of nodes)
      await lab.statusWhen(
        node,
        (report) =>
          report.running && report.signalling.state === 'online' && report.ringComplete && report.members >= 2,
      );
    await sleep(5_000);
    const told = await Promise.all(nodes.map((node) => lab.status(node)));
    return told.flatMap(({ value, words }) => {
      if (value === undefined) return [words];
      const faults = value.findings.map(({ code, text }) => `${code}: ${text}`);
      return value.running && value.ringComplete && value.members >= 2
        ? faults
        : [...faults, 'the nodes did not join each other'];
    });
  } finally {
    await Promise.all(nodes.map((node) => lab.stop(node)));
  }
}

export const HEALTHY: readonly Healthy[] = [
  {
    name: 'a machine with a public address',
    run: async (lab) => checked(lab, await lab.node('cloud1'), 'none'),
  },
  {
    name: 'behind a home router',
    short: true,
    run: async (lab) => checked(lab, await lab.node('home2'), 'endpoint-independent'),
  },
  {
    name: 'behind a NAT with random ports',
    short: true,
    run: async (lab) => checked(lab, await lab.node('office1'), 'address-and-port-dependent'),
  },
  {
    name: 'behind two NATs of a carrier',
    run: async (lab) => checked(lab, await lab.node('lte1'), 'address-and-port-dependent'),
  },
  {
    name: 'a clock ten minutes ahead',
    run: async (lab) => checked(lab, await lab.node('home2'), 'endpoint-independent', withClock('+10m')),
  },
  {
    name: 'a clock ten minutes behind',
    run: async (lab) => checked(lab, await lab.node('home2'), 'endpoint-independent', withClock('-10m')),
  },
  {
    name: 'two nodes on one LAN',
    run: async (lab) => running(lab, [await lab.node('home1'), await lab.node('desk1')]),
  },
  {
    name: 'two nodes that only a relay joins',
    run: async (lab) => running(lab, [await lab.node('lte1'), await lab.node('office1')]),
  },
  {
    name: 'two overlays on one LAN',
    run: async (lab) => {
      const other = await createOverlay(lab.server, 'diag2', lab.dir, ['--subnet4', '10.46.0.0/16']);
      const own = [await lab.node('home1'), await lab.node('desk1')];
      const theirs: Joined[] = [];
      for (const at of ['home1', 'desk1']) {
        const place = join(lab.dir, 'nodes', `other-${at}`);
        const keys = { network: { bridge: 'evio1', tap: 'evio1-tap' } };
        theirs.push({ ...(await enrolNode(other, `other-${at}`, place, { keys })), name: at });
      }
      const told = await Promise.all([running(lab, own), running(lab, theirs)]);
      return told.flat();
    },
  },
  {
    name: 'an agent whose clock is ten minutes off',
    run: async (lab) => {
      const [right, off] = [await lab.node('cloud1'), await lab.node('cloud2')];
      return running(lab, [right, off], async (node) =>
        node === off ? startWith(lab, node, withClock('+10m')) : lab.start(node),
      );
    },
  },
];
