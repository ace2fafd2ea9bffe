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

/** One use less; with the last one the account of the token is about to end. */
export function withClaim(book: TokenBook, id: string, made: Claim): TokenBook {
  const tokens = book.tokens.map((one) => (one.id === id ? { ...one, claims: [...one.claims, made] } : one));
  const spent = tokens.some((one) => one.id === id && usesLeft(one) === 0);
  const changed = { ...book, tokens };
  return spent ? withEnding(changed, tokenAccountName(id), made.at + ACCOUNT_GRACE_SECONDS) : changed;
}

/** A use that was written down has its certificate now. */
export const withSerial = (book: TokenBook, id: string, node: NodeId, serial: number): TokenBook => ({
  ...book,
  tokens: book.tokens.map((one) =>
    one.id === id ? { ...one, claims: one.claims.map((c) => (c.node === node ? { ...c, serial } : c)) } : one,
  ),
});

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

/** Who has this account says that it has its answer: the account ends now, if it is to end at all. */
export function confirmed(book: TokenBook, username: string): TokenBook {
  return book.ending.some((one) => one.username === username) ? withEnding(book, username, 0) : book;
}

/** Forgets tokens that have expired, whose accounts end. The book itself where nothing changes. */
export function settle(book: TokenBook, now: number): TokenBook {
  const over = book.tokens.filter((one) => now > one.expires);
  if (over.length === 0) return book;
  const kept: TokenBook = { ...book, tokens: book.tokens.filter((one) => now <= one.expires) };
  // One that was spent has its ending already, or has ended.
  return over.filter((one) => usesLeft(one) > 0).reduce((b, one) => withEnding(b, tokenAccountName(one.id), now), kept);
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
