/** The Markdown pages of this repository, without those of examples and tests. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Page } from './links.ts';

export function pages(): readonly Page[] {
  const names = [
    ...readdirSync('.').filter((name) => name.endsWith('.md')),
    ...readdirSync('docs')
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ];
  return names.sort().map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

export const exists = (path: string): boolean => path === '' || existsSync(path);
