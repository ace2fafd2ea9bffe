/** The page as it is served: one script, one style sheet, one HTML file, nothing from elsewhere. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Assets } from './src/io/assets.ts';

const PAGE = join(dirname(fileURLToPath(import.meta.url)), 'page');
const TARGET = ['chrome111', 'firefox113', 'safari16.4'];

async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(PAGE, entry)],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: TARGET,
    legalComments: 'none',
    write: false,
    logLevel: 'warning',
  });
  return outputFiles[0]?.text ?? '';
}

export async function buildPage(): Promise<Assets> {
  const [script, style] = await Promise.all([bundled('app.ts'), bundled('style.css')]);
  return {
    '/': { type: 'text/html; charset=utf-8', text: readFileSync(join(PAGE, 'index.html'), 'utf8') },
    '/app.js': { type: 'text/javascript; charset=utf-8', text: script },
    '/style.css': { type: 'text/css; charset=utf-8', text: style },
  };
}
