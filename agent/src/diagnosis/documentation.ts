/** docs/diagnosis.md, made from the catalogue: `node hack/generated.ts`. */
import { TRACE } from '../trace/documentation.ts';
import { CATALOGUE } from './finding.ts';

const HEAD = `# What is wrong, by its cause

\`evio status\` asks the running agent what it knows to be wrong, and \`evio netcheck\` finds out what the network lets a node do; both name causes, not
symptoms: each finding has a code, a sentence that names the host, port or file, and what to do. The same findings are in an EvioNode's
conditions (\`SignallingConnected\`, \`AgentReady\`, \`DataPlaneReady\`, \`AddressConflict\`) and in the metric \`evio_finding\`.

    evio status --config /etc/evio/node.json          # also says why no agent runs
    evio status --wait --timeout 60                   # until the node is well; exit code 0 or 1
    evio netcheck --config /etc/evio/node.json        # needs no agent
    evio netcheck --config FILE --lifetime 300        # how long the NAT keeps an idle mapping, which takes as long

An *error* is something that was to work and does not; with one, both commands end with 1. A *warning* is something that works, and will
not for ever or not for all.

\`netcheck\` signs in to the XMPP server as the node, by a session beside the agent's, and asks it for STUN and TURN servers. Mapping and filtering are told
by the tests of RFC 5780: coturn takes part in them with two addresses (\`evio server init --address A --address B\`); with fewer *not known* is
said. Whether UDP is blocked or a server is down is told apart by a port where nobody listens: when its host answers by ICMP, UDP passes.

A node of a cluster tells what it lacks there by the same command, in its pod or on the machine (\`evio status --run-dir /run/evio/default\`), also before it
is enrolled: the API server, the EvioNode, a prefix for pods, the CNI plugin, its configuration, addresses. The operator's side of it (no piece left
in \`podCIDRs\`, the server's account) is in the conditions of the EvioNetwork.

Which direction a firewall drops is told by who still hears the other: a node that hears a peer and is not answered from there says \`path-one-way\`, and
names the peer whose firewall, or way there, is to be looked at. The peer itself, which hears nothing, sees traffic by a relay only. Where a firewall
drops all UDP of a network in one direction, \`udp-blocked\` or \`turn-away\` is said, without the direction.

\`make test-diagnosis\` injects faults on real servers, NATs and nodes in network namespaces, and counts those whose cause is named
(results/diagnosis.json).

\`evio status\` and \`evio peers\` are asked again and again, so their usual forms are answered without the parser of the command line, and without checking a node file that a running agent has checked. Medians of
20 runs, wall and processor, two processors with other work on them (load 3); Node.js alone takes 29 ms of that:

| | before | now |
|---|---|---|
| \`evio status\`, no agent here | 273 ms, 303 ms | 93 ms, 91 ms |
| \`evio peers\`, no agent here | 255 ms, 247 ms | 59 ms, 47 ms |
| \`evio status --config FILE -o json\` of a running agent (\`make test-diagnosis ONLY=figures\`, at most 300 ms; 15 runs) | 335 ms at load 3.5, without the parser already | 79 ms at load 2.6 |

Node.js' cache of compiled code (\`NODE_COMPILE_CACHE\`) would take 8 ms more off, and wants a directory of its own to write to: it is not used.

<!-- Made from agent/src/diagnosis/finding.ts by hack/generated.ts: change the catalogue, not this file. -->

| code | | what it means |
|---|---|---|
`;

/** The whole page. */
export function diagnosisPage(): string {
  return (
    HEAD +
    Object.entries(CATALOGUE)
      .map(([code, { severity, means }]) => `| \`${code}\` | ${severity} | ${means} |\n`)
      .join('') +
    TRACE
  );
}
