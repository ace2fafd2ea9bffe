/** `evio authority serve`: answers for the overlay in a directory, and is its only one that does. */

import { JoinService } from '../../../agent/src/io/join-service.ts';
import type { Log } from '../../../agent/src/io/log.ts';
import { readAdminFile, withAdmin } from '../overlay/admin.ts';
import { OverlayDirectory } from '../overlay/book.ts';
import { OverlayDesk } from './desk.ts';

export class AuthorityService {
  readonly #service: JoinService;
  readonly #endClaim: () => void;

  /** Throws Failure when the directory cannot be used, or another process answers for it. */
  constructor(dir: string, validSeconds: number, log: Log) {
    const directory = new OverlayDirectory(dir);
    const book = directory.readBook();
    const authority = directory.authority();
    directory.readTokens();
    const server = readAdminFile(book.server);
    const { service, domain, ca } = server;
    const desk = new OverlayDesk({ directory, server, asAdmin: (work) => withAdmin(server, work), validSeconds });
    this.#service = new JoinService({
      ...{ service, domain, ca, authority, desk, log },
      makeAccount: (username, password) =>
        withAdmin(server, async (admin) => {
          if (!(await admin.addUser(username, password))) await admin.changePassword(username, password);
        }),
    });
    this.#endClaim = directory.claimService();
  }

  start(): void {
    this.#service.start();
  }

  /** Resolves when what was being answered is answered. */
  async stop(): Promise<void> {
    await this.#service.stop();
    this.#endClaim();
  }
}
