/** The join tokens of a cluster: what its Secrets offer, against the book in the authority's Secret. Pure. */
import {
  CLUSTER_LIFE_MAX_SECONDS,
  readOffer,
  TOKEN_SECRET_TYPE,
  type TokenOffer,
  type TokenStanding,
} from '../../../agent/src/join/cluster-token.ts';
import {
  settle,
  TOKENS_MAX,
  type TokenBook,
  usesLeft,
  withOffer,
  withoutToken,
} from '../../../agent/src/join/tokens.ts';
import type { Secret } from '../../../agent/src/kube-api/kinds.ts';
import { tokenAccountName } from '../../../agent/src/wire/join-token.ts';
import { DecodeError } from '../../../agent/src/wire/reader.ts';
import { secretText } from './authority.ts';

export const isTokenSecret = ({ type }: Secret): boolean => type === TOKEN_SECRET_TYPE;

/** Certificates of claims that are not finished, and names, are kept in one Secret of a megabyte with the ledger. */
const CLAIMS_MAX = 1_000;

export interface Offers {
  readonly offers: readonly TokenOffer[];
  /** By the Secret's name: why it is no token. */
  readonly refused: ReadonlyMap<string, string>;
  /** Names of Secrets whose tokens are over. */
  readonly over: readonly string[];
}

/** `now` in seconds since 1970. */
export function offersIn(secrets: readonly Secret[], now: number): Offers {
  const offers: TokenOffer[] = [];
  const refused = new Map<string, string>();
  const over: string[] = [];
  for (const secret of secrets.filter(isTokenSecret)) {
    const { name } = secret.metadata;
    try {
      const offer = readOffer(name, (key) => secretText(secret, key));
      if (now > offer.expires) over.push(name);
      else if (offer.expires > now + CLUSTER_LIFE_MAX_SECONDS) refused.set(name, 'it holds for more than 30 days');
      else offers.push(offer);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      refused.set(name, error.message);
    }
  }
  return { offers, refused, over };
}

/** Tokens in the book whose Secret is not there: somebody made them void, or the cache is behind. */
export const missingIn = ({ tokens }: TokenBook, offers: readonly TokenOffer[]): readonly string[] =>
  tokens.map(({ id }) => id).filter((id) => !offers.some((offer) => offer.id === id));

/** The book with all that is offered, and without what is over or void. The book itself where nothing changes. */
export function settled(
  book: TokenBook,
  offers: readonly TokenOffer[],
  gone: readonly string[],
  now: number,
): TokenBook {
  let next = settle(book, now);
  for (const id of gone) next = withoutToken(next, id) ?? next;
  for (const { id, hash, expires, uses, peer } of offers) {
    if (next.tokens.some((one) => one.id === id) || isFull(next)) continue;
    // Its account may have been about to end, when the same token was made void before.
    const free = { ...next, ending: next.ending.filter(({ username }) => username !== tokenAccountName(id)) };
    next = withOffer(free, { id, hash, expires, uses, ...(peer === undefined ? {} : { peer }) }, now).book;
  }
  return next;
}

const isFull = ({ tokens }: TokenBook): boolean =>
  tokens.length >= TOKENS_MAX || tokens.reduce((sum, { uses }) => sum + uses, 0) >= CLAIMS_MAX;

/** Those whose account is to be there: not spent, and not over. */
export const accountsWanted = (
  book: TokenBook,
  offers: readonly TokenOffer[],
): readonly { readonly username: string; readonly password: string; readonly id: string }[] =>
  offers
    .filter(({ id }) => book.tokens.some((one) => one.id === id && usesLeft(one) > 0))
    .map(({ id, password }) => ({ id, password, username: tokenAccountName(id) }));

/** What each token is told of, by its id. `made`: ids whose account is there; `peers`: names of EvioPeers that have a place. */
export function standingsOf(
  book: TokenBook,
  { offers, refused }: Offers,
  made: ReadonlySet<string>,
  peers: ReadonlySet<string>,
): ReadonlyMap<string, TokenStanding> {
  const time = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
  const all = new Map<string, TokenStanding>();
  for (const { id, expires, uses, peer } of offers) {
    const token = book.tokens.find((one) => one.id === id);
    const left = token === undefined ? uses : usesLeft(token);
    const homeless = peer !== undefined && !peers.has(peer);
    const ready = token !== undefined && !homeless && (made.has(id) || left === 0);
    all.set(id, {
      state: ready ? 'ready' : token === undefined ? 'refused' : 'waiting',
      expires: time(expires),
      uses,
      left,
      joined: token?.claims.map(({ name }) => name) ?? [],
      ...(peer === undefined ? {} : { peer }),
      ...(token === undefined
        ? { message: 'there are too many tokens: wait until some are over, or delete some' }
        : homeless
          ? { message: `there is no EvioPeer ${peer}, or it has no place on the overlay: kubectl get eviopeers` }
          : {}),
    });
  }
  for (const [name, message] of refused)
    all.set(name.replace(/^evio-token-/, ''), {
      ...{ state: 'refused', expires: '', uses: 0, left: 0, joined: [] },
      message: `Secret ${name} is no token: ${message}`,
    });
  return all;
}
