import { expect } from 'chai';
import { usageOf } from './coturn-log.ts';
import { misusers, shares } from './servers.ts';

const LOG = `coturn: 58: : session 001000000000000021: usage: realm=<evio.example>, username=<1795719064:lte1.mesh>, rp=1123, rb=1111873, sp=932, sb=118721
coturn: 58: : session 001000000000000021: peer usage: realm=<evio.example>, username=<1795719064:lte1.mesh>, rp=930, rb=114945, sp=1111, sb=1105645
coturn: 59: : session 000000000000000007: peer usage: realm=<evio.example>, username=<1795719064:lte1.mesh>, rp=770, rb=1000, sp=1278, sb=2000
coturn: 59: : session 001000000000000021: peer usage: realm=<evio.example>, username=<1795719064:lte1.mesh>, rp=770, rb=5, sp=1278, sb=7
coturn: 59: : session 000000000000000009: peer usage: realm=<evio.example>, username=<1795719064:cloud1.mesh>, rp=0, rb=0, sp=0, sb=0
coturn: 60: : session 000000000000000008: peer usage: realm=<evio.example>, username=<1795719064:office1.ring>, rp=770, rb=5, sp=1278, sb=7
`;

describe("coturn's usage lines", () => {
  it("add up on the allocations' side, by node of one overlay, without allocations that relayed nothing", () => {
    expect([...usageOf(LOG, 'mesh')]).to.deep.equal([
      ['lte1', { allocations: 2, fromPeers: 115_950, toPeers: 1_107_652 }],
    ]);
    expect([...usageOf(LOG, 'ring').keys()]).to.deep.equal(['office1']);
  });

  it('are wrong about a pair without an allocation, and about a node without relayed pairs', () => {
    const usage = { allocations: 1, fromPeers: 1, toPeers: 1 };
    const of = (...names: string[]): readonly string[] => misusers(new Map(names.map((name) => [name, usage])));
    expect(of('lte1', 'office1')).to.deep.equal([]);
    expect(of('lte1', 'home1', 'home2', 'desk1')).to.deep.equal([]);
    expect(of('lte1', 'home1', 'home2')).to.deep.equal([
      'office1-desk1 had no allocation',
      'desk1-office1 had no allocation',
    ]);
    expect(of('lte1', 'office1', 'cloud1')).to.deep.equal(['cloud1 has no relayed pair']);
  });
});

describe('what crossed the server host', () => {
  it('is told apart, without what coturn sent to itself', () => {
    const bytes = {
      'in_ip 192.0.2.14': 1000,
      'out_ip 192.0.2.6': 500,
      'out_ip 203.0.113.10': 300,
      'in_client_data 192.0.2.14': 600,
      'in_client_stun 192.0.2.14': 100,
      'out_peer_stun 192.0.2.6': 50,
      'out_peer_data 203.0.113.10': 300,
    };
    const counts = new Map(Object.entries(bytes).map(([key, count]) => [key, { packets: 1, bytes: count }]));
    expect(shares(counts)).to.deep.equal({ relayed: 600, consent: 50, control: 100, xmpp: 750, all: 1500 });
  });
});
