/** The server as the administrator uses it. */

import { XmppAdmin } from '../../../agent/src/io/xmpp-admin.ts';
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
