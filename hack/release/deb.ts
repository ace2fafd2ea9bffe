/** A Debian package as data, and the file that `dpkg-deb` makes of it: the same bytes for the same data. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Entry, type Tree, writeTree } from '../images/tree.ts';
import type { Architecture } from './version.ts';

export interface DebianPackage {
  readonly name: string;
  /** As in deb-version(7). */
  readonly version: string;
  readonly architecture: Architecture;
  /** Fields of deb-control(5) beyond name, version, architecture and size, in the order they are written. */
  readonly fields: Readonly<Record<string, string>>;
  /** One line, without the package's name at its beginning, and no full stop at its end. */
  readonly synopsis: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly tree: Tree;
  /** Scripts of the maintainer by name (deb-postinst(5) and its siblings). */
  readonly scripts: Readonly<Record<string, string>>;
}

/** `small` takes its time (xz), `quick` is for tests. */
export type Compression = 'small' | 'quick';
const COMPRESSION: Readonly<Record<Compression, readonly string[]>> = {
  small: ['-Zxz', '-z6'],
  quick: ['-Zzstd', '-z1'],
};

const LINE = 79;

/** Words in lines that begin with a space, as continuation lines of a control file do. */
function wrapped(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > LINE) {
      lines.push(line);
      line = '';
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}

export function controlText(pkg: DebianPackage, installedKiB: number): string {
  const fields = Object.entries(pkg.fields).map(([name, value]) => `${name}: ${value}\n`);
  return `Package: ${pkg.name}
Version: ${pkg.version}
Architecture: ${pkg.architecture}
Installed-Size: ${installedKiB}
${fields.join('')}Description: ${pkg.synopsis}
${pkg.description.map(wrapped).join('\n .\n')}
`;
}

const contents = (entry: Entry): Buffer | undefined =>
  entry.kind === 'file' ? readFileSync(entry.source) : entry.kind === 'text' ? Buffer.from(entry.text) : undefined;

/** What `dpkg -V` compares: a line for each file, by path without its first slash. */
export function md5sums(tree: Tree): string {
  return [...tree]
    .flatMap(([path, entry]) => {
      const bytes = contents(entry);
      return bytes === undefined ? [] : [`${createHash('md5').update(bytes).digest('hex')}  ${path.slice(1)}\n`];
    })
    .sort((a, b) => (a.slice(34) < b.slice(34) ? -1 : 1))
    .join('');
}

/** As dpkg-gencontrol(1) counts: files by whole KiB, everything else as one. */
export function installedKiB(tree: Tree): number {
  const sizes = [...tree.values()].map((entry) => {
    if (entry.kind === 'file') return Math.ceil(statSync(entry.source).size / 1024);
    return entry.kind === 'text' ? Math.ceil(Buffer.byteLength(entry.text) / 1024) : 1;
  });
  const folders = new Set([...tree.keys()].flatMap(foldersOf));
  for (const path of tree.keys()) folders.delete(path);
  return sizes.reduce((sum, size) => sum + size, 0) + folders.size;
}

/** `/usr/bin/evio` is in `/usr/bin`, `/usr` and the root. */
function foldersOf(path: string): readonly string[] {
  const parts = path.split('/').slice(1, -1);
  return ['/', ...parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)];
}

/** Writes `FOLDER/NAME_VERSION_ARCHITECTURE.deb`, everything in it root's and dated `epoch`, and gives back its path. */
export function buildDeb(pkg: DebianPackage, folder: string, epoch: number, compression: Compression): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${pkg.name}_${pkg.version}_${pkg.architecture}.deb`);
  const root = mkdtempSync(join(folder, 'deb-'));
  try {
    writeTree(pkg.tree, root);
    const control: Tree = new Map([
      ['/control', { kind: 'text', mode: 0o644, text: controlText(pkg, installedKiB(pkg.tree)) }],
      ['/md5sums', { kind: 'text', mode: 0o644, text: md5sums(pkg.tree) }],
    ]);
    for (const [name, text] of Object.entries(pkg.scripts))
      control.set(`/${name}`, { kind: 'text', mode: 0o755, text });
    mkdirSync(join(root, 'DEBIAN'));
    writeTree(control, join(root, 'DEBIAN'));
    // dpkg-deb makes newer times older, not older ones newer.
    execFileSync('find', [root, '-exec', 'touch', '--no-dereference', '--date', `@${epoch}`, '{}', '+']);
    const args = ['--root-owner-group', ...COMPRESSION[compression], '--build', root, `${path}.new`];
    execFileSync('dpkg-deb', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    });
    renameSync(`${path}.new`, path);
    return path;
  } finally {
    rmSync(root, { recursive: true, force: true });
    rmSync(`${path}.new`, { force: true });
  }
}

/** The packages whose libraries these programs load, as `Depends` has it. dpkg-shlibdeps(1) reads only programs for this machine. */
export function libraryPackages(programs: readonly string[], work: string): string {
  mkdirSync(work, { recursive: true });
  const root = mkdtempSync(join(work, 'depends-'));
  try {
    mkdirSync(join(root, 'debian'));
    // It wants to stand in a source package.
    writeFileSync(
      join(root, 'debian/control'),
      'Source: evio\nMaintainer: nobody <nobody@localhost>\n\nPackage: evio\nArchitecture: any\nDescription: evio\n',
    );
    const said = execFileSync('dpkg-shlibdeps', ['-O', '--warnings=0', ...programs.map((path) => `-e${path}`)], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const found = /^shlibs:Depends=(.+)$/m.exec(said)?.[1];
    if (found === undefined) throw new Error(`dpkg-shlibdeps found no library in ${programs.join(', ')}`);
    return found;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
