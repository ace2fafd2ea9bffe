/** Broadcast and multicast from a host behind a node's evio0, and what ARP does. */
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { POD } from './internet.ts';
import { ovsOf } from './open-vswitch.ts';
import type { Joined } from './overlay.ts';
import { attempt, collect, PREFIX, run, sleep } from './shell.ts';

const SELF = fileURLToPath(import.meta.url);
const FRAMES = 10;
const BROADCAST_PORT = 9917;

export interface Pod {
  readonly host: Joined;
  readonly ipv4: string;
}

/** Plugs a foreign host into a node's bridge, as a pod would be. */
export async function plugPod(host: Joined): Promise<Pod> {
  const ipv4 = `${host.ipv4.split('.').slice(0, 2).join('.')}.200.77`;
  await run(undefined, 'ip', 'netns', 'add', PREFIX + POD);
  await run(POD, 'ip', 'link', 'set', 'lo', 'up');
  // Without this its link-local address is tentative for its first seconds, and what it sends then is lost (RFC 4862 §5.4).
  await run(POD, 'sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
  await run(
    undefined,
    'ip',
    'link',
    'add',
    'evio-pod0',
    'netns',
    PREFIX + host.name,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    PREFIX + POD,
  );
  const mtu = (await run(host.name, 'cat', '/sys/class/net/evio0/mtu')).trim();
  const ovs = ovsOf(host.name);
  const master = ovs === undefined ? ['master', 'evio0'] : [];
  await run(host.name, 'ip', 'link', 'set', 'evio-pod0', 'mtu', mtu, ...master, 'up');
  ovs?.vsctl('add-port', 'evio0', 'evio-pod0');
  await run(POD, 'ip', 'link', 'set', 'eth0', 'mtu', mtu, 'address', '0a:ee:00:00:77:01', 'up');
  await run(POD, 'ip', 'address', 'add', `${ipv4}/16`, 'dev', 'eth0');
  return { host, ipv4 };
}

export async function unplugPod({ host }: Pod): Promise<void> {
  ovsOf(host.name)?.vsctl('--if-exists', 'del-port', 'evio-pod0');
  await attempt(undefined, ['ip', 'netns', 'del', PREFIX + POD]);
}

export interface Deliveries {
  readonly kind: 'broadcast' | 'multicast';
  /** Frames expected at each node. */
  readonly sent: number;
  /** Per node: how often each of the frames came. */
  readonly received: ReadonlyMap<string, readonly number[]>;
}

/** Sends broadcast and mDNS frames from the pod and counts each at every other node. */
export async function floodFromPod(pod: Pod, nodes: readonly Joined[]): Promise<readonly Deliveries[]> {
  const others = nodes.filter((node) => node !== pod.host);
  const captures = others.map((node) => ({
    node,
    ...collect(
      node.name,
      'tcpdump',
      '-n',
      '-l',
      '-A',
      '--immediate-mode',
      '-i',
      'evio0',
      `udp port ${BROADCAST_PORT} or udp port 5353`,
    ),
  }));
  await sleep(700);
  await run(POD, process.execPath, SELF, 'send');
  await sleep(1500);
  for (const { child } of captures) child.kill('SIGINT');
  const texts = new Map<string, string>();
  for (const { node, output } of captures) texts.set(node.name, await output);
  const count = (kind: string, name: string): readonly number[] =>
    Array.from({ length: FRAMES }, (_, i) => (texts.get(name)?.split(`evio-${kind}-${i}-end`).length ?? 1) - 1);
  return (['broadcast', 'multicast'] as const).map((kind) => ({
    kind,
    sent: FRAMES,
    received: new Map(others.map((node) => [node.name, count(kind, node.name)])),
  }));
}

export interface ArpSeen {
  /** ARP requests for a member that some other node saw: should be 0. */
  readonly forMember: number;
  readonly memberAnswered: boolean;
  /** Nodes that saw the ARP request for the foreign host. */
  readonly forForeign: number;
  readonly foreignAnswered: boolean;
}

/** The pod asks for a member; a member asks for the pod. Counted at every node that is neither. */
export async function arp(pod: Pod, member: Joined, nodes: readonly Joined[]): Promise<ArpSeen> {
  const watchers = nodes.filter((node) => node !== pod.host && node !== member);
  const captures = watchers.map((node) => ({
    node,
    ...collect(node.name, 'tcpdump', '-n', '-l', '--immediate-mode', '-i', 'evio0', 'arp'),
  }));
  await sleep(700);
  const there = await attempt(POD, ['ping', '-n', '-c', '2', '-W', '2', member.ipv4]);
  await run(member.name, 'ip', 'neigh', 'flush', 'dev', 'evio0', 'to', pod.ipv4);
  const back = await attempt(member.name, ['ping', '-n', '-c', '2', '-W', '2', pod.ipv4]);
  await sleep(500);
  for (const { child } of captures) child.kill('SIGINT');
  const texts = await Promise.all(captures.map(({ output }) => output));
  return {
    forMember: texts.reduce((total, text) => total + text.split(`who-has ${member.ipv4} `).length - 1, 0),
    memberAnswered: there.code === 0,
    forForeign: texts.filter((text) => text.includes(`who-has ${pod.ipv4} `)).length,
    foreignAnswered: back.code === 0,
  };
}

async function send(): Promise<void> {
  const four = createSocket('udp4');
  await new Promise<void>((done) => four.bind(0, done));
  four.setBroadcast(true);
  const six = createSocket('udp6');
  await new Promise<void>((done) => six.bind(0, done));
  six.setMulticastInterface('::%eth0');
  for (let i = 0; i < FRAMES; i++) {
    four.send(`evio-broadcast-${i}-end`, BROADCAST_PORT, '10.45.255.255');
    six.send(`evio-multicast-${i}-end`, 5353, 'ff02::fb%eth0');
    await sleep(20);
  }
  four.close();
  six.close();
}

if (process.argv[1] === SELF && process.argv[2] === 'send') await send();
