/** Other networks inside of the overlay: a VLAN, and VXLAN over either family. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { attempt, PREFIX, run, sleep } from '../demo/shell.ts';
import { Ovs } from '../servers/ovs.ts';
import type { PairPart } from './part.ts';
import { answers, type Pair, untilDirect } from './sites.ts';
import { type DatagramsOn, families, type Host, type Stage } from './stage.ts';
import { witnessed } from './witness.ts';

const VLAN = '7';

/** Addresses of a network inside, of the two ends. */
const within = ({ a, b }: Pair, number: number): { readonly a: Host; readonly b: Host } => ({
  a: { ns: a.ns, ipv4: `10.77.${number}.1`, ipv6: `fd77:${number}::1` },
  b: { ns: b.ns, ipv4: `10.77.${number}.2`, ipv6: `fd77:${number}::2` },
});

/** Gives an end's interface its addresses, and waits for nobody to object to them. */
async function address({ ns, ipv4, ipv6 }: Host, link: string): Promise<void> {
  await run(ns, 'ip', 'address', 'add', `${ipv4}/24`, 'dev', link);
  await run(ns, 'ip', 'address', 'add', `${ipv6}/64`, 'dev', link, 'nodad');
  await run(ns, 'ip', 'link', 'set', link, 'up');
}

/** Streams and datagrams of both families between the two ends; `of` is said of datagrams that may be cut. */
async function transfers(stage: Stage, a: Host, b: Host, what: string, share: number, of?: DatagramsOf): Promise<void> {
  for (const [family, address] of families(b)) {
    await answers(a.ns, address);
    const count = stage.count(200);
    await stage.stream(`${what}, ${family}: TCP`, a, address, { bytes: stage.bytes(share) });
    await stage.datagrams(`${what}, ${family}: UDP of one packet`, a, address, { count, most: 1_250 });
    await stage.datagrams(`${what}, ${family}: UDP of all sizes`, a, address, { count, ...of });
  }
}
type DatagramsOf = Pick<DatagramsOn, 'anyOrder' | 'mbps'>;

/** A port of Open vSwitch puts the tags in: see `openVSwitch` in offloads.ts. */
const BY_OVS: DatagramsOf = { anyOrder: true, mbps: 10 };

/**
 * An interface in a VLAN of evio0: the kernel's where it has 802.1Q, else a port of an Open vSwitch that puts the tags in and takes
 * them out. Gives what takes it away again.
 */
async function joinVlan(stage: Stage, host: Host): Promise<{ readonly ovs: boolean; leave(): Promise<void> }> {
  const { ns } = host;
  const kernels = ['ip', 'link', 'add', 'link', 'evio0', 'name', 'vlan7', 'type', 'vlan', 'id', VLAN];
  if ((await attempt(ns, kernels)).code === 0) {
    await address(host, 'vlan7');
    return { ovs: false, leave: async () => void (await run(ns, 'ip', 'link', 'del', 'vlan7')) };
  }
  const ovs = await Ovs.start({ netns: PREFIX + ns, within: stage.place.dir });
  const leave = async (): Promise<void> => {
    await ovs.stop();
    await attempt(ns, ['ip', 'link', 'del', 'to-trunk']);
  };
  try {
    await run(ns, 'ip', 'link', 'add', 'to-trunk', 'type', 'veth', 'peer', 'name', 'trunk');
    const mtu = (await run(ns, 'cat', '/sys/class/net/evio0/mtu')).trim();
    for (const link of ['to-trunk', 'trunk']) await run(ns, 'ip', 'link', 'set', link, 'mtu', mtu, 'up');
    await run(ns, 'ip', 'link', 'set', 'to-trunk', 'master', 'evio0');
    ovs.vsctl('add-br', 'vlans', '--', 'set', 'bridge', 'vlans', 'datapath_type=netdev');
    ovs.vsctl('add-port', 'vlans', 'trunk');
    ovs.vsctl(
      ...['add-port', 'vlans', 'vlan7', `tag=${VLAN}`],
      ...['--', 'set', 'interface', 'vlan7', 'type=internal', `mtu_request=${mtu}`],
    );
    await address(host, 'vlan7');
  } catch (error) {
    await leave();
    throw error;
  }
  return { ovs: true, leave };
}

async function vlan(stage: Stage, pair: Pair): Promise<void> {
  const { a, b } = within(pair, 7);
  const joined: Awaited<ReturnType<typeof joinVlan>>[] = [];
  try {
    for (const host of [a, b]) joined.push(await joinVlan(stage, host));
    const { tagged = 0 } = await witnessed(
      b.ns,
      { at: 'device', device: 'evio0-tap' },
      { tagged: `vlan id ${VLAN} COUNT` },
      () => transfers(stage, a, b, 'in a VLAN', 0.03, joined.some(({ ovs }) => ovs) ? BY_OVS : {}),
    );
    stage.report.holds('in a VLAN: frames with its tag that arrived', tagged > 1_000, tagged, '> 1000');
    await stillDirect(stage, pair, 'in a VLAN');
  } finally {
    for (const { leave } of joined) await leave();
  }
}

/** Of IPv4 and IPv6, UDP, VXLAN and Ethernet, within the MTU of 1400. */
const VXLAN_MTU = { IPv4: '1350', IPv6: '1330' } as const;

/** Super-frames of UDP tunnels are taken from a tap since Linux 6.17. */
const [MAJOR = 0, MINOR = 0] = release().split('.').map(Number);
const TAKES_TUNNELS = MAJOR * 1_000 + MINOR >= 6_017;

/** Packets that a filter at evio0's egress gave to the tap (agent/tincan/src/io/netlink/shortcut.rs). */
async function redirected(ns: string): Promise<number> {
  const shown = await run(ns, 'tc', '-s', 'filter', 'show', 'dev', 'evio0', 'egress');
  return [...shown.matchAll(/Sent \d+ bytes (\d+) pkt/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
}

async function vxlan(stage: Stage, pair: Pair): Promise<void> {
  for (const [outer, number] of [
    ['IPv4', 4],
    ['IPv6', 6],
  ] as const) {
    const { a, b } = within(pair, number);
    const of = (host: Host): string => (outer === 'IPv4' ? host.ipv4 : host.ipv6);
    try {
      for (const [inner, local, remote] of [
        [a, pair.a, pair.b],
        [b, pair.b, pair.a],
      ] as const) {
        const options = ['id', '42', 'local', of(local), 'remote', of(remote), 'dstport', '4789'];
        await run(local.ns, ...['ip', 'link', 'add', 'vx0', 'mtu', VXLAN_MTU[outer], 'type', 'vxlan', ...options]);
        await address(inner, 'vx0');
      }
      const rules = {
        seen: 'iifname "evio0" udp dport 4789 COUNT',
        joined: 'iifname "evio0" udp dport 4789 meta length > 2800 COUNT',
      };
      const { seen = 0, joined = 0 } = await witnessed(b.ns, { at: 'in' }, rules, () =>
        transfers(stage, a, b, `in VXLAN over ${outer}`, 0.02),
      );
      // TCP in super-frames of up to 64 KB is few packets.
      stage.report.holds(`in VXLAN over ${outer}: packets of it that arrived`, seen > 500, seen, '> 500');
      if (TAKES_TUNNELS) {
        stage.report.holds(`in VXLAN over ${outer}: super-frames of it that arrived`, joined > 100, joined, '> 100');
        const past = await redirected(a.ns);
        stage.report.holds(`in VXLAN over ${outer}: packets that left past the bridge`, past > 100, past, '> 100');
      }
      await stillDirect(stage, pair, `in VXLAN over ${outer}`);
    } finally {
      for (const { ns } of [a, b]) await attempt(ns, ['ip', 'link', 'del', 'vx0']);
    }
  }
}

/** How long another path needs to be found and taken. */
const TAKEN_MS = 1_000;
/** In the log of a tincan: a path by an address of a network inside. */
const NESTED = / path .*remote=(10\.77\.|\[fd77:)\S*/;

/** A network inside has addresses too, and a tunnel that went by them would run within itself. */
async function stillDirect(stage: Stage, pair: Pair, what: string): Promise<void> {
  await sleep(TAKEN_MS);
  const logs = Object.values(pair.peer.nodes).map(({ runDir }) => readFileSync(join(runDir, 'tincan.log'), 'utf8'));
  const nested = logs.map((log) => NESTED.exec(log)?.[0]).find((line) => line !== undefined);
  const now = await untilDirect(pair).then(
    () => 'yes',
    (error: Error) => error.message,
  );
  const found = nested === undefined ? now : `no, by a network inside:${nested}`;
  stage.report.holds(`${what}: the tunnel went by the underlay's addresses all the time`, found === 'yes', found);
}

export const INSIDE_PARTS: readonly PairPart[] = [
  { name: 'vlan', site: 'pair', short: true, run: vlan },
  { name: 'vxlan', site: 'pair', short: true, run: vxlan },
  // There the underlay has public addresses: a path by the private ones of a network inside would be preferred.
  { name: 'vxlan-public', site: 'line', run: vxlan },
];
