/** What a release is called, and when it was made. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Debian's names of the machines that there are packages for. */
export const ARCHITECTURES = ['amd64', 'arm64', 'armhf'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** As Debian sorts versions (deb-version(7)): `0.2.0-rc.1` of semver comes before 0.2.0 and is `0.2.0~rc.1`. */
export const debianVersion = (version: string): string => version.replace('-', '~');

/** The version in package.json. */
export function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

/** Seconds since 1970 that everything of a release is dated with: SOURCE_DATE_EPOCH, else when the commit was made. */
export function epochOf(root: string, environment: NodeJS.ProcessEnv = process.env): number {
  const given = environment.SOURCE_DATE_EPOCH;
  const text = given ?? git(root, 'log', '-1', '--format=%ct').trim();
  if (!/^\d{1,10}$/.test(text))
    throw new Error(
      given === undefined
        ? `git gives no time of the last commit in ${root}: set SOURCE_DATE_EPOCH`
        : `SOURCE_DATE_EPOCH is ${given}; it has to be seconds since 1970`,
    );
  return Number(text);
}

export function git(root: string, ...args: readonly string[]): string {
  return execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
