/**
 * Writes the pages of docs/, and those of the top, as a plain site: `node hack/docs/main.ts [FOLDER]`, by default results/docs. No server
 * is needed to read it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { brokenLinks } from './links.ts';
import { exists, pages } from './pages.ts';
import { site } from './site.ts';

const folder = resolve(process.argv[2] ?? 'results/docs');
const all = pages();
const broken = brokenLinks(all, exists);
for (const line of broken) process.stderr.write(`${line}\n`);
mkdirSync(folder, { recursive: true });
const files = site(all);
for (const [name, html] of files) writeFileSync(join(folder, name), html);
process.stdout.write(`${files.size} pages: ${join(folder, 'index.html')}\n`);
if (broken.length > 0) process.exitCode = 1;
