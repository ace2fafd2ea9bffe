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

\`make test-diagnosis\` injects faults on real servers, NATs and nodes in network namespaces, and counts those whose cause is named
(results/diagnosis.json).

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
