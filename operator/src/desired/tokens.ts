/** The join tokens of a cluster: what its Secrets offer, against the book in the authority's Secret. Pure. */
import {
  CLUSTER_LIFE_MAX_SECONDS,
  readOffer,
  TOKEN_SECRET_TYPE,
  type TokenOffer,
  type TokenStanding,
  tokenIdIn,
} from '../../../agent/src/join/cluster-token.ts';
import {
  isWanted,
  settle,
  TOKENS_MAX,
  type Token,
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
/** Whoever makes tokens may have a clock that is ahead. */
const CLOCK_SLACK_SECONDS = 3_600;
/** Told of in the ConfigMap, which is no longer than a Secret. */
export const REFUSED_MAX = 50;

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
  for (const secret of secrets.filter(isTokenSecret).sort(byAge)) {
    const { name } = secret.metadata;
    try {
      const offer = readOffer(name, (key) => secretText(secret, key));
      if (now > offer.expires) over.push(name);
      else if (offer.expires > now + CLUSTER_LIFE_MAX_SECONDS + CLOCK_SLACK_SECONDS)
        refused.set(name, 'it holds for more than 30 days');
      else offers.push(offer);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      refused.set(name, error.message);
    }
  }
  return { offers, refused, over };
}

/** Oldest first: who came later waits. */
const byAge = ({ metadata: a }: Secret, { metadata: b }: Secret): number =>
  a.creationTimestamp < b.creationTimestamp ? -1 : a.creationTimestamp > b.creationTimestamp ? 1 : 0;

/**
 * Tokens in the book that still are of use and whose Secret is not there: somebody made them void, or the cache is behind. Those that
 * are done have none.
 */
export const missingIn = (book: TokenBook, offers: readonly TokenOffer[]): readonly string[] =>
  book.tokens.filter((one) => !isDone(book, one) && !offers.some((offer) => offer.id === one.id)).map(({ id }) => id);

/** Nobody needs it any more, and its account has ended. */
const isDone = ({ ending }: TokenBook, of: Token): boolean =>
  !isWanted(of) && !ending.some(({ username }) => username === tokenAccountName(of.id));

/** Ids of tokens whose Secret is to go: an older book, or one that is lost, must not make them good again. */
export const doneIn = (book: TokenBook, offers: readonly TokenOffer[]): readonly string[] =>
  offers.map(({ id }) => id).filter((id) => book.tokens.some((one) => one.id === id && isDone(book, one)));

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

/** Those whose account is to be there: not over, and not spent by joins that are all finished. */
export const accountsWanted = (
  book: TokenBook,
  offers: readonly TokenOffer[],
): readonly { readonly username: string; readonly password: string; readonly id: string }[] =>
  offers
    .filter(({ id }) => book.tokens.some((one) => one.id === id && isWanted(one)))
    .map(({ id, password }) => ({ id, password, username: tokenAccountName(id) }));

/** What of the world tokens depend on. */
export interface Surroundings {
  /** Ids whose account is there. */
  readonly made: ReadonlySet<string>;
  /** Why the account of an id could not be made. */
  readonly failed: ReadonlyMap<string, string>;
  /** Names of EvioPeers that have a place. */
  readonly peers: ReadonlySet<string>;
}

/** What each token is told of, by its id; of refused ones the newest. */
export function standingsOf(
  book: TokenBook,
  { offers, refused }: Offers,
  around: Surroundings,
): ReadonlyMap<string, TokenStanding> {
  const known = new Map(book.tokens.map((one) => [one.id, one]));
  const all = new Map<string, TokenStanding>();
  // Its Secret is gone; who joined by it is told until it is over.
  for (const token of book.tokens) if (isDone(book, token)) all.set(token.id, standingOf(token, token, around));
  const no = new Map<string, TokenStanding>();
  for (const [name, message] of refused) {
    const id = tokenIdIn(name);
    const why = `Secret ${name} is no token: ${message}`;
    if (id !== undefined) no.set(id, { state: 'refused', expires: '', uses: 0, left: 0, joined: [], message: why });
  }
  for (const offer of offers) {
    const token = known.get(offer.id);
    (token === undefined ? no : all).set(offer.id, standingOf(offer, token, around));
  }
  for (const [id, standing] of [...no].slice(-REFUSED_MAX)) all.set(id, standing);
  return all;
}

function standingOf(
  { id, expires, uses, peer }: Pick<TokenOffer, 'id' | 'expires' | 'uses' | 'peer'>,
  token: Token | undefined,
  { made, failed, peers }: Surroundings,
): TokenStanding {
  const left = token === undefined ? uses : usesLeft(token);
  const why =
    token === undefined
      ? 'there are too many tokens: wait until some are over, or delete some'
      : left > 0 && peer !== undefined && !peers.has(peer)
        ? `there is no EvioPeer ${peer}, or it has no place on the overlay: kubectl get eviopeers`
        : failed.get(id);
  const ready = token !== undefined && (left === 0 || (made.has(id) && why === undefined));
  return {
    state: ready ? 'ready' : token === undefined ? 'refused' : 'waiting',
    expires: new Date(expires * 1000).toISOString().replace('.000Z', 'Z'),
    uses,
    left,
    joined: token?.claims.map(({ name }) => name) ?? [],
    ...(peer === undefined ? {} : { peer }),
    ...(why === undefined || ready ? {} : { message: why }),
  };
}
