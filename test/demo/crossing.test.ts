import { expect } from 'chai';
import { atCoturn, type Counts, grown, parseSets, payload, total } from './counters.ts';
import { judge, type Seen } from './crossing.ts';
import { byName } from './internet.ts';

const SENT = 10_000;
const counts = (entries: Readonly<Record<string, number>>): Counts =>
  new Map(Object.entries(entries).map(([key, bytes]) => [key, { packets: Math.ceil(bytes / 1000), bytes }]));
const seen = (entries: Partial<Record<keyof Seen, Readonly<Record<string, number>>>>): Seen => ({
  router: counts(entries.router ?? {}),
  coturn: counts(entries.coturn ?? {}),
  lan: counts(entries.lan ?? {}),
});
const went = (from: string, to: string, entries: Parameters<typeof seen>[0]): string =>
  judge(byName(from), byName(to), SENT, seen(entries)).crossing;

describe('the way a pair went', () => {
  const lte = '192.0.2.14';
  const home = '192.0.2.6';
  const server = '203.0.113.10';
  const routerRelayed = {
    [`data ${lte} ${server}`]: 11_000,
    [`data ${server} ${lte}`]: 11_000,
    [`data ${home} ${server}`]: 11_000,
    [`data ${server} ${home}`]: 11_000,
  };
  const coturnRelayed = {
    [`in_client_data ${lte}`]: 11_000,
    [`out_client_data ${lte}`]: 11_000,
    [`in_peer_data ${home}`]: 11_000,
    [`out_peer_data ${home}`]: 11_000,
  };
  const direct = { [`data ${lte} 198.51.100.6`]: 11_000, [`data 198.51.100.6 ${lte}`]: 11_000 };

  it('is by TURN when the router and coturn both took it in and gave it out, for both ends', () => {
    expect(went('lte1', 'home1', { router: routerRelayed, coturn: coturnRelayed })).to.equal('relayed');
    expect(went('lte1', 'home1', { router: routerRelayed })).to.equal('other');
    expect(went('lte1', 'home1', { coturn: coturnRelayed })).to.equal('other');
    for (const key of Object.keys(coturnRelayed))
      expect(went('lte1', 'home1', { router: routerRelayed, coturn: { ...coturnRelayed, [key]: 900 } }), key).to.equal(
        'other',
      );
  });

  it('is direct when both directions crossed the router and coturn saw next to nothing', () => {
    expect(went('lte1', 'cloud1', { router: direct })).to.equal('direct');
    expect(went('lte1', 'cloud1', { router: direct, coturn: { [`in_client_data ${lte}`]: 500 } })).to.equal('direct');
    expect(went('lte1', 'cloud1', { router: direct, coturn: { [`in_client_data ${lte}`]: 9000 } })).to.equal('other');
    expect(went('lte1', 'cloud1', { router: { ...direct, [`data ${lte} 198.51.100.6`]: 10 } })).to.equal('other');
  });

  it('is the LAN only when its ports saw it by private addresses and the NAT did not', () => {
    const bridged = { 'bridged 192.168.1.10 192.168.1.20': 11_000, 'bridged 192.168.1.20 192.168.1.10': 11_000 };
    expect(went('home1', 'desk1', { lan: bridged })).to.equal('lan');
    expect(went('home1', 'desk1', {})).to.equal('other');
    expect(went('home1', 'desk1', { lan: { ...bridged, 'routed 192.168.1.10 192.168.1.20': 100 } })).to.equal('other');
    expect(went('home1', 'desk1', { lan: { ...bridged, 'routed 192.168.1.10 198.51.100.6': 500 } })).to.equal('lan');
    expect(went('home1', 'desk1', { lan: { ...bridged, 'routed 192.168.1.10 203.0.113.10': 20_000 } })).to.equal(
      'other',
    );
    // Two hosts of that address stand in two LANs; what home1's LAN saw is no word on home2.
    expect(went('home2', 'desk1', { lan: bridged })).to.equal('other');
  });
});

describe('counters', () => {
  const listing = JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { set: { family: 'ip', name: 'empty', table: 'evio_count' } },
      {
        set: {
          name: 'in_client_data',
          elem: [{ elem: { val: '192.0.2.6', counter: { packets: 2, bytes: 1056 } } }],
        },
      },
      {
        set: {
          name: 'data',
          elem: [{ elem: { val: { concat: ['192.0.2.6', '203.0.113.10'] }, counter: { packets: 3, bytes: 300 } } }],
        },
      },
    ],
  });

  it('are read from what nft lists, by set and key', () => {
    const read = parseSets(listing);
    expect([...read.keys()]).to.deep.equal(['in_client_data 192.0.2.6', 'data 192.0.2.6 203.0.113.10']);
    expect(payload(atCoturn(read, { way: 'in', kind: 'data' }))).to.equal(1000);
    expect(atCoturn(read, { kind: 'data', address: '192.0.2.60' }).bytes).to.equal(0);
    expect(atCoturn(read, { leg: 'peer' }).bytes).to.equal(0);
  });

  it('are compared key by key, with keys that are new', () => {
    const added = grown(counts({ 'data a b': 1000 }), counts({ 'data a b': 3000, 'data b a': 500 }));
    expect(total(added)).to.deep.equal({ packets: 3, bytes: 2500 });
    expect(total(added, (key) => key.endsWith(' a')).bytes).to.equal(500);
  });
});
