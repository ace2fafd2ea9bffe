/** The Markdown pages as HTML: one file a page, no script, nothing from elsewhere. Pure. */
import { Marked } from 'marked';
import { type Page, slugOf } from './links.ts';

const INDEX = 'docs/README.md';

/** `docs/x.md` is x.html, its index index.html; pages of the top have names of their own, since some differ by case only. */
export function fileOf(path: string): string {
  if (path === INDEX) return 'index.html';
  const name = path.replace(/^docs\//, '').replace(/\.md$/, '');
  return path.startsWith('docs/') ? `${name}.html` : `top-${name.toLowerCase()}.html`;
}

/** By file name. */
export function site(pages: readonly Page[]): ReadonlyMap<string, string> {
  const known = new Set(pages.map(({ path }) => path));
  const index = pages.find(({ path }) => path === INDEX);
  if (index === undefined) throw new Error(`there is no ${INDEX}, which the pages are found by`);
  const navigation = body({ path: INDEX, text: index.text.slice(listStart(index.text)) }, known, 'nav-');
  return new Map(pages.map((page) => [fileOf(page.path), html(page, body(page, known), navigation)]));
}

/** The words before the first list, or the heading over it, are for the index alone. */
function listStart(text: string): number {
  const heading = text.indexOf('\n## ');
  return Math.max(0, heading >= 0 ? heading : text.indexOf('\n- '));
}

function body({ path, text }: Page, known: ReadonlySet<string>, prefix = ''): string {
  const counts = new Map<string, number>();
  const marked = new Marked({ gfm: true });
  marked.use({
    renderer: {
      heading({ tokens, depth, text: words }) {
        const slug = slugOf(words);
        const count = counts.get(slug) ?? 0;
        counts.set(slug, count + 1);
        const id = `${prefix}${count === 0 ? slug : `${slug}-${count}`}`;
        return `<h${depth} id="${escaped(id)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const words = this.parser.parseInline(tokens);
        const to = target(path, href, known);
        return to === undefined ? words : `<a href="${escaped(to)}">${words}</a>`;
      },
      // A wide table scrolls by itself, and by keyboard, not with the page.
      table(token) {
        const rows = [token.header, ...token.rows].map((row, at) => {
          const cells = row.map(({ tokens }) => {
            const words = this.parser.parseInline(tokens);
            return at === 0 ? `<th scope="col">${words}</th>` : `<td>${words}</td>`;
          });
          return `<tr>${cells.join('')}</tr>`;
        });
        return `<div class="table" tabindex="0" role="region" aria-label="table"><table>\n${rows.join('\n')}\n</table></div>\n`;
      },
    },
  });
  return marked.parse(text, { async: false });
}

/** Undefined for what is no page: a file of the repository. */
function target(from: string, href: string, known: ReadonlySet<string>): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(href) || href.startsWith('#')) return href;
  const [file = '', anchor] = href.split('#');
  const path = new URL(file, `https://site/${from}`).pathname.slice(1);
  if (!known.has(path)) return undefined;
  return fileOf(path) + (anchor === undefined ? '' : `#${anchor}`);
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => ENTITIES[c] ?? c);

const STYLE = `
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; display: grid; grid-template-columns: 17rem minmax(0, 1fr); }
nav { padding: 1rem; border-right: 1px solid var(--line); font-size: .85rem; height: 100vh; overflow: auto; position: sticky; top: 0; box-sizing: border-box; }
nav h2 { font-size: .95rem; margin: 1rem 0 .2rem; }
nav ul { padding-left: 1rem; margin: 0; }
main { padding: 1rem 2rem 4rem; max-width: 62rem; box-sizing: border-box; min-width: 0; }
pre, .table { overflow-x: auto; }
pre { background: var(--soft); padding: .8rem; border-radius: 4px; line-height: 1.35; }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
pre code { overflow-wrap: normal; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: Canvas; padding: .5rem; z-index: 1; }
@media (max-width: 50rem) { body { display: block; } nav { height: auto; position: static; border: 0; border-bottom: 1px solid var(--line); } main { padding: 1rem; } }
@media print { nav { display: none; } body { display: block; } }
`;

function html({ path, text }: Page, content: string, navigation: string): string {
  const title = (/^# (.*)$/m.exec(text)?.[1] ?? path).replace(/[`*]/g, '');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} - Evio</title>
<style>${STYLE}</style>
</head>
<body>
<nav aria-label="Pages">
<a class="skip" href="#content">Skip to the text</a>
<a href="index.html">Evio: all pages</a>
${navigation}</nav>
<main id="content">
${content}</main>
</body>
</html>
`;
}
