import { expect } from 'chai';
import { Underlay } from './underlay.ts';

describe('the underlay', () => {
  const underlay = new Underlay(['10.99.0.0/16', 'fd00:99::/64']);

  for (const address of ['192.0.2.1', '10.98.0.1', '192.168.1.7', '2001:db8::1', 'fd00:98::1'])
    it(`has ${address}`, () => expect(underlay.usable(address)).to.equal(true));

  for (const address of [
    '10.99.3.4',
    'fd00:99::7',
    '127.0.0.1',
    '0.0.0.0',
    '169.254.1.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'ff02::1',
    '::ffff:192.0.2.1',
    'localhost',
    '192.0.2.1:80',
    '',
  ])
    it(`has no ${address === '' ? 'empty address' : address}`, () => expect(underlay.usable(address)).to.equal(false));
});
