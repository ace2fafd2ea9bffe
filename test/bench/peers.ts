/** What Evio is measured beside: each a tunnel between the two ends of a place, set up as its own documentation has it. */
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { attempt, PREFIX, run, start, until } from '../demo/shell.ts';
import { addEnds, type Ends, other, type Place, SIDES, type Side } from './place.ts';
import type { PeerFact } from './results.ts';
import { groupMb, inGroup, pidsOf } from './usage.ts';

export interface Peer {
  readonly fact: PeerFact;
  readonly ends: Ends;
  /** The address of each end, as a user of the tunnel has it. */
  readonly addresses: Readonly<Record<Side, string>>;
  start(side: Side): Promise<void>;
  /** `start` may follow. */
  stop(side: Side): Promise<void>;
  /** Traffic goes the way it is meant to; throws otherwise. */
  ready(): Promise<void>;
  /** Resident memory of an end's processes by measure, in MB; nothing of what has no processes. */
  memory(side: Side): Promise<Readonly<Record<string, number>>>;
}

/** Prepares a peer for a place; throws Unavailable where it cannot be had. */
export type PeerKind = (place: Place) => Promise<Peer>;

/** A peer that this machine does not have; the message says why. */
export class Unavailable extends Error {}

/** The control group of a peer's processes at one end. */
export const groupOf = (peer: string, side: Side): string => `${peer}-${side}`;

interface Built {
  readonly version: string;
  readonly bin: string;
}

/** What hack/bench/build.sh has built. */
function built(name: string): Built {
  const list = existsSync('.cache/bench/peers') ? readFileSync('.cache/bench/peers', 'utf8') : '';
  for (const line of list.split('\n')) {
    const [known, version = '', bin = ''] = line.split(' ');
    if (known === name) return { version, bin: resolve(bin) };
  }
  throw new Unavailable('not built, see hack/bench/build.sh');
}

/** As agent and tincan give themselves: which tunnel comes before iperf3, and before others, is not what is compared. */
const NICE = ['nice', '-n', '-10'];

/** Starts one of a peer's daemons at one end, in its control group. */
const daemon = ({ dir }: Place, ends: Ends, peer: string, side: Side, ...command: string[]): void =>
  daemonIn(dir, ends[side].ns, groupOf(peer, side), ...NICE, ...command);

/** Starts a daemon in a namespace and a control group; its log is named after the group. */
export function daemonIn(dir: string, ns: string, group: string, ...command: string[]): void {
  const log = join(dir, `${group}.log`);
  const child = start(undefined, log, ...inGroup(group, ['ip', 'netns', 'exec', PREFIX + ns, ...command]));
  daemons.set(group, { child, log });
}
const daemons = new Map<string, { readonly child: ChildProcess; readonly log: string }>();

/** The daemon of a peer has made its interface. */
async function appears(ends: Ends, peer: string, side: Side, link: string): Promise<void> {
  await until(`${peer} makes ${link}`, 10_000, async () => {
    const one = daemons.get(groupOf(peer, side));
    if (one !== undefined && (one.child.exitCode ?? one.child.signalCode) !== null)
      throw new Error(`ended by itself: ${readFileSync(one.log, 'utf8').trim().split('\n').at(-1)?.slice(0, 300)}`);
    return (await attempt(ends[side].ns, ['ip', 'link', 'show', link])).code === 0;
  });
}

async function endDaemons(peer: string, side: Side): Promise<void> {
  const group = groupOf(peer, side);
  for (const pid of pidsOf(group)) process.kill(pid, 'SIGTERM');
  await until(`${peer} ends at ${side}`, 5_000, async () => pidsOf(group).length === 0, 5);
}

const none = async (): Promise<void> => undefined;
const noMemory = async (): Promise<Readonly<Record<string, number>>> => ({});
const bySide = <T>(of: (side: Side) => T): Readonly<Record<Side, T>> => ({ a: of('a'), b: of('b') });

/** The underlay itself. */
const veth: PeerKind = async (place) => {
  const ends = await addEnds(place, 'veth');
  return {
    fact: { name: 'veth', version: 'kernel', encrypted: false, mtu: 1500 },
    ends,
    addresses: bySide((side) => ends[side].address),
    start: none,
    stop: none,
    ready: none,
    memory: noMemory,
  };
};

/** What Flannel does by default. */
const vxlan: PeerKind = async (place) => {
  const ends = await addEnds(place, 'vxlan');
  const address = bySide((side) => `10.98.1.${side === 'a' ? 1 : 2}`);
  return {
    fact: { name: 'vxlan', version: 'kernel', encrypted: false, mtu: 1450 },
    ends,
    addresses: address,
    async start(side) {
      const { ns, address: local } = ends[side];
      const remote = ends[other(side)].address;
      const options = ['id', '42', 'local', local, 'remote', remote, 'dstport', '4789'];
      await run(ns, 'ip', 'link', 'add', 'vx0', 'mtu', '1450', 'type', 'vxlan', ...options);
      await run(ns, 'ip', 'address', 'add', `${address[side]}/24`, 'dev', 'vx0');
      await run(ns, 'ip', 'link', 'set', 'vx0', 'up');
    },
    stop: async (side) => void (await run(ends[side].ns, 'ip', 'link', 'del', 'vx0')),
    ready: none,
    memory: noMemory,
  };
};

interface WireGuard {
  readonly name: string;
  readonly link: (side: Side) => string;
  readonly net: string;
  readonly port: string;
  version(): string;
  /** Makes the interface. */
  make(place: Place, ends: Ends, side: Side): Promise<void>;
  remove(ends: Ends, side: Side): Promise<void>;
  readonly processes: boolean;
}

/** Anything that `wg` sets up. */
const wireGuard =
  (how: WireGuard): PeerKind =>
  async (place) => {
    const version = how.version();
    const ends = await addEnds(place, how.name);
    const addresses = bySide((side) => `${how.net}.${side === 'a' ? 1 : 2}`);
    const keys = bySide(() => {
      const { privateKey } = generateKeyPairSync('x25519');
      const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
      const standard = (text: string): string => Buffer.from(text, 'base64url').toString('base64');
      return { secret: standard(d), known: standard(x) };
    });
    return {
      fact: { name: how.name, version, encrypted: true, mtu: 1420 },
      ends,
      addresses,
      async start(side) {
        const { ns } = ends[side];
        const link = how.link(side);
        const far = other(side);
        await how.make(place, ends, side);
        const remote = `${ends[far].address}:${how.port}`;
        const peer = ['peer', keys[far].known, 'allowed-ips', `${addresses[far]}/32`, 'endpoint', remote];
        const key = join(place.dir, `${how.name}-${side}.key`);
        writeFileSync(key, keys[side].secret, { mode: 0o600 });
        await run(ns, 'wg', 'set', link, 'listen-port', how.port, 'private-key', key, ...peer);
        await run(ns, 'ip', 'address', 'add', `${addresses[side]}/24`, 'dev', link);
        // As wg-quick has it.
        await run(ns, 'ip', 'link', 'set', link, 'mtu', '1420', 'up');
      },
      stop: (side) => how.remove(ends, side),
      ready: none,
      memory: async (side) => (how.processes ? { rss: groupMb(groupOf(how.name, side)) } : {}),
    };
  };

/**
 * A daemon that makes the interface; `wg` finds it by a socket that is not within the namespace, so the interfaces of all of them
 * differ in their names.
 */
function userspace(
  name: string,
  net: string,
  port: string,
  command: (bin: string, link: string) => string[],
): PeerKind {
  const link = (side: Side): string => `${name.slice(0, 9)}-${side}`;
  return wireGuard({
    name,
    link,
    net,
    port,
    processes: true,
    version: () => built(name).version,
    async make(place, ends, side) {
      const socket = `/run/wireguard/${link(side)}.sock`;
      rmSync(socket, { force: true });
      daemon(place, ends, name, side, ...command(built(name).bin, link(side)));
      await appears(ends, name, side, link(side));
      await until(`${name} listens at ${socket}`, 5_000, async () => existsSync(socket), 5);
    },
    remove: (_ends, side) => endDaemons(name, side),
  });
}

const wireguardGo = userspace('wireguard-go', '10.98.2', '51820', (bin, link) => [join(bin, 'wireguard'), '-f', link]);
const boringtun = userspace('boringtun', '10.98.3', '51821', (bin, link) => [
  ...[join(bin, 'boringtun-cli'), '--foreground', '--disable-drop-privileges', link],
]);

const kernelWireGuard: PeerKind = async (place) => {
  const tried = await attempt('server', ['ip', 'link', 'add', 'wg0', 'type', 'wireguard']);
  if (tried.code !== 0) throw new Unavailable('this kernel has no WireGuard');
  await run('server', 'ip', 'link', 'del', 'wg0');
  return wireGuard({
    name: 'kernel-wireguard',
    link: () => 'wg0',
    net: '10.98.4',
    port: '51822',
    processes: false,
    version: () => 'kernel',
    make: async (_place, ends, side) =>
      void (await run(ends[side].ns, 'ip', 'link', 'add', 'wg0', 'type', 'wireguard')),
    remove: async (ends, side) => void (await run(ends[side].ns, 'ip', 'link', 'del', 'wg0')),
  })(place);
};

/** With two certificates and each other's address; no lighthouse, which two nodes need not have. */
const nebula: PeerKind = async (place) => {
  const { version, bin } = built('nebula');
  const ends = await addEnds(place, 'nebula');
  const addresses = bySide((side) => `10.98.5.${side === 'a' ? 1 : 2}`);
  const dir = join(place.dir, 'nebula');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const certify = (...args: string[]): Promise<string> => run(undefined, join(bin, 'nebula-cert'), ...args);
  const ca = ['-name', 'bench', '-out-crt', join(dir, 'ca.crt'), '-out-key', join(dir, 'ca.key')];
  if (!existsSync(join(dir, 'ca.crt'))) await certify('ca', ...ca);
  for (const side of SIDES) {
    const far = other(side);
    const files = ['-out-crt', join(dir, `${side}.crt`), '-out-key', join(dir, `${side}.key`)];
    const signer = ['-ca-crt', join(dir, 'ca.crt'), '-ca-key', join(dir, 'ca.key')];
    if (!existsSync(join(dir, `${side}.crt`)))
      await certify('sign', ...signer, '-name', side, '-ip', `${addresses[side]}/24`, ...files);
    const open = [{ port: 'any', proto: 'any', host: 'any' }];
    const config = {
      pki: { ca: join(dir, 'ca.crt'), cert: join(dir, `${side}.crt`), key: join(dir, `${side}.key`) },
      static_host_map: { [addresses[far]]: [`${ends[far].address}:4242`] },
      lighthouse: { am_lighthouse: false, hosts: [] },
      listen: { host: ends[side].address, port: 4242 },
      tun: { dev: 'neb0' },
      firewall: { outbound: open, inbound: open },
      logging: { level: 'warning' },
    };
    // JSON is YAML.
    writeFileSync(join(dir, `${side}.yml`), JSON.stringify(config), { mode: 0o600 });
  }
  return {
    fact: { name: 'nebula', version, encrypted: true, mtu: 1300 },
    ends,
    addresses,
    async start(side) {
      daemon(place, ends, 'nebula', side, join(bin, 'nebula'), '-config', join(dir, `${side}.yml`));
      await appears(ends, 'nebula', side, 'neb0');
    },
    stop: (side) => endDaemons('nebula', side),
    ready: none,
    memory: async (side) => ({ rss: groupMb(groupOf('nebula', side)) }),
  };
};

const vpncloud: PeerKind = async (place) => {
  const { version, bin } = built('vpncloud');
  const ends = await addEnds(place, 'vpncloud');
  const addresses = bySide((side) => `10.98.6.${side === 'a' ? 1 : 2}`);
  return {
    fact: { name: 'vpncloud', version, encrypted: true, mtu: 1413 },
    ends,
    addresses,
    async start(side) {
      const { ns, address } = ends[side];
      const peer = `${ends[other(side)].address}:3210`;
      const link = ['--device', 'vpn0', '--type', 'tap', '--mode', 'switch'];
      const own = ['--listen', `${address}:3210`, '--peer', peer, '--password', 'bench', '--no-port-forwarding'];
      // It looks for its own address by way of the default route, and does not start without one.
      await attempt(ns, ['ip', 'route', 'add', 'default', 'via', ends[other(side)].address]);
      daemon(place, ends, 'vpncloud', side, join(bin, 'vpncloud'), ...link, ...own);
      await appears(ends, 'vpncloud', side, 'vpn0');
      // By ourselves: its --ip writes another address than it says.
      await run(ns, 'ip', 'address', 'add', `${addresses[side]}/24`, 'dev', 'vpn0');
      await run(ns, 'ip', 'link', 'set', 'vpn0', 'up');
    },
    stop: (side) => endDaemons('vpncloud', side),
    ready: none,
    memory: async (side) => ({ rss: groupMb(groupOf('vpncloud', side)) }),
  };
};

/** By the name that figures have. Evio is in evio.ts. */
export const PEER_KINDS: Readonly<Record<string, PeerKind>> = {
  veth,
  vxlan,
  'wireguard-go': wireguardGo,
  'kernel-wireguard': kernelWireGuard,
  nebula,
  vpncloud,
  boringtun,
};
