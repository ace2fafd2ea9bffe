import { expect } from 'chai';
import { anchorsOf } from './links.ts';
import { pages } from './pages.ts';
import { fileOf, site } from './site.ts';

describe('the pages as a site', () => {
  it('link each other by file and heading, and to nothing that is no page', () => {
    const text =
      '# One `x`\n\n## A & B\n[two](two.md#a--b) [top](../TOP.md) [code](../src/a.ts) [web](https://example.org)\n\n| a |\n|---|\n| `b` |\n';
    const files = site([
      { path: 'docs/README.md', text: '# All\n- [One](one.md)\n' },
      { path: 'docs/one.md', text },
      { path: 'docs/two.md', text: '# Two\n## A & B\n' },
      { path: 'TOP.md', text: '# Top\n' },
    ]);
    expect([...files.keys()]).to.deep.equal(['index.html', 'one.html', 'two.html', 'top-top.html']);
    const one = files.get('one.html') ?? '';
    expect(one).to.include('<title>One x - Evio</title>');
    expect(one).to.include('<a href="two.html#a--b">two</a>').and.include('<a href="top-top.html">top</a> code ');
    expect(one).to.include('<h2 id="a--b">').and.include('<td><code>b</code></td>');
  });

  it('of ours have every heading that is linked, and ask nobody else for anything', () => {
    const all = pages();
    const files = site(all);
    expect(files.size).to.equal(all.length);
    for (const { path, text } of all) {
      const html = files.get(fileOf(path)) ?? '';
      for (const anchor of anchorsOf(text)) expect(html, path).to.include(`id="${anchor}"`);
      expect(html, path).not.to.match(/<(script|link|iframe)\b|\bsrc="https?:/);
      for (const [, to = '', anchor] of html.matchAll(/href="([a-z0-9-]+\.html)(?:#([^"]*))?"/g)) {
        expect(files.has(to), `${path}: ${to}`).to.equal(true);
        if (anchor !== undefined) expect(files.get(to), `${path}: ${to}#${anchor}`).to.include(`id="${anchor}"`);
      }
    }
  });
});
