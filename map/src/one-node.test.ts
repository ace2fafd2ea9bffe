import { expect } from 'chai';
import type { Peer, Status } from '../../agent/src/api.ts';
import { countedOf, modelOfNode } from './one-node.ts';

const NOW = Date.parse('2026-11-30T12:00:00Z');
const id = (digit: string): string => digit.repeat(32);
const status = (over: Partial<Status> = {}): Status =>
  ({
    version: '0.1.0',
    overlay: { id: id('f'), name: 'lab', mtu: 1400 },
    node: { id: id('5'), name: 'me', label: '5'.repeat(16), addresses: ['10.45.0.5/16'] },
    tincan: { version: '0.1.0', pid: 1, uptimeMs: 1, rssBytes: 1 },
    signalling: { state: 'online', service: 'xmpp://203.0.113.9', error: null, sinceMs: 1 },
    nat: { class: 'endpoint-independent', mapped: ['203.0.113.7:4000'], local: ['192.168.1.5:4000'] },
    problems: [],
    ringComplete: true,
    ...over,
  }) as Status;
const peer = (name: string, digit: string, over: Partial<Peer> = {}): Peer => ({
  id: id(digit),
  name,
  addresses: ['10.45.0.1'],
  kinds: ['successor'],
  path: 'direct',
  local: { address: '192.168.1.5:4000', type: 'host' },
  remote: { address: '203.0.113.8:4000', type: 'srflx' },
  rttMs: 12.3456,
  loss: 0.01,
  txBytes: 1_000,
  rxBytes: 500,
  sinceMs: 60_000,
  ...over,
});

describe('the map of one node', () => {
  it('has its own tunnels, with round trip, loss and kind', () => {
    const { self, title, nodes, edges } = modelOfNode(
      status(),
      [peer('a', '9'), peer('z', '1', { kinds: ['predecessor', 'long-distance'] })],
      undefined,
      NOW,
    );
    expect([self, title]).to.deep.equal(['me', 'lab']);
    expect(nodes.map(({ name }) => name)).to.deep.equal(['z', 'me', 'a']);
    expect(edges).to.deep.equal([
      {
        a: 'a',
        b: 'me',
        kinds: ['successor'],
        state: 'up',
        path: 'direct',
        rttMs: 12.35,
        loss: 0.01,
        bps: null,
        since: '2026-11-30T11:59:00.000Z',
      },
      {
        a: 'me',
        b: 'z',
        kinds: ['successor', 'long-distance'],
        state: 'up',
        path: 'direct',
        rttMs: 12.35,
        loss: 0.01,
        bps: null,
        since: '2026-11-30T11:59:00.000Z',
      },
    ]);
  });

  it('tells throughput by what was counted before, and nothing after a new start of the counting', () => {
    const before = countedOf([peer('a', '9')], NOW - 2_000);
    const bps = (over: Partial<Peer>): number | null | undefined =>
      modelOfNode(status(), [peer('a', '9', over)], before, NOW).edges[0]?.bps;
    expect(bps({ txBytes: 251_000 })).to.equal(1_000_000);
    expect(bps({})).to.equal(0);
    expect(bps({ txBytes: 0, rxBytes: 0 })).to.equal(null);
  });

  it('tells relayed, by others and lost apart', () => {
    const relay = { address: '203.0.113.9:50000', type: 'relay' };
    const { edges } = modelOfNode(
      status(),
      [
        peer('a', '1', { path: 'webrtc', remote: relay }),
        peer('b', '2', { path: 'webrtc' }),
        peer('c', '3', { path: 'via', local: null, remote: null }),
        peer('d', '4', { path: 'none', sinceMs: null }),
        peer('e', '6', { path: 'via', kinds: [] }),
      ],
      undefined,
      NOW,
    );
    expect(edges.map(({ a, state, path }) => [a, state, path])).to.deep.equal([
      ['a', 'up', 'relayed'],
      ['b', 'up', 'direct'],
      ['c', 'down', 'via'],
      ['d', 'connecting', 'none'],
    ]);
  });

  it('says first what is wrong with the node, and gives no address away', () => {
    const model = modelOfNode(
      status({ tincan: null, problems: [{ kind: 'route', text: 'a route is missing' }] }),
      [peer('a', '9')],
      undefined,
      NOW,
    );
    expect(model.nodes.find(({ name }) => name === 'me')).to.deep.include({
      state: 'not-ready',
      reason: 'DataPlaneAbsent',
      message: 'a route is missing',
    });
    expect(JSON.stringify(model)).not.to.match(/192\.168|203\.0|10\.45/);
  });
});
