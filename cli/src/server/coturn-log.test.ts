import { expect } from 'chai';
import { coturnMatters } from './coturn-log.ts';

const refused = (peer: string, at = 0): readonly string[] => [
  `${at}: : ERROR: A peer IP ${peer} denied in the range: 192.168.0.0-192.168.255.255`,
  `${at}: : session 000000000000000001: realm <evio.internal> user <1796112000:edge1>: incoming packet CREATE_PERMISSION processed, error 403: Forbidden IP`,
];
const told = (lines: readonly string[]): readonly string[] => lines.filter(coturnMatters());

describe("coturn's log", () => {
  it('tells once of each private address that is refused', () => {
    const lines = [...refused('192.168.1.10'), ...refused('192.168.1.10', 5), ...refused('192.168.2.10', 6)];
    expect(told(lines)).to.deep.equal([refused('192.168.1.10')[0], refused('192.168.2.10', 6)[0]]);
  });

  it('tells of every other error, however often it comes', () => {
    const error = '7: : ERROR: Cannot bind the listener socket to device lo';
    const quota =
      '8: : session 000000000000000002: realm <evio.internal> user <x>: incoming packet ALLOCATE processed, error 486: Allocation Quota Reached';
    expect(told([error, quota, error])).to.deep.equal([error, error]);
    expect(told([...refused('192.168.1.10'), error])).to.include(error);
  });

  it('forgets the oldest of very many addresses, and none else', () => {
    const many = Array.from({ length: 1_000 }, (_, n) => refused(`10.0.${n >> 8}.${n & 255}`)[0] ?? '');
    const [first = '', second = ''] = many;
    expect(told([...many, refused('10.1.0.0')[0] ?? '', second, first])).to.deep.equal([
      ...many,
      refused('10.1.0.0')[0],
      first,
    ]);
  });
});
