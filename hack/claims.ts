/**
 * SECURITY.md names, for each claim, the test that shows it: `file`: title. This finds the rows without one, and the tests that are
 * not there (any more).
 */
import { existsSync, readFileSync } from 'node:fs';

const PAGE = 'SECURITY.md';
/** The last column of a table of claims. */
const HEAD = 'shown by';

export interface Claim {
  readonly claim: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

/** The rows of the tables whose last column is "shown by". */
export function claimsIn(page: string): readonly Claim[] {
  const claims: Claim[] = [];
  let inside = false;
  for (const line of page.split('\n')) {
    const cells = line.startsWith('|')
      ? line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim())
      : [];
    const last = cells.at(-1) ?? '';
    if (cells.length === 0) inside = false;
    else if (last === HEAD) inside = true;
    else if (inside && !/^-+$/.test(last)) {
      const tests = last.split('<br>').flatMap((one) => {
        const [, file, title] = /^`([^`]+)`: (.+)$/.exec(one.trim()) ?? [];
        return file === undefined || title === undefined ? [] : [{ file, title }];
      });
      claims.push({ claim: cells[0] ?? '', tests });
    }
  }
  return claims;
}

/** What is wrong with the page, in words. */
export function wrongClaims(page = readFileSync(PAGE, 'utf8')): readonly string[] {
  const claims = claimsIn(page);
  if (claims.length === 0) return [`${PAGE}: no claim was found; a table of claims ends with the column "${HEAD}"`];
  return claims.flatMap(({ claim, tests }) => {
    if (tests.length === 0) return [`${PAGE}: no test shows "${claim}"`];
    return tests.filter((test) => !isTest(test)).map(({ file, title }) => `${PAGE}: ${file} has no test "${title}"`);
  });
}

function isTest({ file, title }: { readonly file: string; readonly title: string }): boolean {
  if (!existsSync(file)) return false;
  const text = readFileSync(file, 'utf8');
  if (file.endsWith('.rs')) return new RegExp(`#\\[test\\]\\s+fn ${title}\\(\\)`).test(text);
  return ["'", '"', '`'].some((quote) => text.includes(`${quote}${title}${quote}`));
}
