/** A cluster before an installation, as its API server shows it: what was seen to what it means. Pure. */
import { contains, parsePrefix } from '../../../agent/src/wire/address.ts';
import type { Check } from './check.ts';
import { fail, pass, uncertain } from './check.ts';
import { cidrsMeet } from './routes.ts';

/** The chart's kubeVersion. */
const MIN_VERSION = [1, 32] as const;
const ARCHITECTURES: ReadonlySet<string> = new Set(['amd64', 'arm64']);
const MIN_KERNEL = [4, 18] as const;
/** More than this and something is wrong; certificates bear less than a day. */
const CLOCK_OFF_MS = 10 * 60_000;
/** Network plugins by the name of their DaemonSet. */
const PLUGINS: readonly (readonly [RegExp, string])[] = [
  [/^kube-flannel/, 'Flannel'],
  [/^calico-node$/, 'Calico'],
  [/^cilium$/, 'Cilium'],
  [/^(canal)$/, 'Canal'],
  [/^weave-net$/, 'Weave Net'],
  [/^antrea-agent$/, 'Antrea'],
  [/^kube-router$/, 'kube-router'],
  [/^kube-ovn-cni$/, 'Kube-OVN'],
  [/^ovnkube-node$/, 'OVN-Kubernetes'],
  [/^kindnet$/, 'kindnet'],
  [/^aws-node$/, 'the AWS VPC CNI'],
  [/^azure-cni|^azure-ip-masq-agent$/, "Azure's CNI"],
];

export interface NodeFact {
  readonly name: string;
  readonly os: string;
  readonly architecture: string;
  readonly kernel: string;
  readonly addresses: readonly string[];
}

export interface ClusterFacts {
  readonly server: string;
  /** As /version has it: "v1.34.2". */
  readonly version: string;
  readonly nodes: readonly NodeFact[];
  readonly daemonSets: readonly { readonly namespace: string; readonly name: string }[];
  /** Networks of Services; empty: not known. */
  readonly serviceCIDRs: readonly string[];
  /** Of the EvioNetwork that is there, or its defaults. */
  readonly wanted: {
    readonly there: boolean;
    readonly mode: string;
    readonly nodeCIDRs: readonly string[];
    readonly podCIDRs: readonly string[];
  };
  /** Verbs on resources that an installation needs and that you may not; null: it cannot be told. */
  readonly refused: readonly string[] | null;
  readonly namespace: {
    readonly name: string /** Pod Security's level; null: none is enforced there. */;
    readonly level: string | null;
  };
  /** When each node's kubelet last wrote its Lease, and when that was asked for; milliseconds since 1970. */
  readonly leases: readonly { readonly node: string; readonly renewedMs: number }[];
  readonly askedMs: number;
}

export function clusterChecks(facts: ClusterFacts): readonly Check[] {
  return [
    version(facts.version),
    ...nodes(facts.nodes),
    rights(facts.refused),
    podSecurity(facts.namespace),
    plugin(facts),
    ...addresses(facts),
    services(facts),
    clocks(facts),
    facts.wanted.there
      ? uncertain(
          'installed',
          'there is an EvioNetwork already',
          'this is for before an installation; afterwards: kubectl describe evionetwork',
        )
      : pass('installed', 'there is no EvioNetwork yet'),
  ];
}

const atLeast = (text: string, [major, minor]: readonly [number, number]): boolean | undefined => {
  const [, a, b] = /^v?(\d+)\.(\d+)/.exec(text) ?? [];
  if (a === undefined || b === undefined) return undefined;
  return Number(a) > major || (Number(a) === major && Number(b) >= minor);
};

function version(text: string): Check {
  if (atLeast(text, MIN_VERSION) === true) return pass('kubernetes', `Kubernetes ${text}`);
  return fail(
    'kubernetes',
    `Kubernetes ${text}, and ${MIN_VERSION.join('.')} is the oldest that will do`,
    'upgrade the cluster',
  );
}

const SHOWN = 5;
const listed = (names: readonly string[]): string =>
  names.length <= SHOWN ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`;

function nodes(all: readonly NodeFact[]): readonly Check[] {
  if (all.length === 0) return [fail('nodes', 'the cluster has no node', 'join a machine to it first')];
  const linux = all.filter(({ os }) => os === 'linux');
  const other = all.filter(({ os }) => os !== 'linux').map(({ name }) => name);
  const foreign = linux.filter(({ architecture }) => !ARCHITECTURES.has(architecture));
  const old = linux.filter(({ kernel }) => atLeast(kernel, MIN_KERNEL) === false);
  return [
    other.length === 0
      ? pass('nodes', `${all.length} ${all.length === 1 ? 'node' : 'nodes'}, all with Linux`)
      : uncertain(
          'nodes',
          `not with Linux: ${listed(other)}`,
          'they have no agent: leave them out by spec.nodeSelector',
        ),
    foreign.length === 0
      ? pass('architecture', 'all are amd64 or arm64')
      : fail(
          'architecture',
          `there is no agent for ${listed(foreign.map(({ name, architecture }) => `${name} (${architecture})`))}`,
          'leave them out by spec.nodeSelector',
        ),
    old.length === 0
      ? pass('kernel', `all kernels are ${MIN_KERNEL.join('.')} or later`)
      : fail(
          'kernel',
          `too old: ${listed(old.map(({ name, kernel }) => `${name} (Linux ${kernel})`))}`,
          'upgrade them',
        ),
  ];
}

function rights(refused: readonly string[] | null): Check {
  if (refused === null)
    return uncertain('rights', 'the API server does not say what you may', 'install as a cluster administrator');
  if (refused.length === 0) return pass('rights', 'you may make all that an installation makes');
  return fail('rights', `you may not ${refused.join(', ')}`, 'install as a cluster administrator');
}

function podSecurity({ name, level }: ClusterFacts['namespace']): Check {
  if (level === null || level === 'privileged')
    return pass('pod-security', `namespace ${name} lets in pods with rights on their node, as far as labels say`);
  return fail(
    'pod-security',
    `namespace ${name} enforces "${level}", which refuses agents and tincan`,
    `kubectl label --overwrite namespace ${name} pod-security.kubernetes.io/enforce=privileged`,
  );
}

function plugin({ daemonSets, wanted }: ClusterFacts): Check {
  const found = daemonSets.flatMap(({ namespace, name }) =>
    PLUGINS.flatMap(([pattern, title]) => (pattern.test(name) ? [`${title} (DaemonSet ${namespace}/${name})`] : [])),
  );
  if (found.length === 0) return pass('cni', 'no DaemonSet of another network plugin is known here');
  const who = found.join(', ');
  if (wanted.there && wanted.mode === 'HostNetwork') return pass('cni', `${who} runs over HostNetwork`);
  return uncertain(
    'cni',
    `${who} is the network of pods`,
    'install with network.mode=HostNetwork to have it run over Evio (docs/flannel.md), or remove it and start its pods anew',
  );
}

function addresses({ nodes, wanted }: ClusterFacts): readonly Check[] {
  const networks = [...wanted.nodeCIDRs, ...(wanted.mode === 'HostNetwork' ? [] : wanted.podCIDRs)];
  return networks.map((cidr) => {
    // Once Evio is there InternalIP is the overlay's own address.
    const inside = wanted.there
      ? []
      : nodes.filter((node) => node.addresses.some((address) => contains(parsePrefix(cidr), address)));
    if (inside.length === 0) return pass('cidr', `no node has an address of ${cidr}`);
    return fail(
      'cidr',
      `addresses of ${listed(inside.map(({ name }) => name))} are within ${cidr}`,
      'choose other nodeCIDRs and podCIDRs for the EvioNetwork',
    );
  });
}

function services({ serviceCIDRs, wanted }: ClusterFacts): Check {
  const ours = [...wanted.nodeCIDRs, ...(wanted.mode === 'HostNetwork' ? [] : wanted.podCIDRs)];
  const both = serviceCIDRs.flatMap((theirs) =>
    ours.flatMap((cidr) => (cidrsMeet(theirs, cidr) ? [`${theirs} and ${cidr}`] : [])),
  );
  if (serviceCIDRs.length === 0)
    return uncertain(
      'service-cidr',
      'the network of Services is not known',
      'compare --service-cluster-ip-range with nodeCIDRs and podCIDRs',
    );
  if (both.length === 0)
    return pass('service-cidr', `Services (${serviceCIDRs.join(', ')}) meet neither nodes nor pods`);
  return fail(
    'service-cidr',
    `Services and the overlay meet: ${both.join('; ')}`,
    'choose other nodeCIDRs or podCIDRs',
  );
}

function clocks({ leases, askedMs }: ClusterFacts): Check {
  // A Lease of the past may be of a node that is away: only what comes from the future tells.
  const ahead = leases.filter(({ renewedMs }) => renewedMs - askedMs > CLOCK_OFF_MS);
  if (leases.length === 0)
    return uncertain('clock', 'no node has a Lease by which its clock could be told', 'compare them by hand');
  const minutes = (ms: number): string => `${Math.round(ms / 60_000)} minutes`;
  if (ahead.length === leases.length)
    return fail(
      'clock',
      `this machine's clock is ${minutes(Math.min(...ahead.map(({ renewedMs }) => renewedMs - askedMs)))} behind that of all nodes`,
      'set it',
    );
  if (ahead.length === 0) return pass('clock', 'no node has a clock that is ahead of this machine by minutes');
  return fail(
    'clock',
    `ahead of this machine: ${listed(ahead.map(({ node, renewedMs }) => `${node} by ${minutes(renewedMs - askedMs)}`))}`,
    'set their clocks, and let systemd-timesyncd or chrony keep them',
  );
}
