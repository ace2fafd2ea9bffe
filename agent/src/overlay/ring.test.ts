import { expect } from 'chai';
import { nearest, Ring } from './ring.ts';

const ids = ['00a0', '1000', '8000', 'f000'];

describe('a ring', () => {
  it('has its members in the order of their ids, each once', () => {
    expect([...Ring.of(['f000', '1000', '8000', '1000', '00a0'])]).to.deep.equal(ids);
    expect(Ring.of(ids).with('8000').size).to.equal(4);
    expect([...Ring.of(ids).with('4000')]).to.deep.equal(['00a0', '1000', '4000', '8000', 'f000']);
  });

  it('has those of two together, each once, and how many there are by the newer word', () => {
    const ring = Ring.of(['8000', '1000'], 7);
    expect([...ring.and(['f000', '1000'])]).to.deep.equal(['1000', '8000', 'f000']);
    expect([ring.and(['f000']).total, ring.and(Ring.of(['f000'], 9)).total, ring.with('2').total]).to.deep.equal([
      7, 9, 7,
    ]);
    expect([Ring.of(['1']).partial, ring.partial, ring.and(Ring.of(['1'])).partial]).to.deep.equal([
      false,
      true,
      false,
    ]);
  });

  it('is walked from any of them both ways round, without that one', () => {
    const ring = Ring.of(ids);
    expect([...ring.clockwise('8000')]).to.deep.equal(['f000', '00a0', '1000']);
    expect([...ring.counterclockwise('8000')]).to.deep.equal(['1000', '00a0', 'f000']);
    expect([...ring.counterclockwise('00a0')]).to.deep.equal(['f000', '8000', '1000']);
    expect([...Ring.of(['1000']).clockwise('1000')]).to.deep.equal([]);
  });

  it('is walked from where a node would stand that is no member', () => {
    expect([...Ring.of(ids).clockwise('9000')]).to.deep.equal(['f000', '00a0', '1000', '8000']);
    expect([...Ring.of(ids).counterclockwise('9000')]).to.deep.equal(['8000', '1000', '00a0', 'f000']);
  });

  it('gives a place to the first member at or after it, across its zero', () => {
    const ring = Ring.of(ids);
    expect(['0000', '1000', '1001', 'f001'].map((at) => ring.atOrAfter(at))).to.deep.equal([
      '00a0',
      '1000',
      '8000',
      '00a0',
    ]);
    expect(Ring.empty.atOrAfter('1000')).to.equal(undefined);
  });

  it('knows its members', () => {
    const ring = Ring.of(ids);
    expect([ring.has('8000'), ring.has('8001'), ring.has(''), Ring.empty.has('')]).to.deep.equal([
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('the nearest', () => {
  it('are as many further ones as there are suspects among them', () => {
    const suspects = new Set(['b', 'd']);
    const suspected = (id: string) => suspects.has(id);
    expect(nearest(['a', 'b', 'c', 'd', 'e', 'f'], 3, suspected)).to.deep.equal(['a', 'b', 'c', 'e']);
    expect(nearest(['b', 'd'], 2, suspected)).to.deep.equal(['b', 'd']);
  });
});
