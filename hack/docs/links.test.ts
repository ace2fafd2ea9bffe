import { expect } from 'chai';
import { anchorsOf, brokenLinks, linksOf, slugOf, unreachable } from './links.ts';
import { exists, pages } from './pages.ts';

describe('links of Markdown pages', () => {
  it('are found in words, tables and lists, and not in code', () => {
    const text =
      'a [b](c.md#d) `[no](no.md)`\n\n    [no](no.md)\n\n- [e](f.md)\n    [g](h.md)\n```\n[no](no.md)\n```\n![p](p.svg)\n';
    expect(linksOf(text)).to.deep.equal([
      { target: 'c.md#d', line: 1 },
      { target: 'f.md', line: 5 },
      { target: 'h.md', line: 6 },
      { target: 'p.svg', line: 10 },
    ]);
  });

  it('know headings by the names that GitHub gives them', () => {
    expect(slugOf('Kubernetes (`make test-cluster`)')).to.equal('kubernetes-make-test-cluster');
    expect(slugOf("Use it as a cluster's network")).to.equal('use-it-as-a-clusters-network');
    expect([...anchorsOf('# A\n## A\n```\n# no\n```\n<a id="own"></a>\n')]).to.deep.equal(['a', 'a-1', 'own']);
  });

  it('that lead nowhere are named with file and line', () => {
    const some = [
      { path: 'a.md', text: '# A\n[x](docs/b.md#b) [y](docs/c.md) [z](#q) [w](https://example.org/#x)\n' },
      { path: 'docs/b.md', text: '# B\n[up](../a.md#a) [x](../a.md#b)\n' },
    ];
    expect(brokenLinks(some, (path) => path === 'LICENSE')).to.deep.equal([
      'a.md:2: docs/c.md: there is no docs/c.md',
      'a.md:2: #q: a.md has no heading for #q',
      'docs/b.md:2: ../a.md#b: a.md has no heading for #b',
    ]);
  });

  it('of ours lead to files and headings that are there', () => {
    expect(brokenLinks(pages(), exists)).to.deep.equal([]);
  });

  it('of ours lead from the README to every page', () => {
    expect(unreachable(pages(), 'README.md')).to.deep.equal([]);
  });
});
