import { expect } from 'chai';
import { Complaints } from './complaints.ts';

const peer = 'b'.repeat(32);
const remote = '192.0.2.1:7000';

describe('what tincan complains of', () => {
  it('is said once, and known for as long as it is news', () => {
    const complaints = new Complaints(() => 'b');
    const narrow = { kind: 'narrow', peer, remote, recordSize: 1_200 } as const;
    expect(complaints.hear(narrow, 0)).to.have.length(1);
    expect(complaints.hear(narrow, 60_000)).to.deep.equal([]);
    expect(complaints.narrow(60_000)).to.deep.equal([{ name: 'b', remote, bytes: 1_228 }]);
    expect(complaints.narrow(600_000)).to.deep.equal([]);
    expect(complaints.hear({ kind: 'one-way', peer, remote }, 0)[0]?.message).to.match(/drops one direction$/);
    expect(complaints.oneWay(10_000)).to.deep.equal([{ name: 'b', remote }]);
  });

  it('of a neighbour that passes nothing on holds until it does again, or is no member', () => {
    const complaints = new Complaints(() => 'b');
    complaints.hear({ kind: 'forwards', peer, forwards: false }, 0);
    expect(complaints.holes).to.deep.equal([peer]);
    complaints.hear({ kind: 'forwards', peer, forwards: true }, 1);
    expect(complaints.holes).to.deep.equal([]);
    complaints.hear({ kind: 'forwards', peer, forwards: false }, 2);
    complaints.forget(peer);
    expect(complaints.holes).to.deep.equal([]);
  });

  it('of routes is what tincan said last, and that all is well again is said once', () => {
    const complaints = new Complaints(() => 'b');
    const problems = [{ kind: 'route', text: 'no route' }] as never;
    expect(complaints.hear({ kind: 'problems', problems }, 0)).to.deep.equal([{ level: 'warn', message: 'no route' }]);
    expect(complaints.problems).to.deep.equal(problems);
    expect(complaints.hear({ kind: 'problems', problems: [] }, 1).map(({ level }) => level)).to.deep.equal(['info']);
    expect(complaints.hear({ kind: 'problems', problems: [] }, 2)).to.deep.equal([]);
  });
});
