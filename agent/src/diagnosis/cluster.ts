/** What is wrong with a node as part of a cluster: its API server, its enrolment, its CNI plugin, its addresses for pods. Pure. */
import { type Finding, finding } from './finding.ts';

export interface ClusterFacts {
  /** Of the Node and of its EvioNode. */
  readonly node: string;
  /** Of this run of the agent. */
  readonly uptimeMs: number;
  /** Why the API server does not answer; undefined: it does, or it was not asked yet. */
  readonly away: { readonly server: string; readonly why: string; readonly sinceMs: number } | undefined;
  /** How the enrolment stands; undefined: it is taken. */
  readonly standing: { readonly kind: 'awaiting' | 'refused'; readonly message: string } | undefined;
  /** The EvioNode as it was seen last. */
  readonly object: { readonly seen: boolean; readonly podCIDRs: readonly string[] };
  /** Pieces that the node's pods have addresses of; undefined: not enrolled, or pods have another network. */
  readonly subnets: readonly string[] | undefined;
  /** What keeps pods from starting, or from having what they are to have. */
  readonly cni: readonly CniProblem[];
  readonly pools: readonly Pool[];
}

/** One line each, which names the file. */
export interface CniProblem {
  /** `plugin`: evio-cni itself; `chained`: one of the CNI project's; `conflist`: ours; `other`: one that a runtime takes instead. */
  readonly kind: 'plugin' | 'chained' | 'conflist' | 'other';
  readonly text: string;
}

export interface Pool {
  readonly subnet: string;
  readonly used: number;
  readonly free: number;
  /** Where a file stands for each address. */
  readonly store: string;
}

/** An operator answers within this. */
const ENROL_MS = 10_000;

export function clusterFindings(facts: ClusterFacts): readonly Finding[] {
  const { node, away, cni, pools, subnets } = facts;
  const found: Finding[] = [];
  if (away !== undefined)
    found.push(
      finding(
        'api-server-away',
        `the API server ${away.server} has not answered for ${Math.round(away.sinceMs / 1000)} s (${away.why}); ${subnets === undefined ? 'the node waits for it' : 'the node goes on with what it knows'}`,
        `see whether kube-apiserver runs there and a firewall lets TCP pass; where it has another address, give the agents that (apiServers of the chart)`,
      ),
    );
  found.push(...enrolment(facts));
  const given = facts.object.podCIDRs.filter((piece) => subnets !== undefined && !subnets.includes(piece));
  if (given.length > 0)
    found.push(
      finding(
        'prefix-missing',
        `pods of this node have no addresses of ${given.join(', ')}: EvioNode ${node} has that, and the certificate of its enrolment has not`,
        `see the operator's log for ${node}; kubectl delete evionode ${node} has it enrolled anew, with other pieces`,
      ),
    );
  found.push(...cni.map(cniFinding));
  for (const { subnet, used, free, store } of pools)
    if (free === 0)
      found.push(
        finding(
          'pool-full',
          `no address is left in ${subnet}: ${used} are taken, by ${store}; no more pods start on this node`,
          'delete pods, or move them to other nodes; evio ipam check tells whether addresses of pods that are gone are among them',
        ),
      );
  return found;
}

function enrolment({ node, standing, object, away, uptimeMs }: ClusterFacts): readonly Finding[] {
  if (standing?.kind === 'refused')
    return [finding('enrolment-refused', standing.message, `see kubectl describe evionode ${node}`)];
  // Without an answer nothing is known of it, and a start takes its time.
  if (standing === undefined || away !== undefined || uptimeMs < ENROL_MS) return [];
  if (!object.seen)
    return [
      finding(
        'prefix-missing',
        `there is no EvioNode ${node}: the operator has given this node no address and no prefix for pods`,
        'see the condition AddressPoolReady (kubectl describe evionetwork default), whether its nodeSelector selects this Node, and whether the operator runs',
      ),
    ];
  return [
    finding(
      'not-enrolled',
      `${standing.message} (EvioNode ${node})`,
      'see whether the operator runs (kubectl -n evio-system get pods), and its log',
    ),
  ];
}

function cniFinding({ kind, text }: CniProblem): Finding {
  switch (kind) {
    case 'plugin':
      return finding(
        'cni-plugin',
        `the CNI plugin is not in place, so that no pod starts on this node: ${text}`,
        'make that directory writable for the agent, and the image whole (kubectl delete pod of evio-agent there)',
      );
    case 'chained':
      return finding('cni-chained', text, 'install it there: Debian has it in containernetworking-plugins');
    case 'conflist':
      return finding(
        'conflist-stale',
        `the CNI configuration is not as it is to be: ${text}`,
        'make that directory writable for the agent; until then pods get what stands there',
      );
    case 'other':
      return finding(
        'conflist-other',
        text,
        'remove that file, which another network has left behind, and delete the pods it has been given to',
      );
  }
}
