import { expect } from 'chai';
import type { NodeId } from '../wire/ids.ts';
import { ANSWER_MS, Pull } from './pull.ts';

const id = (n: number): NodeId => n.toString(16).padStart(32, '0');

describe('who came into a large overlay', () => {
  it('asks one neighbour for members after the last it was told of, until there are no more', () => {
    const pull = new Pull();
    expect(pull.ask(['p', 'q'], 0)).to.deep.equal([{ kind: 'ask', peer: 'p', after: id(0) }]);
    expect(pull.ask(['p', 'q'], 10)).to.deep.equal([]);
    expect(pull.took('p', id(0), [id(1), id(2)], 20)).to.deep.equal([{ kind: 'ask', peer: 'p', after: id(2) }]);
    expect(pull.took('p', id(2), [], 30)).to.deep.equal([{ kind: 'done' }]);
    expect(pull.deadline()).to.equal(undefined);
    expect(pull.ask(['p', 'q'], 99_000)).to.deep.equal([]);
  });

  it('asks another one when the first does not answer, or is a neighbour no more', () => {
    const pull = new Pull();
    pull.ask(['p', 'q'], 0);
    expect(pull.deadline()).to.equal(ANSWER_MS);
    expect(pull.ask(['p', 'q'], ANSWER_MS)).to.deep.equal([{ kind: 'ask', peer: 'q', after: id(0) }]);
    expect(pull.ask(['p'], ANSWER_MS + 1)).to.deep.equal([{ kind: 'ask', peer: 'p', after: id(0) }]);
    expect(pull.ask([], ANSWER_MS + 2)).to.deep.equal([]);
    expect(pull.deadline()).to.equal(undefined);
  });

  it('takes no answer to what it did not ask, from others, or that does not ascend', () => {
    const pull = new Pull();
    pull.ask(['p', 'q'], 0);
    expect(pull.took('q', id(0), [id(1)], 10)).to.deep.equal([]);
    expect(pull.took('p', id(7), [id(9)], 10)).to.deep.equal([]);
    expect(pull.took('p', id(0), [id(2), id(1)], 10)).to.deep.equal([]);
    expect(pull.took('p', id(0), [id(1)], 10)).to.deep.equal([{ kind: 'ask', peer: 'p', after: id(1) }]);
  });
});
