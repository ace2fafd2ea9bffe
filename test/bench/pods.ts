/** Pods without a Kubernetes: namespaces that evio-cni has attached to the nodes of an overlay, as a runtime would. */
import { resolve } from 'node:path';
import { addNamespace } from '../demo/internet.ts';
import { latency } from '../demo/measure.ts';
import { attempt, feed, PREFIX, until } from '../demo/shell.ts';
import type { Bench, Measured, Stage } from './bench.ts';
import { type EvioPeer, POD_ROUTES } from './evio.ts';
import type { Peer } from './peers.ts';
import type { Place, Side } from './place.ts';
import { hosts } from './tcp.ts';
import { type Host, tcp } from './traffic.ts';

export const PLUGIN = resolve('dist/evio-cni');

interface Pod {
  readonly name: string;
  readonly side: Side;
  readonly address: string;
}

const PODS = {
  a1: { name: 'pod-a1', side: 'a', address: '10.244.1.11' },
  a2: { name: 'pod-a2', side: 'a', address: '10.244.1.12' },
  b1: { name: 'pod-b1', side: 'b', address: '10.244.2.11' },
} as const satisfies Readonly<Record<string, Pod>>;

async function attach(place: Place, peer: EvioPeer, { name, side, address }: Pod): Promise<void> {
  await addNamespace(name);
  const config = {
    ...{ cniVersion: '1.0.0', name: 'evio', type: 'evio-cni', attachment: 'routed', bridge: 'evio0', mtu: 1400 },
    ...{ subnets: [POD_ROUTES[side]], gateways: [peer.addresses[side]], dataDir: `${place.dir}/cni-${side}` },
  };
  const netns = `/run/netns/${PREFIX}${name}`;
  const about = [
    'CNI_COMMAND=ADD',
    `CNI_CONTAINERID=${name}`,
    `CNI_NETNS=${netns}`,
    'CNI_IFNAME=eth0',
    'CNI_PATH=/usr/lib/cni',
  ];
  // A plugin says its errors on standard output.
  const call = ['sh', '-c', `exec ${PLUGIN} >&2`];
  await feed(peer.ends[side].ns, JSON.stringify(config), 'env', ...about, `CNI_ARGS=IP=${address}`, ...call);
}

const host = ({ name }: Pod): Host => ({ ns: name, group: `traffic-${name}` });

async function overEvio(seconds: number): Promise<Measured> {
  const { a1, a2, b1 } = PODS;
  const near = await tcp(host(a1), host(a2), a2.address, { seconds, flows: 1 });
  const far = await tcp(host(a1), host(b1), b1.address, { seconds, flows: 1 });
  const { p50 } = await latency(a1.name, b1.address, 200);
  return { 'pods-node': near.mbps, 'pods-nodes': far.mbps, 'pods-rtt-p50': p50 * 1000 };
}

/** The yardstick: two namespaces and a veth. */
async function overVeth(peer: Peer, seconds: number): Promise<Measured> {
  const { a, b } = hosts(peer);
  const { mbps } = await tcp(a, b, peer.addresses.b, { seconds, flows: 1 });
  const { p50 } = await latency(peer.ends.a.ns, peer.addresses.b, 200);
  return { 'pods-node': mbps, 'pods-nodes': mbps, 'pods-rtt-p50': p50 * 1000 };
}

async function run(stage: Stage): Promise<void> {
  const place = await stage.place('pair');
  const [veth, evio] = await stage.peers(['veth', 'evio-pods']);
  if (veth === undefined || evio === undefined)
    throw new Error('both are needed: veth, and Evio with prefixes of pods');
  for (const pod of Object.values(PODS)) await attach(place, evio as EvioPeer, pod);
  // tincan makes the routes to the prefixes of others as it learns of them.
  for (const { address } of [PODS.a2, PODS.b1]) {
    await until(`${address} answers ${PODS.a1.name}`, 20_000, async () => {
      const done = await attempt(PODS.a1.name, ['ping', '-n', '-q', '-c', '1', '-W', '1', address]);
      return done.code === 0;
    });
  }
  await stage.record.rounds(stage.rounds, [
    { name: 'veth', measure: () => overVeth(veth, stage.seconds) },
    { name: 'evio-pods', measure: () => overEvio(stage.seconds) },
  ]);
  await stage.close();
}

export const PODS_BENCH: Bench = {
  name: 'pods',
  title: 'Pod to pod',
  text: 'Namespaces attached by `evio-cni` (routed) to two nodes whose certificates have prefixes for pods, with the firewall that tincan keeps for them; no kube-proxy. Beside it one veth between two namespaces.',
  run,
};
