/** The part of docs/diagnosis.md about traces: `node hack/generated.ts`. */
import { GOOD, WORDS } from './verdict.ts';

const HEAD = `
## Trace

    evio trace a b                    # from this node, a, to b: names, node ids, overlay addresses
    evio trace a 10.244.3.7           # to a pod, or whatever is behind a node, by its address
    evio trace a default/web-0        # the same by its name, which the API server is asked for (--kubeconfig)
    evio trace m b                    # from another node, m: its agent is asked over the overlay
    evio trace a b -o json            # lost.at: the node; exit code 0 arrived, 1 lost, 2 nothing was sent
    evio flows                        # what this node's switch holds, with counters, and with whom it talks most
    evio flows --watch                # what was counted every two seconds

\`evio trace\` sends three ICMP echo requests (\`--frames\`) of one length, drawn for each trace, through the tables of the edge's switch (tincan's, or Open vSwitch) as if
they had come from \`evio0\`. They are real frames: flows, session, tunnel, path and the members between carry them like any other, and the kernel of the other node, or
the pod, answers. Each node on the way is asked over the overlay to count them: first by whom it would send on, then what became of them. tincan knows the frames at both
ends by what stands in their data; a node between sees sealed records only, and counts those of the two nodes that have just that length.

The table has a row for each step, with how many frames went there and how many answers came back; before it the flows that match, with what they counted meanwhile (others'
frames too). Below stands where the frames were lost: *at* a node that had them and says why it dropped them, or *between* two, of which one sent them and the other did
not have them. A node whose agent is away, or of a version without traces, does not answer: the trace goes on without it, and says so.

- From another node than the one it is run on, the agent there sends the frames and tells what became of them (docs/wire.md §9.3), without its flows: for a member of the overlay, one trace
  at a time, three and then one in ten seconds of one member, and 20 frames each. Where that agent is away, the trace has to be run on that node.
- A node counts for the frames of whoever asks only, for 12 traces at once and 4 of one member.
- Its echo requests count as ICMP to every firewall: one that drops ICMP and nothing else looks like a fault.
- *Its kernel did not take them* is told by the kernel's own ICMP counters: where others ping the node at the same moment it is not said.
- The answer goes to the kernel of this node, which did not ask and drops it.

| counted | |
|---|---|
`;

const GOOD_WORDS: Readonly<Record<string, string>> = {
  read: "came from the edge: from `evio0`, or what Open vSwitch gave to a tunnel's tap",
  sent: 'sealed and sent by a tunnel',
  forwarded: 'passed on for the two nodes by a node between',
  arrived: 'opened by the session with their sender',
  delivered: 'given to `evio0`',
};

const named = (names: Readonly<Record<string, string>>, keys: Iterable<string>): string =>
  [...keys].map((name) => `| \`${name}\` | ${names[name]} |\n`).join('');

export const TRACE = HEAD + named(GOOD_WORDS, GOOD) + named(WORDS, Object.keys(WORDS));
