import { expect } from 'chai';
import { UsageError } from '../failure.ts';
import { coturnRange, DENIED_PEERS } from './ranges.ts';

describe('peer ranges of coturn', () => {
  const CASES = [
    ['10.0.0.0/8', '10.0.0.0-10.255.255.255'],
    ['100.64.0.0/10', '100.64.0.0-100.127.255.255'],
    ['10.244.3.7/24', '10.244.3.0-10.244.3.255'],
    ['0.0.0.0/0', '0.0.0.0-255.255.255.255'],
    ['192.0.2.7', '192.0.2.7'],
    ['192.0.2.7/32', '192.0.2.7-192.0.2.7'],
    ['fe80::/10', 'fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::1', '::1'],
  ] as const;
  for (const [given, range] of CASES) {
    it(`${given} is ${range}`, () => expect(coturnRange(given, '--deny-peer')).to.equal(range));
  }

  it('are refused with the option and the value named', () => {
    for (const bad of ['10.0.0.0/33', '10.0.0', 'x', '', '10.0.0.0/8/8', '::/129']) {
      expect(() => coturnRange(bad, '--deny-peer')).to.throw(UsageError, `--deny-peer: "${bad}" is not allowed`);
    }
  });

  it('never end in the unspecified address, which coturn takes for no end at all', () => {
    for (const bad of ['::', '::/128', '0.0.0.0', '0.0.0.0/32']) {
      expect(() => coturnRange(bad, '--deny-peer'), bad).to.throw(UsageError, 'unspecified');
    }
    expect(DENIED_PEERS.map((range) => coturnRange(range, '')).join()).not.to.match(/-(::|0\.0\.0\.0)(,|$)/);
  });

  it('deny no address of the internet, and none of the documentation ranges', () => {
    const inside = (address: string): boolean => {
      const number = (text: string): number => text.split('.').reduce((n, byte) => n * 256 + Number(byte), 0);
      return DENIED_PEERS.filter((range) => !range.includes(':')).some((range) => {
        const [first = '', last = ''] = coturnRange(range, '').split('-');
        return number(address) >= number(first) && number(address) <= number(last);
      });
    };
    for (const open of ['203.0.113.10', '198.51.100.6', '192.0.2.6', '9.9.9.9', '100.63.255.255', '172.32.0.1']) {
      expect(inside(open), open).to.equal(false);
    }
    for (const shut of [
      '10.96.0.1',
      '127.0.0.53',
      '169.254.169.254',
      '192.168.1.1',
      '100.64.0.1',
      '172.16.0.1',
      '0.0.0.0',
    ]) {
      expect(inside(shut), shut).to.equal(true);
    }
  });
});
