/** `evio overlay restore`: the room and all accounts anew, on a server that has lost them. */

import { accountPassword, admitAccount, endAccount } from '../../../agent/src/io/xmpp-accounts.ts';
import { readAdminFile, withAdmin } from './admin.ts';
import { OverlayDirectory } from './book.ts';

export interface Restored {
  readonly overlay: string;
  readonly room: string;
  /** False: the room was there, and is configured as it should be. */
  readonly roomMade: boolean;
  /** Names of the nodes that can log in again. */
  readonly nodes: readonly string[];
}

/**
 * May be repeated, also where nothing was lost: what is there is set right. Nodes keep their files, because an account's password
 * follows from the authority's key.
 */
export async function restore(dir: string): Promise<Restored> {
  const directory = new OverlayDirectory(dir);
  if (!directory.exists()) directory.readBook();
  return directory.locked(async () => {
    const book = directory.readBook();
    const authority = directory.authority();
    const nodes = Object.entries(book.nodes);
    const enrolled = nodes.filter(([, node]) => node.state === 'enrolled');
    const roomMade = await withAdmin(readAdminFile(book.server), async (admin) => {
      const made = await admin.createRoom(book.room);
      for (const [, { id, username }] of enrolled)
        await admitAccount(admin, book.room, username, accountPassword(authority, id));
      // A database from a backup may still let in who was revoked since.
      for (const [, node] of nodes) if (node.state === 'revoked') await endAccount(admin, book.room, node.username);
      return made;
    });
    return { overlay: book.name, room: book.room, roomMade, nodes: enrolled.map(([name]) => name) };
  });
}
