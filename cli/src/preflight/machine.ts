/** This machine before an installation: what was seen to what it means. Pure. */

import { takenInstead } from '../../../agent/src/kube/conflist.ts';
import { type Obstacle, obstacleOf, type Surroundings } from '../../../agent/src/obstacle.ts';
import type { Holder } from '../udp-port.ts';
import { type Check, fail, pass, uncertain } from './check.ts';
import { meeting, type Route, routeText } from './routes.ts';

export interface PortFact {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
  /** What would listen there. */
  readonly use: string;
  /** Undefined: nobody has it. Without a pid: somebody whom this process may not look at. */
  readonly holder: Partial<Holder> | undefined;
}

export interface MachineFacts {
  readonly surroundings: Surroundings;
  /** Node.js's word: x64, arm64. */
  readonly architecture: string;
  /** Milliseconds since 1970. */
  readonly wallMs: number;
  /** Whether some time service says that the clock is right; undefined: nobody says anything. */
  readonly synchronized: boolean | undefined;
  readonly routes: readonly Route[];
  readonly cidrs: readonly string[];
  readonly ports: readonly PortFact[];
  /** By name as in sysctl(8); undefined: there is no such setting. */
  readonly sysctls: Readonly<Record<Sysctl, string | undefined>>;
  readonly nft: NftFact;
  /** Null: no runtime of Kubernetes was ever here. */
  readonly cni: CniFact | null;
}

export const SYSCTLS = [
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  'net.bridge.bridge-nf-filter-vlan-tagged',
] as const;
export type Sysctl = (typeof SYSCTLS)[number];

export type NftFact =
  | { readonly kind: 'missing' }
  /** One line of what it said. */
  | { readonly kind: 'fails'; readonly said: string }
  /** Chains at the hook `forward` whose policy is `drop`, as `table chain`. */
  | { readonly kind: 'works'; readonly dropping: readonly string[] };

export interface CniFact {
  readonly confDir: string;
  readonly binDir: string;
  /** Names of the files in confDir. */
  readonly configurations: readonly string[];
  /** Of the plugins that Evio chains, those that are not in binDir. */
  readonly missing: readonly string[];
}

export function machineChecks(facts: MachineFacts): readonly Check[] {
  return [
    kernel(facts.surroundings),
    architecture(facts.architecture),
    ...rights(facts.surroundings),
    clock(facts),
    ...facts.ports.map(portCheck),
    ...facts.cidrs.map((cidr) => cidrCheck(cidr, facts.routes)),
    ...forwarding(facts.sysctls),
    ...nft(facts.nft),
    ...(facts.cni === null ? [] : cni(facts.cni)),
  ];
}

/** What an agent would say of it, one thing at a time: the others as if they were well. */
const saysOf = (seen: Partial<Surroundings>): Obstacle | undefined =>
  obstacleOf({ euid: 0, capabilities: ~0n, tunError: undefined, release: '6.1.0', ...seen });

/** "what: what to do" as obstacles are written. */
function failOf(name: string, { text }: Obstacle): Check {
  const [, what = text, fix = 'see docs/operations.md'] = /^(.*?): (.*)$/.exec(text) ?? [];
  return fail(name, what, fix);
}

function kernel({ release }: Surroundings): Check {
  const wrong = saysOf({ release });
  return wrong === undefined ? pass('kernel', `Linux ${release}`) : failOf('kernel', wrong);
}

function architecture(name: string): Check {
  if (name === 'x64' || name === 'arm64') return pass('architecture', name === 'x64' ? 'amd64' : 'arm64');
  return fail(
    'architecture',
    `${name}: there is no agent for it`,
    'use a machine that is amd64 or arm64; for armhf there is the datapath only',
  );
}

function rights({ euid, capabilities, tunError }: Surroundings): readonly Check[] {
  if (euid !== 0) {
    const fix = 'run evio preflight as root (sudo), as the agent will run';
    const what = 'this command does not run as root, so it cannot tell';
    return [uncertain('net-admin', what, fix), tun(tunError, `${what}: /dev/net/tun`, fix)];
  }
  const admin = saysOf({ capabilities });
  return [
    admin === undefined ? pass('net-admin', 'root with CAP_NET_ADMIN') : failOf('net-admin', admin),
    tun(tunError, undefined, ''),
  ];
}

/** `otherwise`: what a refusal means to who has no rights. */
function tun(tunError: string | undefined, otherwise: string | undefined, fix: string): Check {
  if (tunError === undefined) return pass('tun', '/dev/net/tun opens');
  if (otherwise !== undefined && (tunError === 'EACCES' || tunError === 'EPERM'))
    return uncertain('tun', otherwise, fix);
  return failOf('tun', saysOf({ tunError }) as Obstacle);
}

/** A board without a real-time clock starts in 1970, or when its image was made. */
const CLOCK_FLOOR_MS = Date.UTC(2026, 0, 1);
const CLOCK_CEILING_MS = Date.UTC(2100, 0, 1);

function clock({ wallMs, synchronized }: MachineFacts): Check {
  const now = new Date(wallMs).toISOString().replace(/\.\d+/, '');
  const set = 'set it, and let systemd-timesyncd or chrony keep it';
  if (wallMs < CLOCK_FLOOR_MS || wallMs > CLOCK_CEILING_MS)
    return fail('clock', `it is ${now} here, which cannot be`, set);
  if (synchronized === true) return pass('clock', `${now}, synchronized`);
  if (synchronized === false) return uncertain('clock', `it is ${now} here, and no time server has confirmed it`, set);
  return uncertain(
    'clock',
    `it is ${now} here; no time service that could be asked keeps it`,
    'compare it with another clock; certificates stand minutes, not days',
  );
}

function portCheck({ protocol, port, use, holder }: PortFact): Check {
  const name = `port-${protocol.toLowerCase()}-${port}`;
  if (holder === undefined) return pass(name, `${protocol} ${port} is free (${use})`);
  if (holder.name === 'tincan') return pass(name, `${protocol} ${port} is a running tincan's (pid ${holder.pid})`);
  const by = holder.pid === undefined ? '' : ` by ${holder.name} (pid ${holder.pid})`;
  return fail(name, `${protocol} ${port} is taken${by} (${use})`, 'end that program, or choose another port');
}

function cidrCheck(cidr: string, routes: readonly Route[]): Check {
  const route = meeting(cidr, routes);
  if (route === undefined) return pass('cidr', `${cidr} meets no route of this machine`);
  return fail(
    'cidr',
    `${cidr} meets the route ${routeText(route)} of this machine`,
    'choose another network for the overlay (--subnet4, nodeCIDRs, podCIDRs), or take that route away',
  );
}

function forwarding(sysctls: MachineFacts['sysctls']): readonly Check[] {
  const families = [
    ['IPv4', 'net.ipv4.ip_forward'],
    ['IPv6', 'net.ipv6.conf.all.forwarding'],
  ] as const;
  const tagged = 'net.bridge.bridge-nf-filter-vlan-tagged';
  return [
    ...families.flatMap(([family, name]) => {
      const value = sysctls[name];
      if (value === undefined) return [];
      const check = `forwarding-${family.toLowerCase()}`;
      if (value !== '0') return [pass(check, `${name} is ${value}`)];
      return [
        uncertain(
          check,
          `${name} is 0: this machine forwards no ${family}; evio-cni turns it on for pods, networks behind a node (--route) need it`,
          `where others than pods are behind it: sysctl -w ${name}=1`,
        ),
      ];
    }),
    sysctls[tagged] === '1'
      ? fail('bridge-vlan', `${tagged} is 1: NAT to other nodes would end in the bridge`, `sysctl -w ${tagged}=0`)
      : pass('bridge-vlan', `${tagged} is ${sysctls[tagged] ?? 'not there'}`),
  ];
}

function nft(fact: NftFact): readonly Check[] {
  if (fact.kind === 'missing')
    return [
      uncertain(
        'nftables',
        'the program nft is not in PATH; prefixes behind nodes are guarded by it (a cluster brings its own)',
        'outside a cluster: apt-get install nftables',
      ),
    ];
  if (fact.kind === 'fails')
    return [
      fail(
        'nftables',
        `nft does not work here: ${fact.said}`,
        'run this as root, with a kernel that has nf_tables (modprobe nf_tables)',
      ),
    ];
  const works = pass('nftables', 'nft works');
  if (fact.dropping.length === 0)
    return [works, pass('forward-policy', 'no chain drops what is forwarded by its policy')];
  return [
    works,
    uncertain(
      'forward-policy',
      `what is forwarded is dropped unless it is accepted, by the policy of ${fact.dropping.join(', ')}`,
      'accept what comes and goes by evio0 there, where pods or networks are behind this machine',
    ),
  ];
}

function cni({ confDir, binDir, configurations, missing }: CniFact): readonly Check[] {
  const others = configurations.filter((name) => /\.(conf|conflist|json)$/.test(name) && !/^10-evio\./.test(name));
  const before = takenInstead(configurations);
  const only = 'of no matter with mode HostNetwork';
  const mode =
    before !== undefined
      ? fail(
          'cni',
          `${confDir}/${before} comes before 10-evio.conflist, so that a runtime would take it`,
          `remove that plugin before Evio is the network of pods; ${only}`,
        )
      : others.length > 0
        ? uncertain(
            'cni',
            `another plugin is configured: ${others.map((name) => `${confDir}/${name}`).join(', ')}`,
            `pods that it has made lose their network when Evio takes its place (PodNetwork); ${only}`,
          )
        : pass('cni', `no other plugin is configured in ${confDir}`);
  return [
    mode,
    missing.length === 0
      ? pass('cni-plugins', `portmap and bandwidth are in ${binDir}`)
      : uncertain(
          'cni-plugins',
          `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not in ${binDir}: pods have no ${missing.map((name) => (name === 'portmap' ? 'hostPort' : 'bandwidth limits')).join(' and no ')}`,
          'apt-get install containernetworking-plugins, or see your distribution',
        ),
  ];
}
