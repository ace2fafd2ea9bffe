/** The server as the administrator uses it. */

import { hkdfSync, type KeyObject } from 'node:crypto';
import { XmppAdmin } from '../../../agent/src/io/xmpp-admin.ts';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import type { NodeId } from '../../../agent/src/wire/ids.ts';
import { rawPrivateKey } from '../../../agent/src/wire/keys.ts';
import { Failure } from '../failure.ts';
import { readJson } from '../server/layout.ts';
import { type AdminFile, adminFile } from '../server/settings.ts';

export function readAdminFile(path: string): AdminFile {
  const found = readJson(path, adminFile, 'evio server init writes it anew');
  if (found === undefined) {
    throw new Failure(
      `there is no administrator file ${path}; copy admin.json from the server, or run evio server init there`,
    );
  }
  return found;
}

/** Connects as the administrator for the time of `work`. */
export async function withAdmin<T>(file: AdminFile, work: (admin: XmppAdmin) => Promise<T>): Promise<T> {
  const { service, domain, username, password, ca } = file;
  const admin = await XmppAdmin.connect({ service, domain, username, password, ca });
  try {
    return await work(admin);
  } finally {
    admin.close();
  }
}

const PASSWORD_BYTES = 24;

/**
 * The password of a node's XMPP account follows from the authority's key (HKDF-SHA256, RFC 5869) and the node id. So it can be
 * told again when the server has lost its accounts, and no second secret is kept for that. A node with new keys has a new id,
 * and with it a new password.
 */
export function accountPassword(authority: KeyObject, id: NodeId): string {
  const derived = hkdfSync('sha256', rawPrivateKey(authority), 'evio/1', `account password\0${id}`, PASSWORD_BYTES);
  return Buffer.from(derived).toString('base64url');
}

/** Makes the account, or sets its password where it is there already. Membership first: who can log in can enter the room. */
export async function admitAccount(admin: XmppAdmin, room: string, username: string, password: string): Promise<void> {
  await admin.addMember(room, username);
  if (!(await admin.addUser(username, password))) await admin.changePassword(username, password);
}

/** Ends an account; one that is not there cannot be deleted, and need not. */
export async function endAccount(admin: XmppAdmin, room: string, username: string): Promise<void> {
  await admin.removeMember(room, username);
  try {
    await admin.deleteUser(username);
  } catch (error) {
    if (!(error instanceof XmppError) || error.problem !== 'refused') throw error;
  }
}
