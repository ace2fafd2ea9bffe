/**
 * Makes a release: Debian packages, container images, the chart, a bill of materials, checksums. The same commit gives the same bytes.
 *
 *   node hack/release/build.ts [--out release] [--arch amd64,arm64,armhf] [--registry localhost/evio] [--no-images]
 *
 * dist/ has the bundle (make build); docs/release.md says how a release is published.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';
import { packageChart } from './chart.ts';
import { buildDeb, libraryPackages } from './deb.ts';
import { checkMachine, neededLibraries, stripped } from './elf.ts';
import { cargoMetadata, licencesOf, SHIPPED_CRATES } from './licences.ts';
import { type Datapath, datapathPackage, evioPackage, type Programs, type Release } from './package.ts';
import { hasRuntime, lockOf, runtimeOf, versionIn } from './runtime.ts';
import { sbom } from './sbom.ts';
import { ARCHITECTURES, type Architecture, epochOf, git, versionOf } from './version.ts';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const CACHE = join(ROOT, '.cache/release');

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(ROOT, 'release') },
    arch: { type: 'string', default: ARCHITECTURES.join(',') },
    registry: { type: 'string', default: 'localhost/evio' },
    images: { type: 'boolean', default: true },
  },
  allowNegative: true,
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function architecturesOf(list: string): readonly Architecture[] {
  return list.split(',').map((name) => {
    const known = ARCHITECTURES.find((one) => one === name);
    if (known === undefined) throw new Error(`--arch: no releases for '${name}'; allowed: ${ARCHITECTURES.join(', ')}`);
    return known;
  });
}

/** Keeps bytes that were made here as a file, under a name that says what they are. */
function kept(name: string, bytes: Buffer): string {
  const path = join(CACHE, 'made', name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

function datapathOf(architecture: Architecture): Datapath {
  const folder = join(CACHE, 'programs', architecture);
  const found = { tincan: join(folder, 'tincan'), cni: join(folder, 'evio-cni') };
  for (const path of Object.values(found)) checkMachine(path, architecture);
  return found;
}

function programsOf(architecture: Architecture, datapath: Datapath): Programs {
  const runtime = runtimeOf(ROOT, architecture, CACHE);
  for (const path of Object.values(runtime)) checkMachine(path, architecture);
  const lean = (path: string): string => stripped(path, architecture, join(CACHE, 'stripped'));
  return { ...datapath, node: lean(runtime.node), webrtc: lean(runtime.webrtc) };
}

/** Programs that load libraries, and what they are called; evio-cni loads none. */
const loading = (programs: Datapath | Programs): Readonly<Record<string, string>> =>
  'node' in programs
    ? { node: programs.node, webrtc: programs.webrtc, tincan: programs.tincan }
    : { tincan: programs.tincan };

/** Libraries that are all in libc6: which of them a program loads is a matter of its machine's instructions. */
const LIBC6: readonly string[] = ['libc.so.6', 'libm.so.6'];

/** The same programs of the same versions need the same packages on each machine, which is seen by the names of the libraries. */
function dependsOf(programs: Datapath | Programs, native: Programs): string {
  const wanted = loading(programs);
  const model: Readonly<Record<string, string>> = loading(native);
  for (const [name, path] of Object.entries(wanted)) {
    const [own, known] = [neededLibraries(path), neededLibraries(model[name] ?? '')];
    const packaged = known.some((library) => LIBC6.includes(library)) ? [...known, ...LIBC6] : known;
    const unknown = own.find((library) => !packaged.includes(library));
    if (unknown !== undefined)
      throw new Error(`${path} loads ${unknown}, which that of amd64 does not: name its package`);
  }
  return libraryPackages(
    Object.keys(wanted).map((name) => model[name] ?? ''),
    CACHE,
  );
}

function buildPackages(release: Release, architectures: readonly Architecture[], out: string): void {
  const native = programsOf('amd64', datapathOf('amd64'));
  for (const architecture of architectures) {
    const datapath = datapathOf(architecture);
    const cache = (name: string, bytes: Buffer): string => kept(`${architecture}-${name}.gz`, bytes);
    let made: ReturnType<typeof evioPackage>;
    if (hasRuntime(architecture)) {
      const programs = programsOf(architecture, datapath);
      made = evioPackage(release, architecture, programs, dependsOf(programs, native), cache);
    } else made = datapathPackage(release, architecture, datapath, dependsOf(datapath, native), cache);
    told(buildDeb(made, out, release.epoch, 'small'));
  }
}

async function buildImages(release: Release, out: string): Promise<void> {
  // The same programs as in the packages.
  for (const [name, path] of Object.entries({ tincan: 'tincan', cni: 'evio-cni' })) {
    const to = join(release.dist, path);
    copyFileSync(datapathOf('amd64')[name as keyof Datapath], `${to}.new`);
    renameSync(`${to}.new`, to);
  }
  const plain = join(out, 'images.tar');
  execFileSync(
    process.execPath,
    [join(ROOT, 'hack/images/build.ts'), '--out', plain, '--registry', values.registry, '--tag', release.version],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const path = join(out, `evio-images_${release.version}_amd64.tar.gz`);
  // Node.js writes no time into the header.
  await pipeline(createReadStream(plain), createGzip({ level: 6 }), createWriteStream(path));
  rmSync(plain);
  told(path);
}

const told = (path: string): void =>
  say(`${basename(path).padEnd(40)} ${(statSync(path).size / 1e6).toFixed(1).padStart(7)} MB`);

/** As `sha256sum --check` reads it. */
function writeSums(out: string): void {
  const lines = readdirSync(out)
    .filter((name) => name !== 'SHA256SUMS')
    .sort()
    .map(
      (name) =>
        `${createHash('sha256')
          .update(readFileSync(join(out, name)))
          .digest('hex')}  ${name}\n`,
    );
  writeFileSync(join(out, 'SHA256SUMS'), lines.join(''));
}

async function build(): Promise<void> {
  const architectures = architecturesOf(values.arch);
  const [version, epoch, out] = [versionOf(ROOT), epochOf(ROOT), resolve(values.out)];
  const dist = join(ROOT, 'dist');
  if (!existsSync(join(dist, 'evio.mjs'))) throw new Error(`there is no ${dist}/evio.mjs; run: make build`);
  if (git(ROOT, 'status', '--porcelain').trim() !== '')
    say('there are changes that are not committed: what is made now is no release of that commit');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });

  say(`evio ${version} of ${new Date(epoch * 1000).toISOString()}: ${architectures.join(', ')}`);
  execFileSync(join(ROOT, 'hack/release/programs.sh'), [...new Set(['amd64', ...architectures])], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const cargo = cargoMetadata(ROOT);
  // The package that npm has for this machine is without its licence once it is installed; that for the other has it.
  const nodejs = readFileSync(join(dirname(dirname(runtimeOf(ROOT, 'arm64', CACHE).node)), 'LICENSE'), 'utf8');
  const licences = { ...licencesOf(dist, cargo), 'THIRD-PARTY.nodejs.txt': nodejs };
  const release: Release = { root: ROOT, dist, version, epoch, licences };
  buildPackages(release, architectures, out);
  if (values.images) await buildImages(release, out);
  told(packageChart(ROOT, out, version, epoch));
  const lock = lockOf(ROOT);
  const bom = join(out, `evio-${version}.cdx.json`);
  const cargoLock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8');
  const parts = { npm: lock, cargo, cargoLock, shipped: SHIPPED_CRATES, node: versionIn(lock, 'node') };
  writeFileSync(bom, sbom({ version, epoch, ...parts }));
  told(bom);
  writeSums(out);
  say(`${out}/SHA256SUMS`);
}

try {
  await build();
} catch (error) {
  process.stderr.write(`release: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
