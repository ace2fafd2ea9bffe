/** The accounts of an overlay's nodes, as its authority wants them: shared by the command and the operator. */
import { hkdfSync, type KeyObject } from 'node:crypto';
import type { NodeId } from '../wire/ids.ts';
import { rawPrivateKey } from '../wire/keys.ts';
import type { XmppAdmin } from './xmpp-admin.ts';
import { XmppError } from './xmpp-error.ts';

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

/** What of the administrator is needed for accounts. */
export type Accounts = Pick<XmppAdmin, 'addMember' | 'removeMember' | 'addUser' | 'changePassword' | 'deleteUser'>;

/** Makes the account, or sets its password where it is there already. Membership first: who can log in can enter the room. */
export async function admitAccount(admin: Accounts, room: string, username: string, password: string): Promise<void> {
  await admin.addMember(room, username);
  if (!(await admin.addUser(username, password))) await admin.changePassword(username, password);
}

/** Ends an account; one that is not there cannot be deleted, and need not. */
export async function endAccount(admin: Accounts, room: string, username: string): Promise<void> {
  await admin.removeMember(room, username);
  await deleteAccount(admin, username);
}

/** The same of an account that is in no room. */
export async function deleteAccount(admin: Pick<Accounts, 'deleteUser'>, username: string): Promise<void> {
  try {
    await admin.deleteUser(username);
  } catch (error) {
    if (!(error instanceof XmppError) || error.problem !== 'refused') throw error;
  }
}
