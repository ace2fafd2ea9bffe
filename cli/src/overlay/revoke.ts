/** `evio overlay revoke`: a node's certificates become void, and its account ends. */

import type { KeyObject } from 'node:crypto';
import { endAccount } from '../../../agent/src/io/xmpp-accounts.ts';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { encodeRevocations } from '../../../agent/src/wire/revocations.ts';
import { Failure } from '../failure.ts';
import { readAdminFile, withAdmin } from './admin.ts';
import { type NodeEntry, nodeOf, OverlayDirectory } from './book.ts';
import { nowSeconds } from './create.ts';

export interface Revoked {
  readonly name: string;
  readonly id: string;
  readonly serial: number;
  /** The signed list, for the nodes. */
  readonly list: string;
}

/** May be repeated: a second call ends what the first could not. */
export async function revoke(dir: string, name: string): Promise<Revoked> {
  const directory = new OverlayDirectory(dir);
  if (!directory.exists()) directory.readBook();
  return directory.locked(async () => {
    const book = directory.readBook();
    const node = nodeOf(book, name);
    if (node === undefined) {
      throw new Failure(
        `overlay ${book.name} has no node ${name}; it has: ${Object.keys(book.nodes).join(', ') || 'none'}`,
      );
    }
    const key = directory.authority();
    // The list first: it takes effect without the server.
    const serial = addRevocation(directory, key, node);
    directory.writeBook({ ...book, nodes: { ...book.nodes, [name]: { ...node, state: 'revoked' } } });
    try {
      await withAdmin(readAdminFile(book.server), (admin) => endAccount(admin, book.room, node.username));
    } catch (error) {
      if (!(error instanceof XmppError)) throw error;
      throw new Failure(
        `list number ${serial} is signed: hand it to a node (evio agent revocations ${directory.revocationsPath}); ` +
          `but the account of ${name} did not end: ${error.message}; run this again later`,
      );
    }
    return { name, id: node.id, serial, list: directory.revocationsPath };
  });
}

/** Signs the next list, with all that stood in the last one; gives its serial. */
export function addRevocation(directory: OverlayDirectory, key: KeyObject, node: NodeEntry): number {
  const present = directory.revocations();
  const serial = (present?.serial ?? 0n) + 1n;
  const others = (present?.revoked ?? []).filter((r) => r.nodeId !== node.id);
  const revoked = [...others, { nodeId: node.id, serial: BigInt(node.serial) }];
  const list = encodeRevocations({ serial, issued: nowSeconds(), revoked }, key);
  directory.writeRevocations(list.toString('base64'));
  return Number(serial);
}
