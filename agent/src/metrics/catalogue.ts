/**
 * The agent's metrics: names, what they mean, and how each is read from what the agent answers anyway. docs/metrics.md is made of this.
 * Pure. Names follow https://prometheus.io/docs/practices/naming/. Labels have few values: `peer` is a neighbour (64 at most), never every
 * member; everything else is a word of a list that stands in the code.
 */
import type { Peer, Status } from '../api.ts';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Metric {
  readonly name: `evio_${string}`;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  read(state: MetricState): readonly Sample[];
}

export interface MetricState {
  readonly status: Status;
  readonly peers: readonly Peer[];
  /** When the node's certificate ends, seconds since 1970. */
  readonly notAfter: number;
  /** Of a cluster's node: what its pods have of each piece. */
  readonly pools: readonly { readonly subnet: string; readonly used: number; readonly free: number }[];
}

/** Neighbours with metrics of their own; by name, so that they are the same from one reading to the next. */
const PEERS_MAX = 64;
/** Names of counters: they stand in the code of agent and tincan, and are fewer. */
const COUNTERS_MAX = 256;

const one = (value: number | boolean | undefined): readonly Sample[] =>
  value === undefined ? [] : [{ labels: {}, value: Number(value) }];
const seconds = (ms: number): number => ms / 1000;

/** Members with an edge to this node, or a tunnel. */
export const neighbours = ({ peers }: Pick<MetricState, 'peers'>): readonly Peer[] =>
  peers.filter(({ kinds, path }) => kinds.length > 0 || path === 'direct' || path === 'webrtc').slice(0, PEERS_MAX);

/** `relay`: over a TURN server, by which the WebRTC connection goes. */
export const pathOf = ({ path, local, remote }: Peer): string =>
  path === 'webrtc' && (local?.type === 'relay' || remote?.type === 'relay') ? 'relay' : path;

const ofPeers = (state: MetricState, read: (peer: Peer) => number | null): readonly Sample[] =>
  neighbours(state).flatMap((peer) => {
    const value = read(peer);
    return value === null ? [] : [{ labels: { peer: peer.name }, value }];
  });

const gauge = (name: Metric['name'], help: string, labels: readonly string[], read: Metric['read']): Metric => ({
  name,
  type: 'gauge',
  help,
  labels,
  read,
});
const counter = (name: Metric['name'], help: string, labels: readonly string[], read: Metric['read']): Metric => ({
  name,
  type: 'counter',
  help,
  labels,
  read,
});

export const METRICS: readonly Metric[] = [
  gauge(
    'evio_build_info',
    'Versions, by labels; always 1. tincan="" while none runs.',
    ['agent', 'tincan'],
    ({ status }) => [{ labels: { agent: status.version, tincan: status.tincan?.version ?? '' }, value: 1 }],
  ),
  gauge('evio_node_info', 'The node and its overlay, by labels; always 1.', ['node', 'overlay'], ({ status }) => [
    { labels: { node: status.node.name, overlay: status.overlay.name }, value: 1 },
  ]),
  gauge(
    'evio_finding',
    'A fault or warning that "evio status" tells now, by its code (docs/diagnosis.md); 1 each.',
    ['code', 'severity'],
    ({ status }) =>
      [...new Map(status.findings.map(({ code, severity }) => [code, severity]))].map(([code, severity]) => ({
        labels: { code, severity },
        value: 1,
      })),
  ),
  gauge('evio_signalling_connected', 'Whether the node is in the room on the XMPP server.', [], ({ status }) =>
    one(status.signalling.state === 'online'),
  ),
  gauge('evio_members', 'Members of the overlay that this node knows, itself among them.', [], ({ status }) =>
    one(status.members),
  ),
  gauge(
    'evio_ring_complete',
    'Whether every wanted edge to a neighbour on the ring has a live tunnel.',
    [],
    ({ status }) => one(status.ringComplete),
  ),
  gauge('evio_nat_type_info', 'The class of NAT before this node, by its label; always 1.', ['type'], ({ status }) => [
    { labels: { type: status.nat.class }, value: 1 },
  ]),
  gauge(
    'evio_certificate_expiry_timestamp_seconds',
    "When the node's certificate ends, in seconds since 1970.",
    [],
    ({ notAfter }) => one(notAfter),
  ),
  gauge(
    'evio_pod_addresses',
    "Addresses for pods of a cluster's node, of each of its pieces: used and free.",
    ['subnet', 'state'],
    ({ pools }) =>
      pools.flatMap(({ subnet, used, free }) => [
        { labels: { subnet, state: 'used' }, value: used },
        { labels: { subnet, state: 'free' }, value: free },
      ]),
  ),
  gauge(
    'evio_tunnels',
    'Neighbours by path: direct, webrtc, relay (over TURN), via (other nodes) or none.',
    ['path'],
    (state) =>
      ['direct', 'webrtc', 'relay', 'via', 'none'].map((path) => ({
        labels: { path },
        value: neighbours(state).filter((peer) => pathOf(peer) === path).length,
      })),
  ),
  gauge('evio_tunnel_up', 'Whether there is a tunnel to a neighbour, and by which path.', ['peer', 'path'], (state) =>
    neighbours(state).map((peer) => ({
      labels: { peer: peer.name, path: pathOf(peer) },
      value: Number(peer.path === 'direct' || peer.path === 'webrtc'),
    })),
  ),
  gauge('evio_tunnel_rtt_seconds', 'The last round trip to a neighbour by its tunnel.', ['peer'], (state) =>
    ofPeers(state, ({ rttMs }) => (rttMs === null ? null : seconds(rttMs))),
  ),
  gauge('evio_tunnel_loss_ratio', 'Share of probes to a neighbour that were lost, 0 to 1.', ['peer'], (state) =>
    ofPeers(state, ({ loss }) => loss),
  ),
  counter(
    'evio_tunnel_bytes_total',
    'Bytes by the tunnel to a neighbour, since that was made.',
    ['peer', 'direction'],
    (state) =>
      neighbours(state).flatMap(({ name, txBytes, rxBytes }) => [
        { labels: { peer: name, direction: 'sent' }, value: txBytes },
        { labels: { peer: name, direction: 'received' }, value: rxBytes },
      ]),
  ),
  gauge(
    'evio_switch_connected',
    'Whether the switch is connected: that of tincan, and Open vSwitch where it is used.',
    ['switch'],
    ({ status }) => [
      { labels: { switch: 'tincan' }, value: Number(status.switch.connected) },
      ...(status.openVSwitch === null
        ? []
        : [{ labels: { switch: 'ovs' }, value: Number(status.openVSwitch.connected) }]),
    ],
  ),
  gauge('evio_switch_flows', 'Flows in the switch.', ['switch'], ({ status }) => [
    { labels: { switch: 'tincan' }, value: status.switch.flows },
    ...(status.openVSwitch === null ? [] : [{ labels: { switch: 'ovs' }, value: status.openVSwitch.flows }]),
  ]),
  gauge('evio_agent_uptime_seconds', 'Since this agent runs.', [], ({ status }) => one(seconds(status.agent.uptimeMs))),
  gauge('evio_agent_resident_memory_bytes', "The agent's resident memory.", [], ({ status }) =>
    one(status.agent.rssBytes),
  ),
  gauge('evio_tincan_up', 'Whether tincan runs and is configured: it carries the frames.', [], ({ status }) =>
    one(status.tincan !== null),
  ),
  gauge('evio_tincan_uptime_seconds', 'Since this tincan runs.', [], ({ status }) =>
    one(status.tincan === null ? undefined : seconds(status.tincan.uptimeMs)),
  ),
  gauge('evio_tincan_resident_memory_bytes', "tincan's resident memory.", [], ({ status }) =>
    one(status.tincan?.rssBytes),
  ),
  counter(
    'evio_events_total',
    'What is counted in agent and tincan, by name: docs/operations.md explains those of bad input.',
    ['name'],
    ({ status }) =>
      Object.entries(status.counters)
        .slice(0, COUNTERS_MAX)
        .map(([name, value]) => ({ labels: { name }, value })),
  ),
];
