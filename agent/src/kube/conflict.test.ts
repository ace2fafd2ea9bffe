import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { conflicts, routes4, routes6 } from './conflict.ts';
import { ipamOf } from './ipam.ts';

const OWN = { bridge: 'evio0', pods: 'evc' };
const ROUTES4 = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
evio0\t00002D0A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
evc0\t0503F40A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
vpn0\t00012D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
const ROUTES6 = `fd450000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     vpn0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
`;

describe('routes that are in the way', () => {
  it('are those of other interfaces that overlap, and not the default route', () => {
    expect(conflicts(routes4(ROUTES4), ['10.45.0.0/16', '10.244.0.0/16'], OWN)).to.deep.equal([
      '10.45.1.0/24 on vpn0 overlaps 10.45.0.0/16 of the network',
    ]);
    expect(conflicts(routes4(ROUTES4), ['192.0.0.0/8'], OWN)).to.have.length(1);
    expect(conflicts(routes4(ROUTES4), ['172.16.0.0/12'], OWN)).to.deep.equal([]);
  });

  it('are found in IPv6 too', () => {
    expect(conflicts(routes6(ROUTES6), ['fd45::/48'], OWN)).to.deep.equal([
      'fd45::/64 on vpn0 overlaps fd45::/48 of the network',
    ]);
  });

  it('are read from this machine without a stumble', () => {
    for (const { prefix } of [
      ...routes4(readFileSync('/proc/net/route', 'utf8')),
      ...routes6(readFileSync('/proc/net/ipv6_route', 'utf8')),
    ])
      expect(prefix.length).to.be.within(0, 128);
  });

  it('nothing is made of what is no table', () => {
    for (const text of ['', 'x', 'eth0\tzz\t\t\t\t\t\tFF', 'a b c d e f g h i j'])
      expect([...routes4(text), ...routes6(text)]).to.deep.equal([]);
  });
});

describe('addresses of pods', () => {
  it('are counted in the family that has fewer left', () => {
    const names = ['10.244.3.2', '10.244.3.3', 'fd00:10:244:3::2', 'last', 'lock', '10.244.4.1'];
    expect(ipamOf(['10.244.3.0/24', 'fd00:10:244:3::/64'], names, false)).to.deep.equal({ used: 2, free: 252 });
    expect(ipamOf(['10.244.3.0/24'], names, true)).to.deep.equal({ used: 2, free: 251 });
    expect(ipamOf([], names, false)).to.equal(undefined);
  });
});
