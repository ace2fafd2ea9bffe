/** Packages of what dist/ has, made in a second: two versions, to upgrade from one to the other. */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildDeb, libraryPackages } from '../../hack/release/deb.ts';
import { stripped } from '../../hack/release/elf.ts';
import { evioPackage, HOME, type Programs } from '../../hack/release/package.ts';
import { runtimeOf } from '../../hack/release/runtime.ts';
import { type Architecture, versionOf } from '../../hack/release/version.ts';
import { copyDist } from '../e2e/terminal/lan.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CACHE = join(ROOT, '.cache/release');
const EPOCH = 1_700_000_000;
export const VERSION = versionOf(ROOT);
export const NEXT_VERSION = '99.0.0';

const native: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

function programs(): Programs {
  const dist = (name: string): string => join(ROOT, 'dist', name);
  if (!existsSync(dist('tincan'))) throw new Error('dist/ has no tincan: run make build first');
  const runtime = runtimeOf(ROOT, native, CACHE);
  const lean = (path: string): string => stripped(path, native, join(CACHE, 'stripped'));
  return {
    node: lean(runtime.node),
    webrtc: lean(runtime.webrtc),
    tincan: lean(dist('tincan')),
    cni: lean(dist('evio-cni')),
  };
}

export interface Made {
  /** Paths of the .deb files. */
  readonly first: string;
  readonly next: string;
  /** What machines need beside them. */
  readonly more: readonly string[];
}

/**
 * Writes both into the folder. With Node.js `beside`, the packages have a link to where machines have it, since 115 MB are half a minute
 * of packing and unpacking in a test; all else is as it is shipped.
 */
export function makePackages(folder: string, where: 'inside' | 'beside'): Made {
  const { make, node } = packager(folder, where);
  return { first: make(VERSION), next: make(NEXT_VERSION), more: where === 'beside' ? [node] : [] };
}

/** The path of this version alone, as it is shipped. */
export const makePackage = (folder: string): string => packager(folder, 'inside').make(VERSION);

function packager(folder: string, where: 'inside' | 'beside') {
  const built = programs();
  mkdirSync(folder, { recursive: true });
  const node = join(folder, 'node');
  cpSync(built.node, node);
  const depends = libraryPackages([built.node, built.webrtc, built.tincan], CACHE);
  const make = (version: string): string => {
    const work = join(folder, `work-${version}`);
    mkdirSync(work, { recursive: true });
    const dist = join(work, 'dist');
    // The version is in the bundle as it was in package.json.
    copyDist(dist, (text) => text.replaceAll(`version:"${VERSION}"`, `version:"${version}"`));
    const kept = (name: string, bytes: Buffer): string => {
      const path = join(work, name);
      writeFileSync(path, bytes);
      return path;
    };
    const licences = { 'THIRD-PARTY.txt': 'of a test\n' };
    const release = { root: ROOT, dist, version, epoch: EPOCH, licences };
    const made = evioPackage(release, native, built, depends, kept);
    if (where === 'beside') made.tree.set(`${HOME}/node`, { kind: 'link', target: '/mnt/packages/node' });
    return buildDeb(made, folder, EPOCH, 'quick');
  };
  return { make, node };
}
