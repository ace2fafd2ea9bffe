/** docs/pipeline.md: the tables as declared, each with what a real tincan's dump shows of it. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { PIPELINE, TABLE_NAMES, type TableName } from '../../../agent/src/sdn/index.ts';
import { ALPHA, BETA, DELTA, GAMMA } from './overlay.ts';

const hex = (label: bigint) => label.toString(16).padStart(16, '0');

const WORDS: Readonly<Record<TableName, string>> = {
  classify: `Tells by the port where a frame comes from: port 1 is the tap of this node, every other one a tunnel.
Frames from tunnels are what other members sent to us; tincan has checked their source against the sender's certificate: the MAC, and
that no address is another's.`,
  source: `Frames from the tap must not claim to come from another member. MACs that begin 02:45, 02:46 or 02:47 belong to those
whose certificate lists them (docs/wire.md §3): ours pass, others are dropped, and so are group addresses. Any other MAC is that of a
foreign host behind this node and passes. Packets the kernel routes for pods have this node's MAC and the pod's address: no flow looks
at the source of an IP packet, nftables on the node and the receiving tincan do.`,
  local: `Broadcast ARP requests and multicast neighbor solicitations for a member's address go to the agent, which answers from
the membership: nobody else hears of them. Each member's link-local address is the EUI-64 of its MAC. Questions for this node's own
addresses end here, because the kernel behind the tap answers them; its own gratuitous ARP goes out. Unicast ARP and ND pass, so
that a node can ask whether a neighbour still lives. Frames that must not cross a bridge (IEEE 802.1Q §8.6.3) are dropped.`,
  edge: `By the destination MAC to the label of the member that has it: a certificate lists a node's MAC and, masked, those of
its pods. Groups are flooded by tincan to every member exactly once (docs/wire.md §6.3). A MAC nobody's certificate lists goes to the
member it was learned from, or is flooded (\`NORMAL\`). Pods that are ports of the bridge are found by ARP and ND, which are flooded, and
reached by their ranges.`,
  core: `By the destination label to the tunnel of the next hop. Transit records enter here, so its number is fixed. Arcs of the
ring are prefixes of labels, longer ones within shorter ones and at higher priority (1000 + prefix length). Our own arc has no
flow: a record that ends there is for nobody, and tincan says so to its sender. When the named tunnel is down tincan detours by
itself (docs/wire.md §10.2).`,
  deliver: 'What came by a tunnel for this node leaves by the tap.',
};

/** Of a dump, without what is the same in every line. */
export function flowLines(dump: string): readonly string[] {
  return dump.split('\n').map((line) => line.trim().replace(/^cookie=0x[0-9a-f]+, /, ''));
}

/** The page, with the dump of a switch in the state of `stateOf`. */
export async function pipelinePage(switchPath: string): Promise<string> {
  const command = ['-O', 'OpenFlow13', '--no-stats', 'dump-flows', `unix:${switchPath}`];
  const { stdout } = await promisify(execFile)('ovs-ofctl', command);
  const lines = flowLines(stdout);
  return [
    '# The pipeline of the switch',
    '',
    'The agent fills the tables of the switch in tincan by OpenFlow 1.3. They are declared in `agent/src/sdn/pipeline.ts`, the flows in',
    '`agent/src/sdn/desired.ts`. Each table below is followed by its part of a real dump,',
    '',
    '    ovs-ofctl -O OpenFlow13 --no-stats dump-flows unix:/run/evio/OVERLAY/switch.sock',
    '',
    'and `test/contract/switch.test.ts` fails when a tincan shows anything else (`EVIO_UPDATE=1` writes this page anew). The tables of Open',
    'vSwitch at the edge are [here](pipeline-ovs.md).',
    '',
    '    from the tap      classify ─► source ─► local ─► edge ─► core ─► a tunnel',
    '                                              │        └► flood to all',
    '                                              └► the agent: ARP, ND',
    '    from a tunnel     classify ─► deliver ─► the tap',
    '    transit record                                          core ─► a tunnel',
    '',
    'The dumps are those of `alpha`, which has tunnels to `beta` (port 16) and `gamma` (port 17); `delta` is reached over `gamma`:',
    '',
    ...NODES,
    ...TABLE_NAMES.flatMap((name) => section(name, PIPELINE[name], WORDS[name], lines)),
    '',
  ].join('\n');
}

export const NODES: readonly string[] = [
  '| node | label | MAC | addresses | pods |',
  '|---|---|---|---|---|',
  ...[ALPHA, BETA, GAMMA, DELTA].map(
    (m) =>
      `| ${m.name} | ${hex(m.label)} | ${m.mac} | ${m.addresses.map((a) => a.address).join(', ')} | ${m.routes.map((r) => `${r.address}/${r.length}`).join(', ')} |`,
  ),
];

interface Table {
  readonly id: number;
  readonly matches: readonly string[];
  readonly next: readonly string[];
  readonly miss: string;
}

/** One table as declared and as dumped. */
export function section(name: string, table: Table, words: string, lines: readonly string[]): readonly string[] {
  const { id, matches, next, miss } = table;
  // ovs-ofctl leaves table=0 out.
  const own = lines.filter((line) =>
    id === 0 ? /^(send_flow_rem )?(priority|in_port)/.test(line) : line.startsWith(`table=${id}, `),
  );
  const may = [
    matches.length === 0 ? 'Matches nothing' : `Matches ${matches.map((m) => `\`${m}\``).join(', ')}`,
    next.length === 0 ? 'ends here' : `goes on to ${next.map((n) => `\`${n}\``).join(', ')}`,
    `without a match: ${miss}`,
  ];
  const flows = own.map((line) => `    ${line.replace(/^table=\d+, /, '')}`).sort(byPriority);
  return ['', `## ${id} \`${name}\``, '', words, '', `${may.join('; ')}.`, '', ...flows];
}

/** As the switch looks them up, and the same every time. */
function byPriority(a: string, b: string): number {
  const priority = (line: string) => Number(/priority=(\d+)/.exec(line)?.[1] ?? 0);
  return priority(b) - priority(a) || (a < b ? -1 : 1);
}
