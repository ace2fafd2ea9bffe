/** The layers: a small Debian, Node.js on it, and on those what each image is for. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { addHostFile, addLibraries, addLicences, addPackage } from './host-files.ts';
import { BASE_PROGRAMS, type Copy, type Image, NODE, USERS } from './images.ts';
import { type Tree, treeDigest, without } from './tree.ts';

const text = (value: string, mode = 0o644) => ({ kind: 'text', mode, text: value }) as const;
const directory = (mode: number) => ({ kind: 'directory', mode }) as const;

export function baseLayer(): Tree {
  const tree: Tree = new Map();
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    if (existsSync(`/usr/${name}`)) tree.set(`/${name}`, { kind: 'link', target: `usr/${name}` });
  }
  for (const path of ['/dev', '/proc', '/sys', '/run', '/etc', '/var/lib', '/var/log', '/opt'])
    tree.set(path, directory(0o755));
  tree.set('/root', directory(0o700));
  for (const path of ['/tmp', '/var/tmp']) tree.set(path, directory(0o1777));
  for (const program of BASE_PROGRAMS) addHostFile(tree, `/usr/bin/${program}`);
  for (const path of ['/etc/os-release', '/etc/debian_version', '/etc/ssl/certs/ca-certificates.crt'])
    addHostFile(tree, path);
  const locale = '/usr/lib/locale/C.utf8';
  for (const path of execFileSync('find', [locale, '-type', 'f'], { encoding: 'utf8' }).trim().split('\n'))
    addHostFile(tree, path);
  const users = [{ name: 'root', id: 0, home: '/root' }, ...USERS, { name: 'nobody', id: 65534, home: '/' }];
  const shell = (id: number): string => (id === 0 ? '/bin/sh' : '/usr/sbin/nologin');
  tree.set('/etc/passwd', text(users.map((u) => `${u.name}:x:${u.id}:${u.id}::${u.home}:${shell(u.id)}\n`).join('')));
  tree.set('/etc/group', text(users.map((u) => `${u.name}:x:${u.id}:\n`).join('')));
  tree.set('/etc/nsswitch.conf', text('passwd: files\ngroup: files\nhosts: files dns\n'));
  addLicences(tree);
  return tree;
}

/** The pinned Node.js, without its symbols for debuggers (a quarter of it), and the libraries it and the native WebRTC library load. */
export function nodeLayer(root: string, cache: string, base: Tree): Tree {
  const pinned = join(root, 'node_modules/node/bin/node');
  if (!existsSync(pinned)) throw new Error(`there is no ${pinned}; run: make setup`);
  const original: Tree = new Map([[NODE, { kind: 'file', mode: 0o755, source: pinned }]]);
  const stripped = join(cache, `node-${treeDigest(original).slice(0, 16)}`);
  if (!existsSync(stripped)) {
    mkdirSync(dirname(stripped), { recursive: true });
    execFileSync('strip', ['--strip-all', '-o', stripped, pinned]);
  }
  const tree: Tree = new Map([[NODE, { kind: 'file', mode: 0o755, source: stripped }]]);
  addLibraries(tree, pinned);
  addLicences(tree);
  return without(tree, [base]);
}

/** The files of dist/ that a bundle imports, the entry not among them. */
export function chunksOf(entry: string): readonly string[] {
  const folder = dirname(entry);
  const found = new Set<string>();
  const follow = (path: string): void => {
    for (const [, name] of readFileSync(path, 'utf8').matchAll(/["'`]\.\/([\w.-]+\.mjs)["'`]/g)) {
      const chunk = join(folder, name ?? '');
      if (found.has(chunk) || !existsSync(chunk)) continue;
      found.add(chunk);
      follow(chunk);
    }
  };
  follow(entry);
  found.delete(entry);
  return [...found].sort();
}

function addCopy(tree: Tree, root: string, { from, to, mode }: Copy): void {
  const source = join(root, from);
  tree.set(to, { kind: 'file', mode, source });
  if (!from.endsWith('.mjs')) return;
  for (const chunk of chunksOf(source))
    tree.set(join(dirname(to), basename(chunk)), { kind: 'file', mode, source: chunk });
}

/** What of its files is not built yet. */
export const missingOf = (image: Image, root: string): readonly string[] =>
  image.copies.map(({ from }) => from).filter((from) => !existsSync(join(root, from)));

/** Debian's packages of an image, above the base alone, so that images with the same ones share them. */
export function packageLayer(image: Image, base: Tree): Tree | undefined {
  const tree: Tree = new Map();
  for (const name of [...image.packages, ...image.dependencies]) if (name !== 'ca-certificates') addPackage(tree, name);
  if (tree.size === 0) return undefined;
  addLicences(tree);
  return without(tree, [base]);
}

/** Our own files, in the uppermost layer. */
export function ownLayer(image: Image, root: string, under: readonly Tree[]): Tree {
  const tree: Tree = new Map();
  for (const copy of image.copies) {
    addCopy(tree, root, copy);
    if (!copy.from.endsWith('.mjs')) addLibraries(tree, join(root, copy.from));
  }
  for (const { path, target } of image.links) tree.set(path, { kind: 'link', target });
  return without(tree, under);
}
