import { expect } from 'chai';
import type { Peer } from '../../agent/src/api.ts';
import { debianLimits } from './debian.ts';
import { NODES, relayed } from './internet.ts';
import { followers, gaps, withKind } from './ring.ts';
import { parseCounters, rates } from './traffic.ts';

const peer = (id: string, path: Peer['path']): Peer => ({ id, path, kinds: [] }) as unknown as Peer;

describe('what the run of 32 nodes looks at', () => {
  it('is 32 nodes, 16 of them behind NATs of both kinds, with names and addresses of their own', () => {
    const of = (kind: string) => NODES.filter(({ attachment }) => attachment === kind).length;
    expect([of('public'), of('port-preserving'), of('random-port')]).to.deep.equal([16, 10, 6]);
    expect(new Set(NODES.map(({ name }) => name)).size).to.equal(32);
    expect(new Set(NODES.filter(({ prefix }) => prefix === 30).map(({ address }) => address)).size).to.equal(16);
    expect(NODES.every(({ name }) => `to-${name}`.length <= 15)).to.equal(true);
  });

  it('tells pairs that need a relay: a random port at one end, a NAT at the other, and no common LAN', () => {
    const of = (name: string) => NODES.find((node) => node.name === name) ?? expect.fail(name);
    const pairs = [
      'office1a office1b',
      'office1a office2a',
      'lte1 home1a',
      'lte1 lte2',
      'cloud1 lte1',
      'home1a home2a',
    ];
    const needs = pairs.filter((pair) => relayed(of(pair.split(' ')[0] ?? ''), of(pair.split(' ')[1] ?? '')));
    expect(needs).to.deep.equal(['office1a office2a', 'lte1 home1a', 'lte1 lte2']);
  });

  it('is a ring when each has a tunnel to the next that both ends know', () => {
    expect([...followers(['b', 'c', 'a'])]).to.deep.equal([
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'a'],
    ]);
    const closed = new Map([
      ['a', [peer('b', 'direct'), peer('c', 'webrtc')]],
      ['b', [peer('a', 'direct'), peer('c', 'direct')]],
      ['c', [peer('a', 'direct'), peer('b', 'direct')]],
    ]);
    expect(gaps(['a', 'b', 'c'], closed)).to.deep.equal([]);
    expect(gaps(['a', 'b', 'c'], new Map([...closed, ['c', [peer('a', 'via'), peer('b', 'direct')]]]))).to.deep.equal([
      'c',
    ]);
    expect(gaps(['a', 'b', 'c'], new Map([...closed, ['b', [peer('c', 'direct')]]]))).to.deep.equal(['a']);
    expect(
      withKind(
        [
          ['b', ['successor']],
          ['c', ['long-distance']],
          ['a', ['successor']],
        ],
        'successor',
      ),
    ).to.deep.equal(['a', 'b']);
  });

  it('is counted by nft', () => {
    const listing = (bytes: number) =>
      JSON.stringify({
        nftables: [{ metainfo: {} }, { counter: { family: 'inet', name: 'probe', handle: 1, packets: 2, bytes } }],
      });
    const [before, after] = [parseCounters(listing(100)), parseCounters(listing(700))];
    expect(before).to.deep.equal({ probe: { packets: 2, bytes: 100 } });
    expect(rates(before, after, 60)).to.deep.equal({ probe: 10 });
  });

  it("exchanges Prosody's limits and nothing else, and says so when there are none", () => {
    const own = 'modules_enabled = { "limits" }\nlimits = { c2s = { rate = "64kb/s", burst = "4s" } }\nx = 1\n';
    expect(debianLimits(own).text).to.equal(
      'modules_enabled = { "limits" }\nlimits = { c2s = { rate = "10kb/s" }, s2sin = { rate = "30kb/s" } }\nx = 1\n',
    );
    expect(() => debianLimits('x = 1\n')).to.throw('no limits');
  });
});
