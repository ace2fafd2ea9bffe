/** What is wrong with STUN, TURN and UDP as such. Pure. */
import { type Finding, finding } from './finding.ts';

/** How one server was found. */
export interface ServerFact {
  readonly kind: 'stun' | 'turn';
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly outcome: /** It answered; a TURN server took the credentials. */
    | { readonly kind: 'well'; readonly rttMs: number | null }
    /** A TURN server's error code, 401 for credentials that are wrong (RFC 8656 §18). */
    | { readonly kind: 'refused'; readonly code: number }
    /** It takes the credentials and gives no relay: 486, a quota, or 508, its capacity (RFC 8656 §18). */
    | { readonly kind: 'full'; readonly code: number }
    /** Nothing came, and this machine let the packets go. */
    | {
        readonly kind: 'silent';
        /** ICMP says that nothing listens at this port. */
        readonly closed: boolean;
        /** Another port of that host sent ICMP's "port unreachable": UDP passes to it and back. Undefined: not tried. */
        readonly hostReached: boolean | undefined;
      }
    /** The system does not send: `EPERM` is a local firewall, `ENETUNREACH` no route. */
    | { readonly kind: 'unsent'; readonly code: string }
    | { readonly kind: 'unresolved'; readonly code: string };
}

export interface RelayFacts {
  readonly servers: readonly ServerFact[];
  /** Where the servers come from: `xmpps://host:port`, and the node file. */
  readonly service: string;
  readonly file: string;
  /** TURN is wanted, and the XMPP server was asked. */
  readonly asked: boolean;
  readonly turnWanted: boolean;
  /** The XMPP server answers by TCP now. */
  readonly tcp: boolean;
  /** Other UDP is known to pass from outside this network: a direct path to a peer that is not on the LAN. */
  readonly udpElsewhere: boolean;
}

/** What only a server that was reached says. */
export const ANSWERS: ReadonlySet<ServerFact['outcome']['kind']> = new Set(['well', 'refused', 'full']);

const at = ({ host, port }: Pick<ServerFact, 'host' | 'port'>): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;
const named = (one: ServerFact): string => `${one.kind.toUpperCase()} server ${at(one)}`;
const list = (servers: readonly ServerFact[]): string => [...new Set(servers.map(at))].join(', ');

export function relayFindings(facts: RelayFacts): readonly Finding[] {
  const { servers, service, file, asked, turnWanted } = facts;
  const found: Finding[] = [];
  if (asked && turnWanted && !servers.some(({ kind }) => kind === 'turn'))
    found.push(
      finding(
        'turn-missing',
        `${service} names no TURN server (XEP-0215)`,
        'configure the XMPP server to name one: evio server init does',
      ),
    );
  if (asked && servers.length === 0)
    found.push(
      finding(
        'stun-missing',
        `no STUN server is known, of ${service} or in ice.stun of ${file}`,
        `name STUN servers in ice.stun of ${file}`,
      ),
    );
  found.push(...udpFindings(facts));
  for (const one of servers) {
    if (one.outcome.kind === 'refused') found.push(refused(one, one.outcome.code, service));
    if (one.outcome.kind === 'full') found.push(full(one, one.outcome.code));
    if (one.outcome.kind === 'unresolved')
      found.push(
        finding(
          'turn-name',
          `the name of the ${named(one)} cannot be resolved (${one.outcome.code})`,
          one.outcome.code === 'EAI_AGAIN'
            ? 'look at the name servers in /etc/resolv.conf'
            : `correct its name where ${service} has it, or in ice.stun of ${file}`,
        ),
      );
  }
  return found;
}

function refused(one: ServerFact, code: number, service: string): Finding {
  if (one.kind === 'stun')
    return finding('stun-away', `the ${named(one)} answers with error ${code}`, "look at that server's configuration");
  return finding(
    'turn-secret',
    `the ${named(one)} refuses the credentials that ${service} gives out (error ${code})`,
    'give both the same secret, as evio server init writes it for both, and restart them',
  );
}

function full(one: ServerFact, code: number): Finding {
  const [what, fix] =
    code === QUOTA
      ? ['the quota of relays of this node, or of all nodes, is used up', 'raise --node-quota or --total-quota']
      : ['its ports for relays are used up', 'give it more by --relay-ports'];
  return finding(
    'turn-full',
    `the ${named(one)} gives no relay (error ${code}: ${what})`,
    `${fix} (evio server init); relays that nobody uses end after ten minutes`,
  );
}

const QUOTA = 486;

/** Silence is one cause for all servers, or one server's own. */
function udpFindings({ servers, tcp, udpElsewhere }: RelayFacts): readonly Finding[] {
  const local = servers.filter(({ outcome }) => outcome.kind === 'unsent' && outcome.code === 'EPERM');
  if (local.length > 0)
    return [
      finding(
        'udp-refused-here',
        `this machine's own firewall refuses to send UDP to ${list(local)}`,
        'let UDP out in the output chain (nft list ruleset, iptables -S OUTPUT)',
      ),
    ];
  const silent = servers.filter(({ outcome }) => outcome.kind === 'silent' || outcome.kind === 'unsent');
  if (silent.length === 0) return [];
  const passes =
    udpElsewhere ||
    servers.some(({ outcome }) => ANSWERS.has(outcome.kind)) ||
    silent.some(({ outcome }) => outcome.kind === 'silent' && (outcome.closed || outcome.hostReached === true));
  if (!passes) {
    const but = tcp ? ', while TCP to the XMPP server passes' : '';
    return [
      finding(
        'udp-blocked',
        `UDP is blocked: nothing comes back from ${list(silent)}${but}`,
        `let UDP out to ${list(silent)} and its answers in, on the firewall of this machine, of its network or of the server`,
      ),
    ];
  }
  const turns = silent.filter(({ kind }) => kind === 'turn');
  const stuns = silent.filter((one) => one.kind === 'stun' && !turns.some((turn) => at(turn) === at(one)));
  return [...turns.map((one) => away('turn-away', one)), ...stuns.map((one) => away('stun-away', one))];
}

function away(code: 'turn-away' | 'stun-away', one: ServerFact): Finding {
  const { outcome } = one;
  const how =
    outcome.kind === 'silent' && outcome.closed
      ? 'nothing listens there'
      : outcome.kind === 'silent' && outcome.hostReached
        ? 'UDP reaches its host'
        : 'other UDP passes';
  return finding(
    code,
    `the ${named(one)} does not answer (${how})`,
    `start it (evio server run, or coturn); where it runs, let UDP port ${one.port} pass on its host, and its answers on the way back`,
  );
}
