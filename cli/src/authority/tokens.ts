/** `evio token create`, `list` and `revoke`. */

import { randomBytes, X509Certificate } from 'node:crypto';
import type { Accounts } from '../../../agent/src/io/xmpp-accounts.ts';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { shownCertificates } from '../../../agent/src/io/xmpp-tls.ts';
import {
  addToken,
  due,
  settle,
  type Token,
  type TokenBook,
  usesLeft,
  withoutEnding,
  withoutToken,
} from '../../../agent/src/join/tokens.ts';
import {
  encodeToken,
  SECRET_BYTES,
  type TokenTrust,
  tokenAccountName,
  tokenPassword,
} from '../../../agent/src/wire/join-token.ts';
import { rawPublicKey, sha256 } from '../../../agent/src/wire/keys.ts';
import { Failure } from '../failure.ts';
import { readAdminFile, withAdmin } from '../overlay/admin.ts';
import { type Book, OverlayDirectory } from '../overlay/book.ts';
import { nowSeconds } from '../overlay/create.ts';
import type { AdminFile } from '../server/settings.ts';
import { endAccounts, LOCK_WAIT_MS } from './desk.ts';

const CONNECT_MS = 15_000;

export interface TokenAbout {
  readonly id: string;
  readonly expires: string;
  readonly uses: number;
  readonly left: number;
  /** Names of the nodes that came by it. */
  readonly joined: readonly string[];
}

const about = (token: Token): TokenAbout => ({
  id: token.id,
  expires: new Date(token.expires * 1000).toISOString().replace('.000Z', 'Z'),
  uses: token.uses,
  left: usesLeft(token),
  joined: token.claims.map(({ name }) => name),
});

export interface CreatedToken extends TokenAbout {
  /** The line to paste: a secret. */
  readonly token: string;
  readonly overlay: string;
}

export async function createToken(
  dir: string,
  { uses, lifeSeconds }: { readonly uses: number; readonly lifeSeconds: number },
): Promise<CreatedToken> {
  return changing(dir, async (directory, book, before) => {
    const admin = readAdminFile(book.server);
    const secret = randomBytes(SECRET_BYTES);
    const added = addedTo(before, secret, { uses, lifeSeconds });
    const text = encodeToken({
      service: admin.service,
      domain: admin.domain,
      authorityKey: rawPublicKey(directory.authority()),
      secret,
      expires: added.token.expires,
      trusted: await trustedOf(admin),
    });
    // The book first: an account that nobody knows of would stay for ever.
    directory.writeTokens(added.book);
    try {
      await withAdmin(admin, async (a) => {
        await a.addUser(tokenAccountName(added.token.id), tokenPassword(secret));
        await endDue(directory, book, added.book, a);
      });
    } catch (error) {
      if (error instanceof XmppError) directory.writeTokens(before);
      throw error;
    }
    return { ...about(added.token), token: text, overlay: book.name };
  });
}

function addedTo(
  book: TokenBook,
  secret: Uint8Array,
  options: { readonly uses: number; readonly lifeSeconds: number },
): ReturnType<typeof addToken> {
  try {
    return addToken(book, secret, options, nowSeconds());
  } catch (error) {
    if (error instanceof RangeError) throw new Failure(`${error.message}; revoke some: evio token revoke ID`);
    throw error;
  }
}

/** Those that still stand, oldest first. */
export async function listTokens(dir: string): Promise<readonly TokenAbout[]> {
  const directory = new OverlayDirectory(dir);
  directory.readBook();
  return settle(directory.readTokens(), nowSeconds()).tokens.map(about);
}

export async function revokeToken(dir: string, id: string): Promise<TokenAbout> {
  return changing(dir, async (directory, book, before) => {
    const token = before.tokens.find((one) => one.id === id);
    const next = withoutToken(before, id);
    if (token === undefined || next === undefined) {
      const there = before.tokens.map((one) => one.id).join(', ') || 'none';
      throw new Failure(`overlay ${book.name} has no token ${id}; it has: ${there}`);
    }
    // It is void from here on, also while the server is away.
    directory.writeTokens(next);
    try {
      await withAdmin(readAdminFile(book.server), (admin) => endDue(directory, book, next, admin));
    } catch (error) {
      if (!(error instanceof XmppError)) throw error;
      throw new Failure(
        `token ${id} is void, but its account ${tokenAccountName(id)} did not end: ${error.message}; evio authority serve ends it later`,
      );
    }
    return about(token);
  });
}

function changing<T>(
  dir: string,
  work: (directory: OverlayDirectory, book: Book, tokens: TokenBook) => Promise<T>,
): Promise<T> {
  const directory = new OverlayDirectory(dir);
  if (!directory.exists()) directory.readBook();
  return directory.locked(
    () => work(directory, directory.readBook(), settle(directory.readTokens(), nowSeconds())),
    LOCK_WAIT_MS,
  );
}

/** What is over goes whenever the administrator is there. */
async function endDue(directory: OverlayDirectory, book: Book, tokens: TokenBook, admin: Accounts): Promise<void> {
  const usernames = due(tokens, nowSeconds());
  await endAccounts(admin, book, usernames);
  if (usernames.length > 0) directory.writeTokens(withoutEnding(tokens, usernames));
}

/** An authority that the server shows is named by its hash; one that it does not goes into the token whole. */
async function trustedOf({ service, domain, ca }: AdminFile): Promise<TokenTrust> {
  if (ca === undefined) return { kind: 'public' };
  const pem = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const certificates = pem.map((one) => new X509Certificate(one).raw);
  const shown = await shownCertificates({ service, domain, signal: AbortSignal.timeout(CONNECT_MS) });
  const named = certificates.find((one) => shown.some((other) => other.equals(one)));
  return named === undefined ? { kind: 'certificates', certificates } : { kind: 'fingerprint', sha256: sha256(named) };
}
