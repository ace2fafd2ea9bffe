/**
 * The directory of a server:
 *
 *     server.json            settings and secrets; root only
 *     admin.json             for `overlay create` and `node enroll`; root only
 *     ca/                    our own authority, when no certificate was brought; root only
 *     prosody/               configuration, modules, certificate: root's, readable by prosody
 *     prosody/data/          accounts and rooms: prosody's
 *     ejabberd/              the same of ejabberd, where that was chosen
 *     coturn/turnserver.conf root's, readable by turnserver
 */

import { chmodSync, chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { makeDirectory, systemReason } from '../../../agent/src/io/system-error.ts';
import { Failure } from '../failure.ts';
import type { XmppName } from './settings.ts';
import type { User } from './users.ts';
import { type XmppPlace, xmppPlaceOf } from './xmpp-server.ts';

export const DEFAULT_SERVER_DIR = '/etc/evio/server';

export interface ServerLayout {
  readonly dir: string;
  readonly settings: string;
  readonly admin: string;
  readonly ca: string;
  readonly xmpp: XmppPlace;
  readonly coturn: string;
  readonly coturnConfig: string;
}

/** Where the choice of XMPP server is remembered, among others. */
export const settingsFile = (dir: string): string => join(dir, 'server.json');

export function layoutOf(dir: string, xmpp: XmppName): ServerLayout {
  const coturn = join(dir, 'coturn');
  return {
    dir,
    settings: settingsFile(dir),
    admin: join(dir, 'admin.json'),
    ca: join(dir, 'ca'),
    xmpp: xmppPlaceOf(dir, xmpp),
    coturn,
    coturnConfig: join(coturn, 'turnserver.conf'),
  };
}

/** Replaces a file at once: a reader sees the old text or the new one, and no other mode than `mode` in between. */
export function putFile(path: string, text: string, mode: number, group?: User): void {
  const draft = `${path}.new`;
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    if (group !== undefined) chownSync(draft, 0, group.gid);
    chmodSync(draft, mode);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw new Failure(`cannot write ${path}: ${systemReason(error)}`);
  }
}

/** Makes a directory unless it is there; gives the first of those that had to be made. */
export function newDirectory(path: string, mode: number): string | undefined {
  try {
    return makeDirectory(path, mode);
  } catch (error) {
    throw new Failure(`cannot make the directory ${path}: ${systemReason(error)}`);
  }
}

/** A directory with exactly this mode, owned by root, or by `owner` when given. */
export function putDirectory(path: string, mode: number, ids?: { readonly uid: number; readonly gid: number }): void {
  newDirectory(path, mode);
  try {
    if (ids !== undefined) chownSync(path, ids.uid, ids.gid);
    chmodSync(path, mode);
  } catch (error) {
    throw new Failure(`cannot set the mode of ${path}: ${systemReason(error)}`);
  }
}

/** A JSON file of ours; undefined when it is not there. `hint` says what to do when it cannot be used. */
export function readJson<T>(path: string, schema: z.ZodType<T>, hint: string): T | undefined {
  if (!existsSync(path)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    // The text of a JSON error quotes the file, and the file holds secrets.
    const why = error instanceof SyntaxError ? 'it is no JSON' : systemReason(error);
    throw new Failure(`cannot read ${path}: ${why}; ${hint}`);
  }
  const checked = schema.safeParse(value);
  if (!checked.success) {
    const key = checked.error.issues[0]?.path.join('.') || 'the file';
    throw new Failure(`cannot use ${path}: ${key} is missing or not of the right form; ${hint}`);
  }
  return checked.data;
}
