/** The words of those whose work is inside. */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type CargoMetadata, shippedCrates } from './sbom.ts';

/** What is linked into the Rust programs is asked for the machine that most of them run on. */
export function cargoMetadata(root: string): CargoMetadata {
  const args = ['metadata', '--locked', '--format-version', '1', '--filter-platform', 'x86_64-unknown-linux-gnu'];
  return JSON.parse(
    execFileSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] }),
  ) as CargoMetadata;
}

/** Crates of this repository that are shipped. */
export const SHIPPED_CRATES = ['tincan', 'evio-cni'] as const;

const LICENCE = /^(licen[cs]e|copying|unlicense)/i;

export function crateLicences(cargo: CargoMetadata): string {
  return shippedCrates(cargo, SHIPPED_CRATES)
    .filter(({ source }) => source !== null)
    .map((crate) => {
      const folder = dirname(crate.manifest_path);
      const texts = readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isFile() && LICENCE.test(entry.name))
        .map(({ name }) => `\n${readFileSync(join(folder, name), 'utf8').trim()}\n`)
        .sort();
      return `## ${crate.name} ${crate.version} (${crate.license ?? 'see its package'})\n${texts.join('')}`;
    })
    .sort()
    .join('\n');
}

/** By the name of the file that they are shipped as. `dist` has those of the npm packages in the bundle. */
export function licencesOf(dist: string, cargo: CargoMetadata): Readonly<Record<string, string>> {
  const npm = join(dist, 'THIRD-PARTY.txt');
  if (!existsSync(npm)) throw new Error(`there is no ${npm}; run: make build`);
  return { 'THIRD-PARTY.npm.txt': readFileSync(npm, 'utf8'), 'THIRD-PARTY.crates.txt': crateLicences(cargo) };
}
