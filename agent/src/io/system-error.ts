/** What the system refuses, in words: one list for the agent and the command. */
import { mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  // Node's own word for it.
  ERR_FS_EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is no directory',
  EEXIST: 'something else has this name',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open on this machine',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
};

/** The words of an error of the file system, without the path: who calls names it. */
export function systemReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return WORDS[code ?? ''] ?? code ?? message ?? String(error);
}

/**
 * Makes a directory and those above it; gives the first one that was not there, or undefined. Node's own `recursive` never returns
 * below /proc, where a directory can be looked into but none can be made.
 */
export function makeDirectory(path: string, mode = 0o777): string | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const above = dirname(path);
  const first = above === path ? undefined : makeDirectory(above, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Another process was faster.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
    return first;
  }
  return first ?? path;
}

/** Removes `dir` and what is above it down to `top`, as long as nothing is in them. */
export function removeEmpty(dir: string, top: string): void {
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory() || readdirSync(dir).length > 0) return;
  rmdirSync(dir);
  if (dir !== top) removeEmpty(dirname(dir), top);
}
