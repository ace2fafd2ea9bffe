/** A neighbour that answers every probe and passes nothing on, in a ring without long-distance links. */
import { join } from 'node:path';
import { byName } from '../../demo/internet.ts';
import { createOverlay, enrolNode, type Joined } from '../../demo/overlay.ts';
import { attempt, feed, run, start } from '../../demo/shell.ts';
import type { Fault, Named } from '../faults.ts';
import { codesOf, type Lab } from '../lab.ts';
import { fromStatus } from './words.ts';

const PLACES = ['cloud1', 'cloud2', 'home1', 'home2', 'desk1'] as const;
const BARE = ['--full-mesh', 'off', '--successors', '1', '--long-distance', '0'];
const NOTHING: Named = { findings: [], ms: Number.NaN, note: 'no node named it within 30 s' };

/**
 * Records with a routing header (first byte C0, docs/wire.md §4.1) that carry another source label than the victim's own do not get far. The
 * rule stands at the router behind it, to which each record comes in a packet of its own.
 */
async function hole(lab: Lab, at: 'cloud1' | 'cloud2'): Promise<Named> {
  const overlay = `ring-${at}`;
  const home = await createOverlay(lab.server, overlay, lab.dir, BARE);
  const nodes: Joined[] = [];
  for (const place of PLACES)
    nodes.push({
      ...(await enrolNode(home, `${place}-${overlay}`, join(lab.dir, 'nodes', `${place}-${overlay}`))),
      name: place,
    });
  const victim = nodes.find(({ name }) => name === at) as Joined;
  const others = nodes.filter((node) => node !== victim);
  const rule = `table inet evio_hole {
  chain forward { type filter hook forward priority -10; policy accept;
    ip saddr ${byName(at).outside} meta l4proto udp @th,64,8 0xc0 @th,160,64 != 0x${victim.id.slice(0, 16)} drop
  }
}`;
  try {
    await Promise.all(nodes.map((node) => lab.start(node)));
    for (const node of nodes)
      await lab.statusWhen(node, (report) => report.running && report.ringComplete && report.members === PLACES.length);
    // Everybody talks to everybody: whoever is beyond the victim is missed.
    for (const from of others)
      for (const to of others)
        if (from !== to) lab.keep(start(from.name, '/dev/null', 'ping', '-q', '-i', '0.5', '-w', '90', to.ipv4));
    await run(at, 'ip', 'link', 'set', 'eth0', 'gso_max_segs', '1');
    await feed('inet', rule, 'nft', '-f', '-');
    const end = performance.now() + 30_000;
    while (performance.now() < end)
      for (const node of others) {
        const asked = await lab.status(node);
        if (codesOf(asked.value).includes('peer-forwards-nothing')) return fromStatus(asked);
      }
    return NOTHING;
  } finally {
    await attempt('inet', ['nft', 'delete', 'table', 'inet', 'evio_hole']);
    await attempt(at, ['ip', 'link', 'set', 'eth0', 'gso_max_segs', '65535']);
    await Promise.all(nodes.map((node) => lab.stop(node)));
  }
}

export const HOLE_FAULTS: readonly Fault[] = [
  {
    name: 'peer that forwards nothing',
    words: /^(cloud\d)-ring-\1 answers and passes nothing on/,
    variants: [
      {
        what: 'a machine in the cloud',
        by: 'status',
        codes: ['peer-forwards-nothing'],
        run: (lab) => hole(lab, 'cloud1'),
      },
      { what: 'another one', by: 'status', codes: ['peer-forwards-nothing'], run: (lab) => hole(lab, 'cloud2') },
    ],
  },
];
