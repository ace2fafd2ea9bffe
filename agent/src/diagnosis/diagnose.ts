/** From what an agent knows to what is wrong, by its cause. Pure: the same for `evio status` and for an EvioNode's conditions. */
import type { NetworkProblem } from '../api.ts';
import { type Finding, finding, sorted } from './finding.ts';
import { type IdentityFacts, identityFindings } from './identity.ts';
import { type RelayFacts, relayFindings } from './relays.ts';
import { type Account, type SignallingFailure, signallingFinding } from './signalling.ts';

export interface Facts {
  /** Of this run of the agent. */
  readonly uptimeMs: number;
  readonly identity: IdentityFacts;
  readonly signalling: {
    readonly account: Account;
    readonly online: boolean;
    /** How the last attempt or session ended. */
    readonly failure: SignallingFailure | null;
  };
  readonly relays: RelayFacts;
  readonly tincan: {
    /** Its version; undefined: none runs, or it is not configured. */
    readonly version: string | undefined;
    readonly agentVersion: string;
    /** It carried frames in this run of the agent. */
    readonly wasUp: boolean;
    /** What kept it from running the last time, one line. */
    readonly problem: string | undefined;
    readonly log: string;
    /** Its process, where it runs and does not answer. */
    readonly silentPid: number | undefined;
  };
  /** Undefined: tincan's own switch is at the edge. */
  readonly ovs:
    | {
        readonly socket: string;
        readonly databaseConnected: boolean;
        readonly bridge: string;
        readonly bridgeConnected: boolean;
        readonly problems: readonly string[];
      }
    | undefined;
  readonly network: readonly NetworkProblem[];
  /** Directories of the node that cannot be written, with the system's code. */
  readonly places: readonly PlaceProblem[];
  /** Names of neighbours that answer and pass nothing on. */
  readonly holes: readonly string[];
  /** Ways that lose large packets. */
  readonly narrow: readonly { readonly name: string; readonly remote: string; readonly bytes: number }[];
  /** Ways by which a peer is heard that does not hear us there. */
  readonly oneWay: readonly { readonly name: string; readonly remote: string }[];
  readonly ring: {
    /** Milliseconds since it was last complete; 0: it is. */
    readonly incompleteMs: number;
    /** Names of wanted neighbours on the ring without a tunnel. */
    readonly missing: readonly string[];
  };
}

export interface PlaceProblem {
  readonly dir: string;
  readonly what: 'state' | 'run';
  /** `ENOSPC`, `EROFS`, `EACCES`, ... */
  readonly code: string;
}

/** tincan and Open vSwitch come within this; before, nothing is missing. */
const START_MS = 6_000;
/** A neighbour that went is replaced within this. */
const RING_MS = 15_000;

export function diagnose(facts: Facts): readonly Finding[] {
  const { signalling, relays, network, places } = facts;
  const found: Finding[] = [
    ...places.map(placeFinding),
    ...identityFindings(facts.identity),
    ...(signalling.online || signalling.failure === null
      ? []
      : [signallingFinding(signalling.failure, signalling.account)]),
    ...relayFindings(relays),
    ...datapath(facts),
    ...network.map(networkFinding),
    ...neighbours(facts),
  ];
  const { incompleteMs, missing } = facts.ring;
  // The symptom is told where no cause is.
  if (incompleteMs >= RING_MS && !found.some(({ severity }) => severity === 'error'))
    found.push(
      finding(
        'ring-incomplete',
        `there has been no tunnel to ${missing.slice(0, 8).join(', ') || 'a neighbour on the ring'} for ${Math.round(incompleteMs / 1000)} s`,
        'look whether that node runs (evio status there), and at UDP between the two (evio netcheck at both)',
      ),
    );
  return sorted(found);
}

export function placeFinding({ dir, what, code }: PlaceProblem): Finding {
  const name = what === 'state' ? 'state directory' : 'run directory';
  if (what === 'run')
    return finding(
      'run-dir',
      `the ${name} ${dir} cannot be written (${code})`,
      'make it writable for root, or set another runDir in the node file',
    );
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return finding('state-full', `the disk of the ${name} ${dir} is full`, `make room on it (df -h ${dir})`);
    case 'EROFS':
      return finding(
        'state-read-only',
        `the ${name} ${dir} is on a read-only file system`,
        `mount it writable, or set stateDir in the node file to a place that is (findmnt -T ${dir})`,
      );
    default:
      return finding(
        'state-unwritable',
        `the ${name} ${dir} cannot be written (${code})`,
        'make it a directory that root can write',
      );
  }
}

function datapath({ uptimeMs, tincan, ovs }: Facts): readonly Finding[] {
  const found: Finding[] = [];
  const started = tincan.wasUp || uptimeMs >= START_MS;
  if (ovs !== undefined && started && !(ovs.databaseConnected && ovs.bridgeConnected))
    found.push(
      finding(
        'ovs-away',
        ovs.databaseConnected
          ? `ovs-vswitchd does not answer for the bridge ${ovs.bridge}`
          : `Open vSwitch's database does not answer at ${ovs.socket}`,
        'start Open vSwitch (systemctl start openvswitch-switch); its run directory is ovs.runDir of the node file',
      ),
    );
  else if (ovs !== undefined)
    for (const problem of ovs.problems)
      found.push(finding('ovs-problem', problem, "look at ovs-vsctl show and at Open vSwitch's log"));
  if (tincan.version === undefined) {
    // Without a bridge it is not configured, and that was said.
    if (started && found.length === 0)
      found.push(
        finding(
          'tincan-away',
          `tincan does not run: this node carries no frames${tincan.problem === undefined ? '' : ` (${tincan.problem})`}`,
          `the agent starts it again by itself; when that does not help, see ${tincan.log}`,
        ),
      );
  } else if (tincan.silentPid !== undefined)
    found.push(
      finding(
        'tincan-silent',
        `tincan (pid ${tincan.silentPid}) runs and does not answer`,
        `see what it waits for (ps -o stat,wchan ${tincan.silentPid}); kill -9 ${tincan.silentPid} has another one started`,
      ),
    );
  else if (tincan.version !== tincan.agentVersion)
    found.push(
      finding(
        'tincan-version',
        `tincan ${tincan.version} and agent ${tincan.agentVersion} differ`,
        'exchange tincan (evio agent upgrade; in a cluster, delete its pod), which stops traffic for about a second',
      ),
    );
  return found;
}

function networkFinding({ kind, text }: NetworkProblem): Finding {
  if (kind === 'address-conflict')
    return finding(
      'address-conflict',
      text,
      'take the route away, or give the overlay other addresses (--subnet4, --route)',
    );
  if (kind === 'firewall')
    return finding('firewall-problem', text, 'pods reach nothing outside the overlay until it is put right');
  return finding('route-problem', text, 'see ip route, and what else on this machine sets routes');
}

function neighbours({ holes, narrow, oneWay }: Facts): readonly Finding[] {
  return [
    ...holes.map((name) =>
      finding(
        'peer-forwards-nothing',
        `${name} answers and passes nothing on: traffic for others goes round it`,
        `restart tincan on ${name} (evio agent upgrade there)`,
      ),
    ),
    ...narrow.map(({ name, remote, bytes }) =>
      finding(
        'path-narrow',
        `the way to ${name} (${remote}) carries no packets of ${bytes} bytes`,
        'raise the MTU of the network between to 1280 at least, or let ICMP "too big" pass',
      ),
    ),
    ...oneWay.map(({ name, remote }) =>
      finding(
        'path-one-way',
        `UDP from this node to ${name} (${remote}) is dropped, while what ${name} sends from there arrives here`,
        `let UDP pass to ${remote}: out of this network, or in at the firewall of ${name}`,
      ),
    ),
  ];
}
