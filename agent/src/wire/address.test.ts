import { expect } from 'chai';
import fc from 'fast-check';
import {
  contains,
  formatAddress,
  formatEndpoint,
  networkOf,
  parseAddress,
  parseEndpoint,
  parsePrefix,
} from './address.ts';
import { DecodeError } from './reader.ts';

const CASES = [
  { text: '192.0.2.1', hex: 'c0000201' },
  { text: '::', hex: '00000000000000000000000000000000' },
  { text: '::1', hex: '00000000000000000000000000000001' },
  { text: '2001:db8::1', hex: '20010db8000000000000000000000001' },
  { text: '2001:db8:0:1:1:1:1:1', hex: '20010db8000000010001000100010001' },
  { text: '2001:0:0:1::1', hex: '20010000000000010000000000000001' },
];

describe('addresses', () => {
  for (const { text, hex } of CASES)
    it(`${text} survives both directions`, () => {
      expect(parseAddress(text).toString('hex')).to.equal(hex);
      expect(formatAddress(Buffer.from(hex, 'hex'))).to.equal(text);
    });

  it('every 16 bytes have one text, and the text gives the bytes back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 })), { minLength: 16, maxLength: 16 }),
        (b) => {
          expect([...parseAddress(formatAddress(Buffer.from(b)))]).to.deep.equal(b);
        },
      ),
    );
  });

  it('IPv6 with an IPv4 tail is read', () => {
    expect(formatAddress(parseAddress('::ffff:192.0.2.1'))).to.equal('::ffff:c000:201');
  });

  it('prefixes know their network and what lies inside', () => {
    expect(networkOf(parsePrefix('10.1.2.3/16')).address).to.equal('10.1.0.0');
    expect(networkOf(parsePrefix('2001:db8:ffff::1/33')).address).to.equal('2001:db8:8000::');
    expect(contains(parsePrefix('10.1.0.0/16'), '10.1.255.255')).to.equal(true);
    expect(contains(parsePrefix('10.1.0.0/16'), '10.2.0.0')).to.equal(false);
    expect(contains(parsePrefix('0.0.0.0/0'), '2001:db8::1')).to.equal(false);
  });

  it('endpoints survive both directions', () => {
    for (const text of ['192.0.2.1:7000', '[2001:db8::1]:65535'])
      expect(formatEndpoint(parseEndpoint(text))).to.equal(text);
  });

  for (const bad of [
    '',
    '10.0.0.1',
    '10.0.0.256:1',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '::1:1',
    '[10.0.0.1]:1',
    '[fe80::1%eth0]:1',
    '[::1]',
  ])
    it(`refuses the endpoint "${bad}"`, () => {
      expect(() => parseEndpoint(bad)).to.throw(DecodeError);
    });

  for (const bad of ['', '10.0.0.0', '10.0.0.0/33', '::/129', '10.0.0/8', '10.0.0.0/-1', 'a/8'])
    it(`refuses the prefix "${bad}"`, () => {
      expect(() => parsePrefix(bad)).to.throw(DecodeError);
    });
});
