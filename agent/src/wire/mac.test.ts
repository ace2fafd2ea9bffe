import { expect } from 'chai';
import { parsePrefix } from './address.ts';
import { allows, isGroup, isRuled, linkLocalOf, macRulesOf, nodeMac, podMac4 } from './mac.ts';

describe('the MAC rule', () => {
  it('derives the MAC of a node and of a pod from its IPv4 address', () => {
    expect(nodeMac([parsePrefix('2001:db8::1/64'), parsePrefix('10.1.2.3/16')], 7n)).to.equal('02:45:0a:01:02:03');
    expect(podMac4('10.244.3.9')).to.equal('02:46:0a:f4:03:09');
  });

  it('allots a number where there is only IPv6', () => {
    expect(nodeMac([parsePrefix('2001:db8::1/64')], 0x12345n)).to.equal('02:47:00:00:23:45');
  });

  it('gives the link-local address of a MAC', () => {
    expect(linkLocalOf('02:45:0a:01:02:03')).to.equal('fe80::45:aff:fe01:203');
  });

  it('lets a node use its own MAC and those of its pods, and no other', () => {
    const rules = macRulesOf([parsePrefix('10.1.0.7/16')], [parsePrefix('10.244.7.0/24')], 3n);
    expect(rules).to.deep.equal([
      { mac: '02:45:0a:01:00:07', mask: 'ff:ff:ff:ff:ff:ff' },
      { mac: '02:46:0a:f4:07:00', mask: 'ff:ff:ff:ff:ff:00' },
    ]);
    expect(allows(rules, '02:45:0a:01:00:07')).to.equal(true);
    expect(allows(rules, '02:45:0a:01:00:08')).to.equal(false);
    expect(allows(rules, '02:46:0a:f4:07:ff')).to.equal(true);
    expect(allows(rules, '02:46:0a:f4:08:00')).to.equal(false);
  });

  it('tells ruled, foreign and group MACs apart', () => {
    expect(
      ['02:45:00:00:00:00', '02:47:ff:00:00:00', '02:48:00:00:00:00', '52:54:00:00:00:01'].map(isRuled),
    ).to.deep.equal([true, true, false, false]);
    expect(['ff:ff:ff:ff:ff:ff', '33:33:00:00:00:01', '02:45:00:00:00:00'].map(isGroup)).to.deep.equal([
      true,
      true,
      false,
    ]);
  });
});
