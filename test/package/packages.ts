/** Packages of what dist/ has, made in a second: two versions, to upgrade from one to the other. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildDeb, libraryPackages } from '../../hack/release/deb.ts';
import { stripped } from '../../hack/release/elf.ts';
import { evioPackage, type Programs } from '../../hack/release/package.ts';
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
}

/** Writes both into the folder. */
export function makePackages(folder: string): Made {
  const built = programs();
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
    return buildDeb(evioPackage(release, native, built, depends, kept), folder, EPOCH, 'quick');
  };
  return { first: make(VERSION), next: make(NEXT_VERSION) };
}
