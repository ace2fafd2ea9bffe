/** The system users the Debian packages make, and whether they can get to a directory. */

import { lstatSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../failure.ts';
import { run } from '../process.ts';
import type { XmppServer } from './xmpp-server.ts';

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export async function userOf(name: string, xmpp: XmppServer): Promise<User> {
  const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
  if (uid.code !== 0 || gid.code !== 0) {
    throw new Failure(`there is no user ${name}, which its Debian package makes; run: ${installCommand(xmpp)}`);
  }
  return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

export const installCommand = (xmpp: XmppServer): string =>
  `apt-get install --no-install-recommends ${xmpp.debianPackage} coturn openssl`;

/** The first directory on the way to `path` that `user` may not enter, or undefined. */
export function barrier(path: string, user: User): string | undefined {
  const above = dirname(path);
  if (above !== path) {
    const found = barrier(above, user);
    if (found !== undefined) return found;
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory()) return undefined;
  const bit = stat.uid === user.uid ? 0o100 : stat.gid === user.gid ? 0o010 : 0o001;
  return (stat.mode & bit) === 0 ? path : undefined;
}

/** For the error message. */
export const modeText = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8).padStart(4, '0');
