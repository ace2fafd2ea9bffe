/** A layer before it is a tar file: paths and what is there. Its tar has no times and no owners, so the same tree gives the same bytes. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

export type Entry =
  | { readonly kind: 'directory'; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string }
  /** `source` is a file of this machine. */
  | { readonly kind: 'file'; readonly mode: number; readonly source: string }
  | { readonly kind: 'text'; readonly mode: number; readonly text: string };

/** By absolute path in the image, without links in its folders. */
export type Tree = Map<string, Entry>;

const digests = new Map<string, string>();

function fileDigest(path: string): string {
  const known = digests.get(path);
  if (known !== undefined) return known;
  const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
  digests.set(path, digest);
  return digest;
}

function line(entry: Entry): string {
  switch (entry.kind) {
    case 'directory':
      return `directory ${entry.mode.toString(8)}`;
    case 'link':
      return `link ${entry.target}`;
    case 'file':
      return `file ${entry.mode.toString(8)} ${fileDigest(entry.source)}`;
    case 'text':
      return `file ${entry.mode.toString(8)} ${createHash('sha256').update(entry.text).digest('hex')}`;
  }
}

const sorted = (tree: Tree): readonly (readonly [string, Entry])[] =>
  [...tree].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

/** Names the tree by what is in it: sha256, hex. */
export function treeDigest(tree: Tree): string {
  const hash = createHash('sha256');
  for (const [path, entry] of sorted(tree)) hash.update(`${path}\0${line(entry)}\n`);
  return hash.digest('hex');
}

/** What of `tree` is not in a layer under it already. */
export function without(tree: Tree, under: readonly Tree[]): Tree {
  const there = (path: string, entry: Entry): boolean =>
    under.some((layer) => {
      const other = layer.get(path);
      return other !== undefined && line(other) === line(entry);
    });
  return new Map([...tree].filter(([path, entry]) => !there(path, entry)));
}

function put(root: string, path: string, entry: Entry): void {
  const to = join(root, path);
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
  switch (entry.kind) {
    case 'directory':
      mkdirSync(to, { recursive: true });
      chmodSync(to, entry.mode);
      return;
    case 'link':
      symlinkSync(entry.target, to);
      return;
    case 'file':
      copyFileSync(entry.source, to);
      chmodSync(to, entry.mode);
      return;
    case 'text':
      writeFileSync(to, entry.text);
      chmodSync(to, entry.mode);
  }
}

/** Makes all of it in the folder, which is there. Modes are as in the tree, whatever the umask. */
export function writeTree(tree: Tree, root: string): void {
  const before = process.umask(0o022);
  try {
    chmodSync(root, 0o755);
    for (const [at, entry] of sorted(tree)) put(root, at, entry);
  } finally {
    process.umask(before);
  }
}

/** Writes the layer as `FOLDER/<digest of the tree>.tar` unless it is there, and gives back its path. */
export function layerTar(tree: Tree, folder: string): string {
  const path = join(folder, `${treeDigest(tree)}.tar`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const root = mkdtempSync(join(folder, 'tree-'));
  try {
    writeTree(tree, root);
    tar(`${path}.new`, root, ['.']);
    renameSync(`${path}.new`, path);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return path;
}

/** GNU tar, as reproducible-builds.org has it. */
export function tar(to: string, folder: string, names: readonly string[]): void {
  const plain = ['--format=ustar', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  execFileSync('tar', ['--create', '--file', to, '--directory', folder, ...plain, ...names]);
}
