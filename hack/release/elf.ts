/** Programs as they are shipped: without what only debuggers read. Foreign ones too. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Architecture } from './version.ts';

/** What the tools of GCC call these machines. */
export const TRIPLET: Readonly<Record<Architecture, string>> = {
  amd64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  armhf: 'arm-linux-gnueabihf',
};

/** e_machine of elf(5), as `readelf` words it. */
const MACHINE: Readonly<Record<Architecture, string>> = {
  amd64: 'Advanced Micro Devices X86-64',
  arm64: 'AArch64',
  armhf: 'ARM',
};

const native: Architecture | undefined = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] as
  | Architecture
  | undefined;

/** A copy in the cache, named by what it was made from. */
export function stripped(path: string, architecture: Architecture, cache: string): string {
  const digest = createHash('sha256').update(architecture).update(readFileSync(path)).digest('hex').slice(0, 32);
  const to = join(cache, digest);
  if (existsSync(to)) return to;
  mkdirSync(cache, { recursive: true });
  const tool = architecture === native ? 'strip' : `${TRIPLET[architecture]}-strip`;
  // A library is found by its dynamic symbols, which stay.
  execFileSync(tool, [
    '--strip-unneeded',
    '--remove-section=.comment',
    '--remove-section=.note',
    '-o',
    `${to}.new`,
    path,
  ]);
  renameSync(`${to}.new`, to);
  return to;
}

/** Throws unless the file is a program or library for that machine. */
export function checkMachine(path: string, architecture: Architecture): void {
  const found = /^\s*Machine:\s*(.+?)\s*$/m.exec(readelf('--file-header', path))?.[1] ?? 'nothing that is known';
  if (found !== MACHINE[architecture])
    throw new Error(`${path} is for ${found}, and ${architecture} is ${MACHINE[architecture]}: build it anew`);
}

/** The libraries it loads by name, sorted, without the dynamic linker, which has another name on each machine. */
export function neededLibraries(path: string): readonly string[] {
  return [...readelf('--dynamic', path).matchAll(/\(NEEDED\).*\[(.+)\]/g)]
    .map(([, name = '']) => name)
    .filter((name) => !name.startsWith('ld-linux'))
    .sort();
}

function readelf(what: string, path: string): string {
  return execFileSync('readelf', ['--wide', what, path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, LC_ALL: 'C' },
  });
}
