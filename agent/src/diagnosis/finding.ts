/** What is wrong with a node, by its cause. `docs/diagnosis.md` is made of this catalogue. */

/** `error`: something that was to work does not. `warning`: it works, and will not for ever, or not for all. */
export type Severity = 'error' | 'warning';

interface Entry {
  readonly severity: Severity;
  /** For people who look a code up. */
  readonly means: string;
}

const error = (means: string): Entry => ({ severity: 'error', means });
const warning = (means: string): Entry => ({ severity: 'warning', means });

export const CATALOGUE = {
  'agent-away': error('No agent runs for this node file.'),
  'not-root': error('The command that makes interfaces is not run as root.'),
  'kernel-old': error('The kernel is older than 4.18.'),
  'no-net-admin': error('The process lacks CAP_NET_ADMIN, without which no interface can be made.'),
  'no-tun': error('/dev/net/tun is missing, has no driver, or may not be opened.'),
  'port-taken': error("Another program has tincan's UDP port."),
  'run-dir': error('The run directory cannot be written.'),
  'state-full': warning('The disk of the state directory is full: a restart forgets what was learned since.'),
  'state-read-only': warning('The state directory is on a read-only file system.'),
  'state-unwritable': warning('The state directory cannot be written, for another reason that is named.'),
  clock: error("This machine's clock cannot be right."),
  'certificate-expired': error("The node's certificate has ended."),
  'certificate-soon': warning(
    "Less than a tenth of the certificate's life is left (14 days at most), and nobody has renewed it.",
  ),
  revoked: error("The node's certificate was revoked by the overlay's authority."),
  'address-duplicate': error("Another node has one of this node's addresses, by a newer certificate."),
  'identity-twin': error("Another agent runs with this node's keys."),
  'xmpp-dns': error('The DNS does not answer, so that a server cannot be found.'),
  'xmpp-name': error('The name of the XMPP server is not known to the DNS.'),
  'xmpp-unreachable': error('The XMPP server cannot be reached: nothing listens there, or packets do not arrive.'),
  'xmpp-untrusted': error(
    "The XMPP server's certificate is by an authority that the node file does not name, or is for another domain.",
  ),
  'xmpp-expired': error("The XMPP server's certificate has ended, or has not begun."),
  'xmpp-insecure': error('The XMPP server offers no TLS, or none that is safe.'),
  'xmpp-password': error("The XMPP server refuses the node's password."),
  'xmpp-refused': error('The XMPP server refuses the node for another reason that is named, or speaks no XMPP.'),
  'room-missing': error("The overlay's room is not on the XMPP server."),
  'not-a-member': error("The overlay's room does not let the node's account in."),
  'udp-blocked': error('No UDP comes back from any server, while TCP passes.'),
  'udp-refused-here': error("This machine's own firewall refuses to send UDP."),
  'turn-secret': error('The TURN server refuses the credentials that the XMPP server gives out.'),
  'turn-away': error('The TURN server does not answer, while its host does.'),
  'turn-name': error('The name of a STUN or TURN server cannot be resolved.'),
  'stun-away': warning('A STUN server does not answer, while other UDP passes.'),
  'turn-missing': warning(
    'The XMPP server names no TURN server: nodes without a direct path reach each other by other nodes only.',
  ),
  'stun-missing': warning('No STUN server is known: direct paths through NATs are not found.'),
  'tincan-away': error('tincan does not run: this node carries no frames.'),
  'tincan-silent': error('tincan runs and does not answer.'),
  'tincan-version': warning('agent and tincan are of different versions.'),
  'ovs-away': error('Open vSwitch does not answer.'),
  'ovs-problem': warning('Open vSwitch is not as it is to be, for a reason that is named.'),
  'address-conflict': error("A route of this machine meets the overlay's addresses: packets go one way or the other."),
  'route-problem': warning('A route to a prefix behind a node is missing.'),
  'firewall-problem': warning("The node's nftables table cannot be kept."),
  'peer-forwards-nothing': warning('A neighbour answers and passes nothing on; traffic goes round it.'),
  'path-narrow': warning('A way to a peer loses large packets (an MTU hole); it is not used.'),
  'path-one-way': warning(
    'UDP of a peer arrives here and ours does not arrive there, or the other way round: something between drops one direction.',
  ),
  'api-server-away': error("The cluster's API server does not answer."),
  'not-enrolled': error('The operator has not enrolled this node of a cluster yet.'),
  'enrolment-refused': error(
    'What the operator has enrolled this node with cannot be taken, for a reason that is named.',
  ),
  'prefix-missing': error('This node of a cluster has no prefix for pods, or its certificate does not carry one.'),
  'cni-plugin': error('The CNI plugin evio-cni is missing, and cannot be put into place.'),
  'cni-chained': warning('A CNI plugin that is to be chained is missing: pods lack what it does.'),
  'conflist-stale': error('The CNI configuration is an old one, or missing, and cannot be written.'),
  'conflist-other': error('Another CNI configuration comes before ours: pods get that network.'),
  'pool-full': error('No address for pods is left on this node.'),
  'xmpp-slow': warning(
    'The XMPP server takes less than 3 kB/s from a node: it throttles its clients, or is overloaded.',
  ),
  'turn-full': warning('The TURN server takes the credentials and gives no relay: a quota or its capacity is used up.'),
  'ring-incomplete': warning('A neighbour on the ring has had no tunnel for a while, and no other cause is known.'),
} as const satisfies Readonly<Record<string, Entry>>;

export type FindingCode = keyof typeof CATALOGUE;

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** One sentence: what is wrong, with which host, port or file. */
  readonly text: string;
  /** What a person does about it, one line. */
  readonly fix: string;
}

/** A finding, with the severity of its kind. */
export const finding = (code: FindingCode, text: string, fix: string): Finding => ({
  code,
  severity: CATALOGUE[code].severity,
  text,
  fix,
});

/** Errors first; within a severity in the order they were found in, which is from the cause to the effect. */
export function sorted(findings: readonly Finding[]): readonly Finding[] {
  return [...findings].sort((a, b) => Number(b.severity === 'error') - Number(a.severity === 'error'));
}
