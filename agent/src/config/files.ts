/** Reading the node file and the files it names, and refusing secrets that others can read. */

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemReason } from '../io/system-error.ts';

/** Larger than any file Evio writes; a device or a log named by mistake is not swallowed whole. */
export const FILE_MAX_BYTES = 1_048_576;

export interface OpenedFile {
  readonly path: string;
  readonly text: string;
  /** Why the file must not hold a secret (after its path or "it"), or undefined when it may. */
  readonly exposed: string | undefined;
}

/** A file that cannot be used; the message is one line. */
export class FileError extends Error {
  /** The line for who has named the file already. */
  readonly short: string;

  constructor(message: string, short: string) {
    super(message);
    this.short = short;
  }
}

const unreadable = (path: string, why: string): FileError =>
  new FileError(`cannot read ${path}: ${why}`, `it cannot be read: ${why}`);

/** For a file whose `exposed` says why it must not hold a secret, and that holds one. */
export const exposedError = (path: string, why: string): FileError => new FileError(`${path} ${why}`, `it ${why}`);

/** Permissions are asked of the opened file, not of its name: nothing can be exchanged in between. */
export function readConfigFile(path: string): OpenedFile {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw unreadable(path, systemReason(error));
  }
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw unreadable(path, 'it is a directory');
    if (!stat.isFile()) throw unreadable(path, 'it is not a regular file');
    if (stat.size > FILE_MAX_BYTES) throw unreadable(path, `it is larger than ${FILE_MAX_BYTES} bytes`);
    return { path, text: readFileSync(fd, 'utf8'), exposed: exposure(path, stat.mode, stat.uid) };
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw unreadable(path, systemReason(error));
  } finally {
    closeSync(fd);
  }
}

function exposure(path: string, mode: number, uid: number): string | undefined {
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o7777).toString(8).padStart(4, '0');
    return `holds a secret and others can use it (mode ${octal}): run chmod 600 ${path}`;
  }
  const self = process.geteuid?.() ?? 0;
  if (uid !== 0 && uid !== self) {
    return `holds a secret and belongs to user ${uid}, who can read it: run chown ${self} ${path}`;
  }
  return undefined;
}

/** Paths in a node file are meant from where the node file lies. */
export function besideNodeFile(nodeFile: string, path: string): string {
  return resolve(nodeFile, '..', path);
}
