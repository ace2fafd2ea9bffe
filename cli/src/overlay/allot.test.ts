import { expect } from 'chai';
import fc from 'fast-check';
import { contains, parsePrefix } from '../../../agent/src/wire/address.ts';
import { hostAddress } from '../../../agent/src/wire/pool.ts';
import { Failure, UsageError } from '../failure.ts';
import { allot } from './allot.ts';
import { longDistanceOf, parseMtu, parseSubnet } from './create.ts';
import { parseRoute } from './enroll.ts';

const subnet4 = parsePrefix('10.45.0.0/16');
const subnet6 = parsePrefix('fd00:45::/64');
const BOTH = { subnet4, subnet6 };
const text = (taken: readonly string[], wishes = {}): string[] =>
  allot(BOTH, wishes, new Set(taken)).map((p) => `${p.address}/${p.length}`);

describe('the addresses a node gets', () => {
  it('are the lowest that are free in both families, and end alike', () => {
    expect(text([])).to.deep.equal(['10.45.0.1/16', 'fd00:45::1/64']);
    expect(text(['10.45.0.1', 'fd00:45::2'])).to.deep.equal(['10.45.0.3/16', 'fd00:45::3/64']);
  });

  it('go on over byte borders', () => {
    expect(hostAddress(subnet4, 256n)).to.equal('10.45.1.0');
    expect(hostAddress(subnet6, 65536n)).to.equal('fd00:45::1:0');
  });

  it('are those that are wished for, when they are free and in the subnet', () => {
    expect(text([], { address4: '10.45.7.9' })).to.deep.equal(['10.45.7.9/16', 'fd00:45::1/64']);
    expect(text([], { address6: 'FD00:45:0:0::00AB' })[1]).to.equal('fd00:45::ab/64');
    for (const bad of ['10.46.0.1', '10.45.0.0', '10.45.255.255', 'x', 'fd00:45::1']) {
      expect(() => text([], { address4: bad }), bad).to.throw(UsageError, `--address4: "${bad}" is not allowed`);
    }
    expect(() => text(['10.45.0.9'], { address4: '10.45.0.9' })).to.throw(UsageError, 'belongs to another node');
    expect(() => allot({ subnet4 }, { address6: 'fd00:45::1' }, new Set())).to.throw(
      UsageError,
      'no subnet of this family',
    );
  });

  it('run out with one clear line', () => {
    const tiny = { subnet4: parsePrefix('10.0.0.0/30') };
    expect(allot(tiny, {}, new Set(['10.0.0.1']))[0]?.address).to.equal('10.0.0.2');
    expect(() => allot(tiny, {}, new Set(['10.0.0.1', '10.0.0.2']))).to.throw(
      Failure,
      'no address is left in 10.0.0.0/30',
    );
  });

  it('are never given twice and never outside the subnet', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 30 }), fc.integer({ min: 1, max: 20 }), (length, nodes) => {
        const subnet = parsePrefix(`10.0.0.0/${length}`);
        const taken = new Set<string>();
        for (let i = 0; i < Math.min(nodes, 2 ** (32 - length) - 2); i++) {
          const [prefix] = allot({ subnet4: subnet }, {}, taken);
          expect(taken.has(prefix?.address as string)).to.equal(false);
          expect(contains(subnet, prefix?.address as string)).to.equal(true);
          taken.add(prefix?.address as string);
        }
      }),
    );
  });
});

describe('the options of an overlay', () => {
  it('name what is allowed when they are refused', () => {
    for (const bad of ['10.45.0.1/16', '10.45.0.0', '10.45.0.0/31', 'fd00::/64', 'auto', '']) {
      expect(() => parseSubnet('--subnet4', bad, 4), bad).to.throw(UsageError, '--subnet4');
    }
    expect(parseSubnet('--subnet4', 'none', 4)).to.equal(undefined);
    for (const bad of ['1279', '9001', 'big', '14e2', ''])
      expect(() => parseMtu(bad), bad).to.throw(UsageError, '--mtu');
    expect([parseMtu('auto'), parseMtu('1280')]).to.deep.equal([1400, 1280]);
    for (const bad of ['65', '-1', 'x', 'auto:65', '']) expect(() => longDistanceOf(bad), bad).to.throw(UsageError);
    for (const bad of ['10.244.3.1/24', '10.244.3.0', 'x'])
      expect(() => parseRoute(bad), bad).to.throw(UsageError, '--route');
  });

  it('draw a unique local prefix each time (RFC 4193)', () => {
    const [a, b] = [parseSubnet('--subnet6', 'auto', 6), parseSubnet('--subnet6', 'auto', 6)];
    expect(a?.address).to.match(/^fd[0-9a-f]{2}:/);
    expect(a?.length).to.equal(64);
    expect(a?.address).not.to.equal(b?.address);
  });
});
