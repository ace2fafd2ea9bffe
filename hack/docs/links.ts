/** Links of our Markdown pages: where they lead to, and which lead nowhere. Pure. */

export interface Page {
  /** Relative to the top of the repository. */
  readonly path: string;
  readonly text: string;
}

/** Text without what is code: indented or fenced blocks, and words between backticks. */
function prose(text: string): string {
  let fenced = false;
  let blank = true;
  let code = false;
  return text
    .split('\n')
    .map((line) => {
      if (/^\s*```/.test(line)) fenced = !fenced;
      const indented = /^ {4}/.test(line);
      // An indented block begins after a blank line; within a list or a paragraph it is only indented.
      code = indented && (code || blank);
      blank = line.trim() === '';
      return fenced || code ? '' : line.replace(/`[^`]*`/g, (words) => ' '.repeat(words.length));
    })
    .join('\n');
}

/** Targets of links and pictures, with the line they are on. */
export function linksOf(text: string): readonly { readonly target: string; readonly line: number }[] {
  return prose(text)
    .split('\n')
    .flatMap((line, at) =>
      [...line.matchAll(/\]\(([^()\s]+(?:\([^()\s]*\))?)\)/g)].map(([, target = '']) => ({ target, line: at + 1 })),
    );
}

/** The names that GitHub gives to headings, and marks like `<a id="...">`. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const found = new Map<string, number>();
  const names: string[] = [];
  let fenced = false;
  for (const line of text.split('\n')) {
    if (/^\s*```/.test(line)) fenced = !fenced;
    const [, heading] = fenced ? [] : (/^#{1,6}\s+(.*?)\s*#*$/.exec(line) ?? []);
    if (heading !== undefined) {
      const slug = slugOf(heading);
      const count = found.get(slug) ?? 0;
      found.set(slug, count + 1);
      names.push(count === 0 ? slug : `${slug}-${count}`);
    }
    for (const [, id] of line.matchAll(/<a (?:id|name)="([^"]+)"/g)) if (id !== undefined) names.push(id);
  }
  return new Set(names);
}

/** As GitHub does: words of links and code stay, signs go, blanks are hyphens. */
export const slugOf = (heading: string): string =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replace(/ /g, '-');

/** Those that lead to no file or no heading, a line each. `exists`: whether there is such a file or folder. */
export function brokenLinks(pages: readonly Page[], exists: (path: string) => boolean): readonly string[] {
  const anchors = new Map(pages.map(({ path, text }) => [path, anchorsOf(text)]));
  return pages.flatMap(({ path, text }) =>
    linksOf(text).flatMap(({ target, line }) => {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return [];
      const [file = '', anchor] = target.split('#');
      const to = file === '' ? path : resolved(path, file);
      const known = anchors.get(to);
      if (known === undefined && !exists(to)) return [`${path}:${line}: ${target}: there is no ${to}`];
      if (anchor !== undefined && known !== undefined && !known.has(anchor))
        return [`${path}:${line}: ${target}: ${to} has no heading for #${anchor}`];
      return [];
    }),
  );
}

/** Pages to which no link leads from those given first, directly or over others. */
export function unreachable(pages: readonly Page[], from: string): readonly string[] {
  const texts = new Map(pages.map(({ path, text }) => [path, text]));
  const seen = new Set<string>();
  const queue = [from];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const text = texts.get(path);
    if (text === undefined || seen.has(path)) continue;
    seen.add(path);
    for (const { target } of linksOf(text)) queue.push(resolved(path, target.split('#')[0] ?? ''));
  }
  return [...texts.keys()].filter((path) => !seen.has(path));
}

/** Without the folders above. */
function resolved(from: string, relative: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of relative.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}
