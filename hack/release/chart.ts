/** The Helm chart as `helm package` names and lays it, from the files that git knows. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parse } from 'yaml';
import { git } from './version.ts';

/** Writes `FOLDER/evio-VERSION.tgz` and gives back its path. Throws when the chart's version is not the release's. */
export function packageChart(root: string, folder: string, version: string, epoch: number): string {
  const { version: own } = parse(readFileSync(join(root, 'charts/evio/Chart.yaml'), 'utf8')) as { version: string };
  if (own !== version) throw new Error(`charts/evio/Chart.yaml has version ${own}, package.json ${version}`);
  const names = git(root, 'ls-files', '-z', 'charts/evio').split('\0').filter(Boolean).sort();
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, 'chart-'));
  try {
    const tarball = join(work, 'chart.tar');
    const plain = ['--format=ustar', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner'];
    const shape = ['--mode=u=rw,go=r', '--no-recursion', '--transform=s,^charts/,,'];
    execFileSync('tar', ['--create', '--file', tarball, '--directory', root, ...plain, ...shape, '--', ...names]);
    const path = join(folder, `evio-${version}.tgz`);
    writeFileSync(path, gzipSync(readFileSync(tarball), { level: 9 }));
    return path;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
