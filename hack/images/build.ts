/**
 * Makes the container images without Docker, out of this machine's files and dist/, as one archive.
 *
 *   node hack/images/build.ts [--registry localhost/evio] [--tag VERSION] [--out .cache/images/evio.tar] [--partial] [NAME ...]
 *   ctr -n k8s.io images import .cache/images/evio.tar
 *
 * The same files give the same bytes. For other architectures and for people with Docker there are the Dockerfiles beside this file.
 */

import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXAMPLES, IMAGES } from './images.ts';
import { baseLayer, missingOf, nodeLayer, ownLayer, packageLayer } from './layers.ts';
import { ARCHITECTURE, type BuiltImage, writeArchive } from './oci.ts';
import { layerTar } from './tree.ts';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const CACHE = join(ROOT, '.cache/images/layers');
const version = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    registry: { type: 'string', default: 'localhost/evio' },
    tag: { type: 'string', default: version },
    out: { type: 'string', default: join(ROOT, '.cache/images/evio.tar') },
    partial: { type: 'boolean', default: false },
  },
});

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

async function build(): Promise<void> {
  if (ARCHITECTURE === undefined) throw new Error(`no images for ${process.arch}; x64 and arm64 are known`);
  const all = [...IMAGES, ...EXAMPLES];
  const unknown = positionals.find((name) => !all.some((image) => image.name === name));
  if (unknown !== undefined)
    throw new Error(`there is no image ${unknown}; there are: ${all.map((i) => i.name).join(', ')}`);
  const base = baseLayer();
  const node = nodeLayer(ROOT, CACHE, base);
  const images: BuiltImage[] = [];
  const used = new Set<string>();
  for (const image of positionals.length === 0 ? IMAGES : all.filter(({ name }) => positionals.includes(name))) {
    const missing = missingOf(image, ROOT);
    if (missing.length > 0) {
      const what = `evio/${image.name}: there is no ${missing.join(', ')}`;
      if (!values.partial) throw new Error(`${what}; run: make build`);
      process.stderr.write(`${what}: left out\n`);
      continue;
    }
    const packages = packageLayer(image, base);
    const under = [base, ...(packages === undefined ? [] : [packages]), ...(image.node ? [node] : [])];
    const layers = [...under, ownLayer(image, ROOT, under)].map((tree) => layerTar(tree, CACHE));
    for (const layer of layers) used.add(layer);
    images.push({ image, reference: `${values.registry}/${image.name}:${values.tag}`, version: values.tag, layers });
  }
  if (images.length === 0) throw new Error('nothing to build');
  const out = resolve(values.out);
  for (const { reference, digest, bytes } of await writeArchive(out, images)) {
    process.stdout.write(`${reference.padEnd(36)} ${mb(bytes).padStart(9)}  ${digest.slice(0, 19)}\n`);
  }
  process.stdout.write(`${out} ${mb(statSync(out).size)}\n`);
  if (positionals.length === 0) removeUnused(used);
}

/** Layers of earlier builds. */
function removeUnused(used: ReadonlySet<string>): void {
  if (!existsSync(CACHE)) return;
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name);
    if (name.endsWith('.tar') && !used.has(path)) rmSync(path);
  }
}

try {
  await build();
} catch (error) {
  process.stderr.write(`images: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
