import { expect } from 'chai';
import type { Peer, Status } from '../api.ts';
import { finding } from '../diagnosis/finding.ts';
import { METRICS, type MetricState } from './catalogue.ts';
import { exposition } from './exposition.ts';

const STATUS: Status = {
  version: '0.1.0',
  overlay: { id: 'a'.repeat(32), name: 'lab', mtu: 1400 },
  node: {
    id: 'b'.repeat(32),
    name: 'home1',
    label: 'b'.repeat(16),
    addresses: ['10.45.0.3/16'],
    file: '/etc/evio/node.json',
  },
  agent: { pid: 1, uptimeMs: 61_000, rssBytes: 80_000_000 },
  tincan: { version: '0.1.0', pid: 2, uptimeMs: 60_000, rssBytes: 6_000_000 },
  signalling: { state: 'online', service: 'xmpps://h:1', error: null, sinceMs: 5_000 },
  nat: { class: 'endpoint-independent', mapped: [], local: [] },
  switch: { connected: true, flows: 40 },
  openVSwitch: { connected: false, flows: 3, problems: [] },
  problems: [],
  findings: [finding('turn-secret', 'x', 'y'), finding('turn-secret', 'x2', 'y')],
  members: 3,
  tunnels: 1,
  ringComplete: true,
  counters: { tincan_unknownRecord: 7 },
};
const PEER: Peer = {
  id: 'c'.repeat(32),
  name: 'home2',
  addresses: [],
  kinds: ['successor'],
  path: 'direct',
  local: null,
  remote: null,
  rttMs: 1.5,
  loss: 0.25,
  txBytes: 10,
  rxBytes: 20,
  sinceMs: 1,
};
const RELAYED: Peer = {
  ...PEER,
  name: 'lte1',
  path: 'webrtc',
  local: { address: '192.0.2.1:1', type: 'relay' },
  rttMs: null,
};
const STRANGER: Peer = { ...PEER, name: 'far', kinds: [], path: 'via' };
const STATE: MetricState = {
  status: STATUS,
  peers: [PEER, RELAYED, STRANGER],
  notAfter: 1_800_000_000,
  pools: [{ subnet: '10.244.3.0/24', used: 250, free: 3 }],
};

describe("the agent's metrics", () => {
  it('are told in the text format, each with its help and type, and the values of the last reading', async () => {
    await exposition({ ...STATE, peers: [] });
    const { contentType, text } = await exposition(STATE);
    expect(contentType).to.match(/^text\/plain; version=0\.0\.4/);
    for (const { name, type } of METRICS)
      expect(text).to.contain(`# HELP ${name} `).and.to.contain(`# TYPE ${name} ${type}\n`);
    const lines = text.split('\n');
    for (const line of [
      'evio_signalling_connected 1',
      'evio_tunnel_up{peer="home2",path="direct"} 1',
      'evio_tunnel_up{peer="lte1",path="relay"} 1',
      'evio_tunnels{path="relay"} 1',
      'evio_tunnel_rtt_seconds{peer="home2"} 0.0015',
      'evio_tunnel_loss_ratio{peer="home2"} 0.25',
      'evio_tunnel_bytes_total{peer="home2",direction="sent"} 10',
      'evio_finding{code="turn-secret",severity="error"} 1',
      'evio_switch_connected{switch="ovs"} 0',
      'evio_events_total{name="tincan_unknownRecord"} 7',
      'evio_pod_addresses{subnet="10.244.3.0/24",state="free"} 3',
      'evio_certificate_expiry_timestamp_seconds 1800000000',
    ])
      expect(lines).to.include(line);
    expect(text).not.to.contain('far').and.not.to.contain('evio_tunnel_rtt_seconds{peer="lte1"}');
  });

  it('have as many series in an overlay of thousands as a node has neighbours, 64 at most', async () => {
    const many = Array.from({ length: 4_000 }, (_, i) => ({
      ...PEER,
      name: `n${i}`,
      kinds: i < 100 ? PEER.kinds : [],
      path: i < 100 ? PEER.path : ('via' as const),
    }));
    const { text } = await exposition({ ...STATE, peers: many });
    expect(text.match(/^evio_tunnel_up\{/gm)).to.have.length(64);
    expect(text.split('\n').length).to.be.below(600);
  });

  it('say nothing of a tincan that does not run but that it does not', async () => {
    const { text } = await exposition({ ...STATE, status: { ...STATUS, tincan: null } });
    expect(text)
      .to.contain('evio_tincan_up 0\n')
      .and.not.to.match(/^evio_tincan_uptime_seconds \d/m);
  });

  it('have names and labels that Prometheus takes, and counters that end in _total', () => {
    for (const { name, type, labels, help } of METRICS) {
      expect(name).to.match(/^evio_[a-z_]+$/);
      expect(name.endsWith('_total'), name).to.equal(type === 'counter');
      expect(help).to.match(/\.$/);
      for (const label of labels) expect(label).to.match(/^[a-z]+$/);
      for (const { labels: told } of METRICS.find((one) => one.name === name)?.read(STATE) ?? [])
        expect(Object.keys(told), name).to.have.members([...labels]);
    }
    expect(new Set(METRICS.map(({ name }) => name)).size).to.equal(METRICS.length);
  });
});
