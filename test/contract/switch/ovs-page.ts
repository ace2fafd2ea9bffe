/** docs/pipeline-ovs.md: the tables of Open vSwitch as declared, each with what a real dump shows of it, and the groups. */

import { OVS_PIPELINE, OVS_TABLE_NAMES, type OvsTableName } from '../../../agent/src/sdn/index.ts';
import { flowLines, NODES, section } from './page.ts';
import type { RealOvs } from './real-ovs.ts';

const WORDS: Readonly<Record<OvsTableName, string>> = {
  classify: `Tells by the port where a frame comes from. LOCAL and the ports of others on the bridge are *leaf ports*. Every other port is
taken for the tap of a tunnel, also one nobody has told the agent of yet: a tap taken for a leaf port would make a loop.`,
  source: `Frames from leaf ports must not claim to come from another member. MACs that begin 02:45, 02:46 or 02:47 belong to those
whose certificate lists them (docs/wire.md §3): ours pass, others are dropped, and so are group addresses. Any other MAC is that of a
foreign host behind this node and passes.`,
  local: `Broadcast ARP requests and multicast neighbor solicitations for a member's address go to the agent, which answers by the
port the question came in: nobody else hears of them. Those for this node's own addresses are for the kernel behind LOCAL; its own
gratuitous ARP goes out. Unicast ARP and ND pass. Frames that must not cross a bridge (IEEE 802.1Q §8.6.3) are dropped.`,
  edge: `By the destination MAC. A member's frames go to its group of taps, the best first hop first. A pod's go to its port, those for
this node to LOCAL. Group addresses and MACs nobody's certificate lists go to every leaf port and, once, to one tap that is up: tincan
floods such a frame whole, or sends it where it learned the MAC. Open vSwitch sends no frame back by the port it came in.`,
  deliver: `What came by a tunnel leaves by leaf ports only: no frame goes from tap to tap, whatever is in it. Nothing is learned, since
\`NORMAL\` would learn from taps too; MACs nobody has told the agent of are looked for at every leaf port.`,
};

/** The page, with the dump of a switch in the state of `ovsStateOf`. */
export async function ovsPipelinePage(ovs: RealOvs): Promise<string> {
  const lines = flowLines(await ovs.ofctl('dump-flows', '--no-stats', '--no-names'));
  const groups = (await ovs.ofctl('dump-groups', '--no-names')).split('\n').map((line) => line.trim());
  return [
    '# The pipeline of Open vSwitch at the edge',
    '',
    'With `switch: ovs` the bridge of a node is Open vSwitch’s, each tunnel is a port of it (a *tap*), and tincan is behind the taps. The agent',
    'fills both switches by one controller. The tables are declared in `agent/src/sdn/ovs/pipeline.ts`, flows and groups in',
    '`agent/src/sdn/ovs/program.ts`; they have the numbers of [those of tincan](pipeline.md). Each table below is followed by its part of',
    '',
    '    ovs-ofctl -O OpenFlow13 --no-stats --no-names dump-flows BRIDGE',
    '',
    'and `test/contract/ovs-tables.test.ts` fails when a real Open vSwitch shows anything else (`EVIO_UPDATE=1` writes this page anew).',
    '',
    '    from a leaf port    classify ─► source ─► local ─► edge ─► a tap, or other leaf ports',
    '                                                │',
    '                                                └► the agent: ARP, ND',
    '    from anywhere else  classify ─► deliver ─► leaf ports',
    '',
    'The dumps are those of `alpha`, with the taps of its tunnels to `beta` (port 1) and `gamma` (port 2), a pod (port 3) and a port of others',
    '(port 4); `delta` is reached over `gamma`:',
    '',
    ...NODES,
    ...OVS_TABLE_NAMES.flatMap((name) => section(name, OVS_PIPELINE[name], WORDS[name], lines)),
    '',
    '## Groups',
    '',
    'A member’s group is of type fast failover: the first tap whose carrier is up gets the frame, and no controller is asked. tincan takes',
    'the carrier of a tap away while its tunnel is down. All members that are reached over the same taps in the same order share one. The',
    'group of type `all` is that of the leaf ports. A group’s number follows from what is in it, so that one that changes is another: flows',
    'move over to it one by one, and the old one goes when none leads to it any more.',
    '',
    ...groups
      .filter((line) => line.startsWith('group_id='))
      .map((line) => `    ${line}`)
      .sort(),
    '',
  ].join('\n');
}
