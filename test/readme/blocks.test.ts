import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { blocksOf, onlyBlock } from './blocks.ts';

describe('the code blocks of a README', () => {
  it('are those after a mark, with the machines that run them, as they are typed', () => {
    const text =
      'words\n\n    not this\n\n<!-- readme: a b -->\n\n    one\n      two\n\nwords\n<!-- readme: c -->\n    three\nend\n';
    expect(blocksOf(text)).to.deep.equal([
      { on: ['a', 'b'], code: 'one\n  two\n' },
      { on: ['c'], code: 'three\n' },
    ]);
    expect(onlyBlock(text, 'c')).to.equal('three\n');
    expect(() => onlyBlock(text, 'd')).to.throw('0 blocks for d');
    expect(() => blocksOf('<!-- readme: a -->\n\nwords\n\n    late\n')).to.throw('no code after line 1');
  });

  it('of ours lead from a build to a network, and from Helm to a connectivity test', () => {
    const text = readFileSync('README.md', 'utf8');
    expect(blocksOf(text).map(({ on }) => on.join(' '))).to.deep.equal([
      'build',
      'server pi1 pi2',
      'server',
      'pi1 pi2',
      'pi1',
      'cluster',
    ]);
    expect(onlyBlock(text, 'cluster')).to.match(/^helm install [\s\S]*\nevio connectivity test\n$/);
  });
});
