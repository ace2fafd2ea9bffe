/**
 * Makes what is shipped, in dist/: `evio.mjs` and its chunks (what a command does not need is not loaded), likewise `evio-operator.mjs`
 * and `evio-chart.mjs`, which the chart's Jobs run, the native WebRTC library, tincan and evio-cni when they are built, the launchers,
 * and the licences of what is inside.
 *
 *   node hack/bundle.ts
 *
 * dist/ may be copied anywhere: it needs Node.js 26 in PATH or beside it, and nothing else.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';
import { buildPage } from '../map/build.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, 'dist');
const NATIVE = 'node_datachannel.node';

const LAUNCHER = `#!/bin/sh
# Starts evio with the Node.js beside this file, else with the one in PATH.
here=$(dirname -- "$(readlink -f -- "$0")")
node=$here/node
[ -x "$node" ] || node=$(command -v node) || { echo "evio: there is no Node.js: put \\"node\\" into PATH, or beside $here/evio" >&2; exit 1; }
# Called as kubectl's plugin it is a cluster that is meant.
case \${0##*/} in kubectl-*) export EVIO_KUBECTL=1 ;; esac
# Node.js forgets which signals it was told to ignore: nohup is to be heard all the same.
while read -r name value; do
  case $name$value in SigIgn:*[13579bdf]) export EVIO_NOHUP=1 ;; esac
done </proc/self/status
# What stays is mostly idle, and its memory is counted on small boards: one arena, what a compiler took given back to the system, a small
# young generation, an old one that is collected after it grew by a fifth, and of the optimising compilers the small one. All that takes
# time, which whoever asks a question does not have.
memory=
case "$1 $2" in
  'agent run' | 'authority serve' | 'dashboard '*)
    export MALLOC_ARENA_MAX=\${MALLOC_ARENA_MAX:-1} MALLOC_MMAP_THRESHOLD_=\${MALLOC_MMAP_THRESHOLD_:-32768} MALLOC_TRIM_THRESHOLD_=\${MALLOC_TRIM_THRESHOLD_:-65536}
    memory='--max-semi-space-size=1 --optimize-for-size --heap-growing-percent=20 --no-turbofan --v8-pool-size=1'
    ;;
esac
exec "$node" $memory --disable-warning=ExperimentalWarning "$here/evio.mjs" "$@"
`;

const OPERATOR_LAUNCHER = `#!/bin/sh
# Starts the operator with the Node.js beside this file, else with the one in PATH.
here=$(dirname -- "$(readlink -f -- "$0")")
node=$here/node
[ -x "$node" ] || node=$(command -v node) || { echo "evio-operator: there is no Node.js: put \\"node\\" into PATH, or beside $here/evio-operator" >&2; exit 1; }
export MALLOC_ARENA_MAX=\${MALLOC_ARENA_MAX:-1}
exec "$node" --max-semi-space-size=1 --optimize-for-size --disable-warning=ExperimentalWarning "$here/evio-operator.mjs" "$@"
`;

/** The library looks for its binary in node_modules; shipped, it lies beside the bundle. */
const nativeBeside: Plugin = {
  name: 'native-beside',
  setup(b) {
    b.onLoad({ filter: /node-datachannel\/dist\/esm\/lib\/node-datachannel\.mjs$/ }, () => ({
      contents: `import { createRequire } from 'node:module';\nexport default createRequire(import.meta.url)('./${NATIVE}');\n`,
      loader: 'js',
    }));
  },
};

/** zod carries its messages in forty languages; ours come from the schema. */
const oneLanguage: Plugin = {
  name: 'one-language',
  setup(b) {
    b.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';\n",
      loader: 'js',
    }));
  },
};

/** The page of the map is made here; from source it is made when somebody asks for it, by what is not shipped. */
const mapPage: Plugin = {
  name: 'map-page',
  setup(b) {
    b.onLoad({ filter: /map\/src\/io\/assets\.ts$/ }, async () => ({
      contents: `const page = ${JSON.stringify(await buildPage())};\nexport const pageAssets = async () => page;\n`,
      loader: 'js',
    }));
  },
};

function removeOld(): void {
  mkdirSync(DIST, { recursive: true });
  for (const name of readdirSync(DIST)) {
    if (/\.mjs$/.test(name)) rmSync(join(DIST, name));
  }
}

async function bundle(): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    // The operator is an entry of its own, so that nothing of it comes into an agent.
    entryPoints: {
      evio: 'cli/src/evio.ts',
      'evio-operator': 'operator/src/main.ts',
      'evio-chart': 'charts/src/jobs/main.ts',
    },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    plugins: [nativeBeside, oneLanguage, mapPage],
    // CommonJS packages inside ask for Node's own modules with require().
    banner: { js: "import{createRequire as evioRequire}from'node:module';const require=evioRequire(import.meta.url);" },
  });
  return metafile;
}

/** A running program may have the old file open: it is replaced, not written into. */
function install(from: string, name: string, mode: number): void {
  const to = join(DIST, name);
  copyFileSync(from, `${to}.new`);
  chmodSync(`${to}.new`, mode);
  renameSync(`${to}.new`, to);
}

/** A program of ours, from the first folder of cargo's that has it. */
function program(name: string, folders: readonly string[]): void {
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');
  const built = folders.map((folder) => join(target, folder, name)).find((path) => existsSync(path));
  if (built !== undefined) install(built, name, 0o755);
  else process.stderr.write(`no ${name} in ${target}: dist/ has none (hack/build.sh makes it)\n`);
}

function nativeLibrary(): string {
  const packages = join(ROOT, 'node_modules/@node-datachannel');
  const found = existsSync(packages) ? readdirSync(packages).map((name) => join(packages, name, NATIVE)) : [];
  const own = join(ROOT, 'node_modules/node-datachannel/build/Release', NATIVE);
  const library = [own, ...found].find((path) => existsSync(path));
  if (library === undefined) throw new Error('node-datachannel has no native library for this machine; run npm ci');
  return library;
}

/** The licence texts of every package that is inside. */
function licences(metafile: Metafile): string {
  const names = new Set(
    Object.keys(metafile.inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  );
  return [...names]
    .sort()
    .map((name) => {
      const dir = join(ROOT, 'node_modules', name);
      const about = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as {
        version: string;
        license?: string;
      };
      const file = readdirSync(dir).find((f) => /^licen[cs]e/i.test(f));
      const text = file === undefined ? '' : `\n${readFileSync(join(dir, file), 'utf8').trim()}\n`;
      return `## ${name} ${about.version} (${about.license ?? 'see its package'})\n${text}`;
    })
    .join('\n');
}

removeOld();
const metafile = await bundle();
install(nativeLibrary(), NATIVE, 0o644);
program('tincan', ['release']);
// Static builds have a folder of their own (hack/build.sh).
const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
program('evio-cni', [`${machine}-unknown-linux-musl/release`, `${machine}-unknown-linux-gnu/release`, 'release']);
for (const [name, text] of [
  ['evio', LAUNCHER],
  ['evio-operator', OPERATOR_LAUNCHER],
] as const) {
  writeFileSync(join(DIST, `${name}.new`), text);
  chmodSync(join(DIST, `${name}.new`), 0o755);
  renameSync(join(DIST, `${name}.new`), join(DIST, name));
}
writeFileSync(join(DIST, 'THIRD-PARTY.txt'), licences(metafile));
// In the source tree the pinned Node.js is at hand; where dist/ is copied to, this leads nowhere and PATH counts.
rmSync(join(DIST, 'node'), { force: true });
symlinkSync('../node_modules/node/bin/node', join(DIST, 'node'));
