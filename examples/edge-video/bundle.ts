/** Makes the example one file, edge-video.mjs beside this file, which needs Node.js and ffmpeg and nothing else. */
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');

await build({
  absWorkingDir: ROOT,
  entryPoints: { 'edge-video': 'examples/edge-video/src/main.ts' },
  outdir: 'examples/edge-video',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  minify: true,
  legalComments: 'inline',
  logLevel: 'warning',
  // CommonJS packages inside ask for Node's own modules with require().
  banner: { js: "import{createRequire as evioRequire}from'node:module';const require=evioRequire(import.meta.url);" },
});
