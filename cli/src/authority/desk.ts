/**
 * The authority of an overlay at work: each request is one transaction over the overlay's directory and the accounts of the XMPP server.
 * What is decided is agent/src/join/judge.ts and overlay/admit.ts; here it is written down before it is handed out.
 */

import type { KeyObject } from 'node:crypto';
import {
  type Accounts,
  accountPassword,
  admitAccount,
  deleteAccount,
  endAccount,
} from '../../../agent/src/io/xmpp-accounts.ts';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import type { Desk, News, Reply } from '../../../agent/src/join/desk.ts';
import { judge, newestFor, refusal, type Verdict } from '../../../agent/src/join/judge.ts';
import {
  ACCOUNT_GRACE_SECONDS,
  type Claim,
  confirmed,
  deadline,
  due,
  settle,
  type TokenBook,
  withClaim,
  withEnding,
  withoutEnding,
  withSerial,
} from '../../../agent/src/join/tokens.ts';
import type { JoinBody, OpenedRequest, RefusalReason } from '../../../agent/src/wire/join-message.ts';
import { rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { Failure, UsageError } from '../failure.ts';
import { type Admitted, admit, withNode } from '../overlay/admit.ts';
import { type Book, type NodeEntry, nodeOf, type OverlayDirectory, parametersOf } from '../overlay/book.ts';
import { addRevocation } from '../overlay/revoke.ts';
import type { AdminFile } from '../server/settings.ts';

/** How long another command may take over the same overlay. */
export const LOCK_WAIT_MS = 10_000;

export interface DeskOptions {
  readonly directory: OverlayDirectory;
  /** Where nodes find the server. */
  readonly server: Pick<AdminFile, 'service' | 'domain' | 'ca' | 'stun'>;
  /** Runs `work` as the server's administrator. */
  readonly asAdmin: (work: (accounts: Accounts) => Promise<void>) => Promise<void>;
  /** Of the certificates that are signed. */
  readonly validSeconds: number;
}

export class OverlayDesk implements Desk {
  readonly #options: DeskOptions;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** `now` in seconds since 1970. Throws Failure when the directory cannot be used. */
  answer(request: OpenedRequest, now: number): Promise<Reply> {
    return this.#locked((books) => {
      const verdict = judge(
        request,
        books.tokens,
        (name) => nodeOf(books.book, name),
        rawPublicKey(books.authority),
        now,
      );
      return this.#carryOut(verdict, request, books, now);
    });
  }

  async #carryOut(verdict: Verdict, request: OpenedRequest, books: Books, now: number): Promise<Reply> {
    switch (verdict.kind) {
      case 'refuse':
        return refused(verdict.answer.reason, verdict.answer.message);
      case 'repeat':
        return this.#joined(verdict.claim, books, now);
      case 'renew':
        return this.#renewed(verdict, request, books, now);
      case 'revoke':
        return this.#left(verdict, books, now);
      case 'admit': {
        const { token, node, body } = verdict;
        const made = attempt(books, request, body, this.#options.validSeconds, now);
        if ('answer' in made) return made;
        const { certificate, entry } = made;
        const claim: Claim = {
          node,
          name: body.name,
          // Until its account is there too.
          serial: 0,
          certificate: certificate.toString('base64'),
          at: now,
        };
        // The book first: without the claim the same node is admitted once more, to the same address; a claim without its node would
        // be a use that is lost.
        const book = withNode(books.book, body.name, { ...entry, state: 'pending' });
        const tokens = withClaim(withoutEnding(books.tokens, [entry.username]), token.id, claim);
        this.#options.directory.writeBook(book);
        this.#options.directory.writeTokens(tokens);
        return this.#joined(claim, { ...books, book, tokens }, now);
      }
    }
  }

  /** The account, and then the answer: who has the node file can log in. */
  async #joined(claim: Claim, { book, tokens, authority }: Books, now: number): Promise<Reply> {
    const { directory, server, asAdmin } = this.#options;
    const entry = nodeOf(book, claim.name) as NodeEntry;
    const password = accountPassword(authority, entry.id);
    try {
      await asAdmin((accounts) => admitAccount(accounts, book.room, entry.username, password));
    } catch (error) {
      if (!(error instanceof XmppError)) throw error;
      const message = `the account of ${claim.name} cannot be made now; the log of the authority says why`;
      return { ...refused('unavailable', message), told: `the account of ${claim.name}: ${error.message}` };
    }
    if (entry.state !== 'enrolled') directory.writeBook(withNode(book, claim.name, { ...entry, state: 'enrolled' }));
    const token = tokens.tokens.find(({ claims }) => claims.some((c) => c.node === claim.node && c.serial === 0));
    if (token !== undefined) directory.writeTokens(withSerial(tokens, token.id, claim.node, entry.serial, now));
    const revocations = directory.readRevocations();
    const { service, domain, ca, stun } = server;
    return {
      answer: {
        type: 'joined',
        parameters: book.parameters,
        certificate: entry.certificate ?? claim.certificate,
        ...(revocations === undefined ? {} : { revocations }),
        account: {
          service,
          domain,
          username: entry.username,
          password,
          ...(ca === undefined ? {} : { ca }),
          room: book.room,
          stun: [...stun].slice(0, 8),
        },
      },
      told: `node ${claim.name} (${entry.id}) joined: ${entry.addresses.join(', ')}`,
    };
  }

  /** Addresses, prefixes and account stay. */
  #renewed(
    { name, body, due }: Extract<Verdict, { kind: 'renew' }>,
    request: OpenedRequest,
    books: Books,
    now: number,
  ): Reply {
    const { directory, validSeconds } = this.#options;
    const { book } = books;
    const entry = nodeOf(book, name) as NodeEntry;
    const newest = due ? newestFor(entry.certificate, request, now) : undefined;
    const made = due && newest === undefined ? attempt(books, request, { name }, validSeconds, now) : undefined;
    if (made !== undefined && 'answer' in made) return made;
    if (made !== undefined) directory.writeBook(withNode(book, name, { ...made.entry, state: entry.state }));
    const list = directory.revocations();
    const newer = list !== undefined && list.serial > body.revocations ? list : undefined;
    const told = [
      ...(made === undefined
        ? []
        : [`certificate ${made.entry.serial} until ${new Date(made.entry.notAfter * 1000).toISOString()}`]),
      ...(newest === undefined ? [] : [`certificate ${entry.serial} once more`]),
      ...(newer === undefined ? [] : [`revocation list number ${newer.serial}`]),
    ];
    const certificate = made?.certificate.toString('base64') ?? newest;
    return {
      answer: {
        type: 'renewed',
        ...(certificate === undefined ? {} : { certificate }),
        ...(parametersOf(book).serial > body.parameters ? { parameters: book.parameters } : {}),
        ...(newer === undefined ? {} : { revocations: newer.bytes.toString('base64') }),
      },
      told: told.length === 0 ? undefined : `node ${name} has ${told.join(' and ')}`,
    };
  }

  /** The list first: it takes effect without the server. The account ends once the node has its answer, which comes over it. */
  #left({ name, done }: Extract<Verdict, { kind: 'revoke' }>, { book, tokens, authority }: Books, now: number): Reply {
    const { directory } = this.#options;
    const entry = nodeOf(book, name) as NodeEntry;
    const present = directory.revocations();
    const serial = done && present !== undefined ? Number(present.serial) : addRevocation(directory, authority, entry);
    if (!done) directory.writeBook({ ...book, nodes: { ...book.nodes, [name]: { ...entry, state: 'revoked' } } });
    directory.writeTokens(withEnding(tokens, entry.username, now + ACCOUNT_GRACE_SECONDS));
    return {
      answer: { type: 'left', serial },
      told: `node ${name} (${entry.id}) left: list number ${serial} is signed`,
    };
  }

  news(): News {
    const book = this.#options.directory.readBook();
    const serials = [parametersOf(book).serial, this.#options.directory.revocations()?.serial ?? 0n];
    const nodes = Object.values(book.nodes).filter(({ state }) => state !== 'revoked');
    return { mark: serials.join(), usernames: nodes.map(({ username }) => username) };
  }

  awaits(username: string): boolean {
    const tokens = this.#options.directory.readTokens();
    return confirmed(tokens, username) !== tokens;
  }

  /** Who has this account has its answer. */
  confirm(username: string, now: number): Promise<number | undefined> {
    return this.#locked(async ({ tokens }) => {
      const next = confirmed(tokens, username);
      if (next !== tokens) this.#options.directory.writeTokens(next);
    }).then(() => this.tidy(now));
  }

  /** Ends the accounts whose time has come; gives when to look again, in seconds since 1970. Throws XmppError when the server is away. */
  tidy(now: number): Promise<number | undefined> {
    return this.#locked(async ({ book, tokens }) => {
      const settled = settle(tokens, now);
      if (settled !== tokens) this.#options.directory.writeTokens(settled);
      const usernames = due(settled, now);
      if (usernames.length > 0) await this.#options.asAdmin((accounts) => endAccounts(accounts, book, usernames));
      const next = withoutEnding(settled, usernames);
      if (next !== settled) this.#options.directory.writeTokens(next);
      return deadline(next);
    });
  }

  #locked<T>(work: (books: Books) => Promise<T>): Promise<T> {
    const { directory } = this.#options;
    return directory.locked(() => work(booksOf(directory)), LOCK_WAIT_MS);
  }
}

interface Books {
  readonly book: Book;
  readonly tokens: TokenBook;
  readonly authority: KeyObject;
}

/** Read anew each time: other commands change them too. */
const booksOf = (directory: OverlayDirectory): Books => ({
  book: directory.readBook(),
  tokens: directory.readTokens(),
  authority: directory.authority(),
});

const refused = (reason: RefusalReason, message: string): Reply => ({
  answer: refusal(reason, message),
  told: `refused: ${message}`,
});

function attempt(
  { book, authority }: Books,
  { identityKey, sessionKey }: OpenedRequest,
  body: Pick<JoinBody, 'name' | 'address4' | 'address6'>,
  validSeconds: number,
  now: number,
): Admitted | Reply {
  const wishes = { address4: body.address4, address6: body.address6 };
  const admission = { name: body.name, identityKey, sessionKey, wishes, routes: [], validSeconds };
  try {
    return admit(book, parametersOf(book), authority, { ...admission, option: () => '--address' }, now);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return refused(error instanceof UsageError ? 'address' : 'full', error.message.slice(0, 300));
  }
}

/** An account that a node has again, because it came back meanwhile, stays. */
export async function endAccounts(accounts: Accounts, book: Book, usernames: readonly string[]): Promise<void> {
  const inUse = new Set(
    Object.values(book.nodes)
      .filter((node) => node.state !== 'revoked')
      .map((node) => node.username),
  );
  for (const username of usernames) {
    if (inUse.has(username)) continue;
    if (username.includes('.')) await endAccount(accounts, book.room, username);
    else await deleteAccount(accounts, username);
  }
}
