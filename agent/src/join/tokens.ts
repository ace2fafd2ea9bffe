/**
 * The tokens of an overlay, as its authority keeps them: what is left of each, who came by it, and which accounts on the XMPP server
 * have to end. Pure: whoever keeps the book writes it down before it acts on it.
 */
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import type { NodeId } from '../wire/ids.ts';
import { tokenAccountName, tokenHash, tokenId } from '../wire/join-token.ts';

const claim = z.strictObject({
  /** Whose: the node id of the keys that were shown. */
  node: z.string(),
  name: z.string(),
  /** 0: it has none yet; the use is written down first. */
  serial: z.int().min(0),
  /** The certificate it got, in base64: asked again by the same node, the same is answered. Empty where the register has it. */
  certificate: z.string(),
  /** Seconds since 1970, like all times here. */
  at: z.int(),
});
/** One use of a token. */
export type Claim = z.infer<typeof claim>;

const token = z.strictObject({
  id: z.string(),
  /** Of its secret, in hex. */
  hash: z.string(),
  created: z.int(),
  expires: z.int(),
  uses: z.int().min(1),
  /** For the machine of this EvioPeer alone; in a cluster. */
  peer: z.string().optional(),
  claims: z.array(claim),
});
export type Token = z.infer<typeof token>;

export const tokenBook = z.strictObject({
  apiVersion: z.literal('evio-tokens/1'),
  tokens: z.array(token),
  /** Accounts that end at a time of their own, or as soon as who has them says that it got its answer. */
  ending: z.array(z.strictObject({ username: z.string(), at: z.int() })),
});
export type TokenBook = z.infer<typeof tokenBook>;

export const NO_TOKENS: TokenBook = { apiVersion: 'evio-tokens/1', tokens: [], ending: [] };

export const TOKENS_MAX = 500;
/** For an answer that was lost to be asked for again. */
export const ACCOUNT_GRACE_SECONDS = 60;

export const usesLeft = ({ uses, claims }: Token): number => Math.max(0, uses - claims.length);

/** Somebody came by it whose join is not finished: by the token's account he asks again. */
export const isOpen = ({ claims }: Token): boolean => claims.some(({ serial }) => serial === 0);

/** Whether anybody may still have to log in by it: it is not spent, or a join by it is not finished. */
export const isWanted = (of: Token): boolean => usesLeft(of) > 0 || isOpen(of);

/** Throws RangeError when there are too many. */
export function addToken(
  book: TokenBook,
  secret: Uint8Array,
  { uses, lifeSeconds }: { readonly uses: number; readonly lifeSeconds: number },
  now: number,
): { readonly book: TokenBook; readonly token: Token } {
  const offer = { id: tokenId(secret), hash: tokenHash(secret), expires: now + lifeSeconds, uses };
  return withOffer(book, offer, now);
}

/** The same where the secret stays with who drew it. */
export function withOffer(
  book: TokenBook,
  offer: Pick<Token, 'id' | 'hash' | 'expires' | 'uses' | 'peer'>,
  now: number,
): { readonly book: TokenBook; readonly token: Token } {
  if (book.tokens.length >= TOKENS_MAX) throw new RangeError(`${TOKENS_MAX} tokens are in use`);
  const made: Token = { ...offer, created: now, claims: [] };
  return { book: { ...book, tokens: [...book.tokens, made] }, token: made };
}

export type Standing =
  /** Nobody came by it yet, or not as often as it allows. */
  | { readonly kind: 'good'; readonly token: Token }
  /** This node came by it before. */
  | { readonly kind: 'again'; readonly token: Token; readonly claim: Claim }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'expired'; readonly token: Token }
  | { readonly kind: 'used'; readonly token: Token };

/** What a node that shows this secret may expect. */
export function standingOf(book: TokenBook, secret: Uint8Array, node: NodeId, now: number): Standing {
  const hash = tokenHash(secret);
  const found = book.tokens.find((one) => one.hash === hash);
  if (found === undefined) return { kind: 'unknown' };
  const before = found.claims.find((one) => one.node === node);
  if (before !== undefined) return { kind: 'again', token: found, claim: before };
  // At its last second it still holds.
  if (now > found.expires) return { kind: 'expired', token: found };
  return usesLeft(found) === 0 ? { kind: 'used', token: found } : { kind: 'good', token: found };
}

/** One use less. */
export const withClaim = (book: TokenBook, id: string, made: Claim): TokenBook => ({
  ...book,
  tokens: book.tokens.map((one) => (one.id === id ? { ...one, claims: [...one.claims, made] } : one)),
});

/**
 * A use that was written down has its certificate now. The account of the token is about to end with that of the last one, and not with
 * its last use: until its join is finished, whoever has that needs the account to ask again.
 */
export function withSerial(book: TokenBook, id: string, node: NodeId, serial: number, now: number): TokenBook {
  const found = book.tokens.find((one) => one.id === id);
  if (found?.claims.some((c) => c.node === node && c.serial === 0) !== true) return book;
  const next = { ...found, claims: found.claims.map((c) => (c.node === node ? { ...c, serial } : c)) };
  const changed = { ...book, tokens: book.tokens.map((one) => (one === found ? next : one)) };
  return isWanted(next) ? changed : withEnding(changed, tokenAccountName(id), now + ACCOUNT_GRACE_SECONDS);
}

export function withEnding(book: TokenBook, username: string, at: number): TokenBook {
  const others = book.ending.filter((one) => one.username !== username);
  return { ...book, ending: [...others, { username, at }] };
}

/** Undefined: there is no such token. */
export function withoutToken(book: TokenBook, id: string): TokenBook | undefined {
  if (!book.tokens.some((one) => one.id === id)) return undefined;
  const tokens = book.tokens.filter((one) => one.id !== id);
  return withEnding({ ...book, tokens }, tokenAccountName(id), 0);
}

/**
 * Who has this account says that it has its answer: the account ends now, if it is to end at all, and if no other machine has it too,
 * whose answer may be on its way. The book itself where nothing changes.
 */
export function confirmed(book: TokenBook, username: string): TokenBook {
  const shared = book.tokens.some((one) => one.uses > 1 && tokenAccountName(one.id) === username);
  const ends = book.ending.some((one) => one.username === username && one.at > 0);
  return ends && !shared ? withEnding(book, username, 0) : book;
}

/** Forgets tokens that have expired, whose accounts end. The book itself where nothing changes. */
export function settle(book: TokenBook, now: number): TokenBook {
  const over = book.tokens.filter((one) => now > one.expires);
  if (over.length === 0) return book;
  const kept: TokenBook = { ...book, tokens: book.tokens.filter((one) => now <= one.expires) };
  // One that was spent, with all joins finished, has its ending already, or has ended.
  return over.filter(isWanted).reduce((b, one) => withEnding(b, tokenAccountName(one.id), now), kept);
}

export const due = (book: TokenBook, now: number): readonly string[] =>
  book.ending.filter(({ at }) => at <= now).map(({ username }) => username);

export const withoutEnding = (book: TokenBook, usernames: readonly string[]): TokenBook =>
  usernames.length === 0 ? book : { ...book, ending: book.ending.filter((one) => !usernames.includes(one.username)) };

/** When there is something to do next; undefined: never. */
export function deadline({ tokens, ending }: TokenBook): number | undefined {
  const times = [...tokens.map((one) => one.expires + 1), ...ending.map((one) => one.at)];
  return times.length === 0 ? undefined : Math.min(...times);
}
