/**
 * A small internet of network namespaces: a router, a server host with two addresses, four NATs and a carrier's, seven nodes.
 * No link leads to the machine's own network, so nothing here reaches or is reached from outside.
 *
 *      server .10 .11   cloud1      cloud2
 *              \           |          /
 *               +------- inet -------+
 *              /     |         |      \
 *       nat-home1 nat-home2   cgn   nat-office1
 *        |    |      |         |        |
 *     home1 desk1  home2   nat-lte1  office1
 *                              |
 *                            lte1
 */
import { attempt, feed, PREFIX, pidsIn, run, sleep } from './shell.ts';

/** How a node is attached, and what its NAT does, in RFC 4787's terms. */
export type Attachment = 'public' | 'port-preserving' | 'random-port';

export interface DemoNode {
  readonly name: string;
  readonly attachment: Attachment;
  /** Its own underlay address. */
  readonly address: string;
  /** The address the internet sees. */
  readonly outside: string;
  readonly gateway: string;
  readonly prefix: number;
}

export const SERVER = { name: 'server', addresses: ['203.0.113.10', '203.0.113.11'], gateway: '203.0.113.9' } as const;

export const NODES: readonly DemoNode[] = [
  {
    name: 'cloud1',
    attachment: 'public',
    address: '198.51.100.6',
    outside: '198.51.100.6',
    gateway: '198.51.100.5',
    prefix: 30,
  },
  {
    name: 'cloud2',
    attachment: 'public',
    address: '198.51.100.10',
    outside: '198.51.100.10',
    gateway: '198.51.100.9',
    prefix: 30,
  },
  {
    name: 'home1',
    attachment: 'port-preserving',
    address: '192.168.1.10',
    outside: '192.0.2.6',
    gateway: '192.168.1.1',
    prefix: 24,
  },
  // The same private address on purpose: a candidate of home1 is a stranger in home2's network.
  {
    name: 'home2',
    attachment: 'port-preserving',
    address: '192.168.1.10',
    outside: '192.0.2.10',
    gateway: '192.168.1.1',
    prefix: 24,
  },
  {
    name: 'desk1',
    attachment: 'port-preserving',
    address: '192.168.1.20',
    outside: '192.0.2.6',
    gateway: '192.168.1.1',
    prefix: 24,
  },
  {
    name: 'lte1',
    attachment: 'random-port',
    address: '10.64.7.2',
    outside: '192.0.2.14',
    gateway: '10.64.7.1',
    prefix: 24,
  },
  {
    name: 'office1',
    attachment: 'random-port',
    address: '10.20.0.30',
    outside: '192.0.2.18',
    gateway: '10.20.0.1',
    prefix: 24,
  },
];

const NATS = ['nat-home1', 'nat-home2', 'cgn', 'nat-lte1', 'nat-office1'] as const;
export const NAMESPACES: readonly string[] = ['inet', 'server', ...NATS, ...NODES.map((node) => node.name)];

/** A foreign host, plugged into a node's bridge for the floods. */
export const POD = 'pod';

/** Two namespaces with one veth between them, beside the internet: what this machine can do without us. */
export const YARDSTICK = ['plain-a', 'plain-b'] as const;

export async function addNamespace(name: string): Promise<void> {
  await run(undefined, 'ip', 'netns', 'add', PREFIX + name);
  await run(name, 'ip', 'link', 'set', 'lo', 'up');
  await run(
    name,
    'sysctl',
    '-qw',
    'net.ipv4.conf.all.rp_filter=0',
    'net.ipv4.conf.default.rp_filter=0',
    'net.ipv4.ping_group_range=0 2147483647',
  );
}

export interface End {
  readonly ns: string;
  readonly link: string;
  readonly address?: string;
}

export async function cable(a: End, b: End): Promise<void> {
  await run(
    undefined,
    'ip',
    'link',
    'add',
    a.link,
    'netns',
    PREFIX + a.ns,
    'type',
    'veth',
    'peer',
    'name',
    b.link,
    'netns',
    PREFIX + b.ns,
  );
  for (const end of [a, b]) {
    if (end.address !== undefined) await run(end.ns, 'ip', 'address', 'add', end.address, 'dev', end.link);
    await run(end.ns, 'ip', 'link', 'set', end.link, 'up');
  }
}

export const defaultRoute = (ns: string, via: string): Promise<string> =>
  run(ns, 'ip', 'route', 'add', 'default', 'via', via);

/**
 * A NAT that drops what nobody asked for, as home routers and carriers do. Dropping in INPUT matters as much as in FORWARD:
 * an accepted stray packet would leave a conntrack entry on the very ports a node behind is about to use, and its own
 * packet would be remapped.
 */
export async function natRules(ns: string, mapping: 'port-preserving' | 'random-port'): Promise<void> {
  await run(ns, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  await feed(
    ns,
    `table ip evio_nat {
  chain postrouting { type nat hook postrouting priority srcnat; oifname "wan" masquerade${mapping === 'random-port' ? ' fully-random' : ''}; }
  chain forward { type filter hook forward priority filter; policy accept; iifname "wan" ct state established,related accept; iifname "wan" drop; }
  chain input { type filter hook input priority filter; policy accept; iifname "wan" ct state established,related accept; iifname "wan" drop; }
}`,
    'nft',
    '-f',
    '-',
  );
}

/** The router forwards, and the server host is connected to it. */
export async function serverHost(): Promise<void> {
  await run('inet', 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  await cable(
    { ns: 'inet', link: 'to-server', address: `${SERVER.gateway}/29` },
    { ns: SERVER.name, link: 'eth0', address: `${SERVER.addresses[0]}/29` },
  );
  await run(SERVER.name, 'ip', 'address', 'add', `${SERVER.addresses[1]}/29`, 'dev', 'eth0');
  await defaultRoute(SERVER.name, SERVER.gateway);
}

/** Behind a NAT a switch with hosts of one LAN, which all have the NAT as their gateway. */
export async function switchedLan(nat: string, hosts: readonly DemoNode[]): Promise<void> {
  await run(nat, 'ip', 'link', 'add', 'lan', 'type', 'bridge');
  // And no router: with br_netfilter loaded its frames would go through the NAT's rules. Without it there is no such switch.
  await attempt(nat, ['sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0']);
  for (const address of new Set(hosts.map(({ gateway, prefix }) => `${gateway}/${prefix}`)))
    await run(nat, 'ip', 'address', 'add', address, 'dev', 'lan');
  await run(nat, 'ip', 'link', 'set', 'lan', 'up');
  for (const { name, address, prefix, gateway } of hosts) {
    await cable({ ns: nat, link: `to-${name}` }, { ns: name, link: 'eth0', address: `${address}/${prefix}` });
    await run(nat, 'ip', 'link', 'set', `to-${name}`, 'master', 'lan');
    await defaultRoute(name, gateway);
  }
}

/** Builds everything; `takeDown` undoes it, also half built. */
export async function build(): Promise<void> {
  for (const name of [...NAMESPACES, ...YARDSTICK]) await addNamespace(name);
  await serverHost();

  await cable(
    { ns: 'inet', link: 'to-cloud1', address: '198.51.100.5/30' },
    { ns: 'cloud1', link: 'eth0', address: '198.51.100.6/30' },
  );
  await cable(
    { ns: 'inet', link: 'to-cloud2', address: '198.51.100.9/30' },
    { ns: 'cloud2', link: 'eth0', address: '198.51.100.10/30' },
  );
  await cable(
    { ns: 'inet', link: 'to-home1', address: '192.0.2.5/30' },
    { ns: 'nat-home1', link: 'wan', address: '192.0.2.6/30' },
  );
  await cable(
    { ns: 'inet', link: 'to-home2', address: '192.0.2.9/30' },
    { ns: 'nat-home2', link: 'wan', address: '192.0.2.10/30' },
  );
  await cable(
    { ns: 'inet', link: 'to-carrier', address: '192.0.2.13/30' },
    { ns: 'cgn', link: 'wan', address: '192.0.2.14/30' },
  );
  await cable(
    { ns: 'inet', link: 'to-office1', address: '192.0.2.17/30' },
    { ns: 'nat-office1', link: 'wan', address: '192.0.2.18/30' },
  );
  for (const [ns, via] of [
    ['nat-home1', '192.0.2.5'],
    ['nat-home2', '192.0.2.9'],
    ['cgn', '192.0.2.13'],
    ['nat-office1', '192.0.2.17'],
  ] as const) {
    await defaultRoute(ns, via);
  }
  for (const cloud of NODES.filter((node) => node.attachment === 'public'))
    await defaultRoute(cloud.name, cloud.gateway);

  await switchedLan('nat-home1', ['home1', 'desk1'].map(byName));
  await cable(
    { ns: 'nat-home2', link: 'lan', address: '192.168.1.1/24' },
    { ns: 'home2', link: 'eth0', address: '192.168.1.10/24' },
  );
  await defaultRoute('home2', '192.168.1.1');
  await cable(
    { ns: 'cgn', link: 'lan', address: '100.64.0.1/24' },
    { ns: 'nat-lte1', link: 'wan', address: '100.64.0.2/24' },
  );
  await defaultRoute('nat-lte1', '100.64.0.1');
  await cable(
    { ns: 'nat-lte1', link: 'lan', address: '10.64.7.1/24' },
    { ns: 'lte1', link: 'eth0', address: '10.64.7.2/24' },
  );
  await defaultRoute('lte1', '10.64.7.1');
  await cable(
    { ns: 'nat-office1', link: 'lan', address: '10.20.0.1/24' },
    { ns: 'office1', link: 'eth0', address: '10.20.0.30/24' },
  );
  await defaultRoute('office1', '10.20.0.1');

  await natRules('nat-home1', 'port-preserving');
  await natRules('nat-home2', 'port-preserving');
  await natRules('cgn', 'random-port');
  await natRules('nat-lte1', 'random-port');
  await natRules('nat-office1', 'random-port');

  await cable(
    { ns: 'plain-a', link: 'eth0', address: '10.99.0.1/24' },
    { ns: 'plain-b', link: 'eth0', address: '10.99.0.2/24' },
  );
}

export function byName(name: string): DemoNode {
  const node = NODES.find((candidate) => candidate.name === name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return node;
}

/** Ends every process in the demo's namespaces, then removes the namespaces; also what a crashed run left behind. */
export const takeDown = (): Promise<void> => removeNamespaces([...NAMESPACES, ...YARDSTICK, POD]);

/** Ends every process in those of the namespaces that are there, then removes them. */
export async function removeNamespaces(names: readonly string[]): Promise<void> {
  const listed = (await attempt(undefined, ['ip', 'netns', 'list'])).stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '');
  // By whole names: what only begins alike may be a demo with a longer prefix.
  const ours = names.filter((name) => listed.includes(PREFIX + name));
  // Again until none is left: an agent may start another tincan between the look and its own end.
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGKILL', 'SIGKILL', 'SIGKILL'] as const) {
    const pids = (await Promise.all(ours.map(pidsIn))).flat();
    if (pids.length === 0) break;
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
        if (signal === 'SIGTERM') process.kill(pid, 'SIGCONT');
      } catch {
        // It ended by itself in between.
      }
    }
    await sleep(signal === 'SIGTERM' ? 300 : 50);
  }
  for (const name of ours) await attempt(undefined, ['ip', 'netns', 'del', PREFIX + name]);
}
