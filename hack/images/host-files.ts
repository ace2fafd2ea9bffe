/** Files of this Debian machine as parts of an image: programs with the libraries they load, whole packages, their licences. */

import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Tree } from './tree.ts';

/** The path without links in its folders (/lib is /usr/lib since Debian 12); the last part may be a link. */
const canonical = (path: string): string => join(realpathSync(dirname(path)), basename(path));

/** Adds a file of this machine at its own place; a link with all it leads to; a program or library with the libraries it loads. */
export function addHostFile(tree: Tree, path: string): void {
  const at = canonical(path);
  if (tree.has(at)) return;
  const stat = lstatSync(at);
  if (stat.isSymbolicLink()) {
    const target = readlinkSync(at);
    tree.set(at, { kind: 'link', target });
    const to = resolve(dirname(at), target);
    if (existsSync(to) && !lstatSync(to).isDirectory()) addHostFile(tree, to);
  } else if (stat.isFile()) {
    tree.set(at, { kind: 'file', mode: stat.mode & 0o755, source: at });
    if (isElf(at)) addLibraries(tree, at);
  }
}

/** What the dynamic linker would load for it. */
export function addLibraries(tree: Tree, program: string): void {
  let said: string;
  try {
    said = execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch {
    return; // Static.
  }
  const missing = /^\s*(\S+) => not found/m.exec(said)?.[1];
  if (missing !== undefined) throw new Error(`${program} needs ${missing}, which is not on this machine`);
  for (const [, library] of said.matchAll(/(?:=>\s*|^\s*)(\/\S+)/gm))
    if (library !== undefined) addHostFile(tree, library);
}

function isElf(path: string): boolean {
  const start = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    readSync(file, start, 0, 4, 0);
  } finally {
    closeSync(file);
  }
  return start.equals(Buffer.from('\x7fELF', 'latin1'));
}

/** Manuals, translations, and what starts a service on a machine that is no container. */
const LEFT_OUT =
  /^\/(usr\/share\/(doc|man|info|lintian|locale|bug|bash-completion|zsh|perl5|doc-base|menu|apport)|etc\/(init\.d|logrotate\.d|cron\.[a-z]+|default|pam\.d|apparmor\.d|ufw)|(usr\/)?lib\/systemd)\//;
/** Of the Lua packages: the versions Prosody does not run with. */
const OTHER_LUA = /\/lua\/5\.[0-3]\/|\/liblua5\.[0-3]-/;

/** The whole Debian package, with the libraries of its programs. */
export function addPackage(tree: Tree, name: string): void {
  let listed: string;
  try {
    listed = execFileSync('dpkg-query', ['-L', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    throw new Error(`the Debian package ${name} is not installed on this machine; run: make setup`);
  }
  for (const path of listed.split('\n')) {
    if (!path.startsWith('/') || path === '/.' || LEFT_OUT.test(path) || OTHER_LUA.test(path)) continue;
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isDirectory()) addHostFile(tree, path);
  }
}

const INFO = '/var/lib/dpkg/info';

/** Whose file it is, by path as the package lists it. */
function owners(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const list of readdirSync(INFO)) {
    if (!list.endsWith('.list')) continue;
    const name = list.slice(0, -'.list'.length).replace(/:.*$/, '');
    for (const path of readFileSync(join(INFO, list), 'utf8').split('\n')) found.set(path, name);
  }
  return found;
}

/** Adds the licence of every package of which something is in the tree, as Debian asks of whoever passes its files on. */
export function addLicences(tree: Tree): void {
  const owner = owners();
  const names = new Set(
    [...tree].flatMap(([path, entry]) => {
      const name = entry.kind === 'file' ? (owner.get(path) ?? owner.get(path.replace(/^\/usr/, ''))) : undefined;
      return name === undefined ? [] : [name];
    }),
  );
  for (const name of names) {
    const path = `/usr/share/doc/${name}/copyright`;
    if (existsSync(path)) tree.set(path, { kind: 'file', mode: 0o644, source: realpathSync(path) });
  }
}
