/**
 * A join token of a cluster, as whoever makes it and the operator tell each other of it:
 *
 *     Secret evio-token-ID     written once, by who makes the token: no secret to join by, but the password of its one-time account
 *     ConfigMap evio-tokens    written by the operator: what is public of the overlay, and how each token stands
 *
 * So who makes tokens needs to read no Secret. Pure; without zod, which the operator has and the agent need not.
 */

import { isName } from '../wire/ids.ts';
import { type TokenTrust, tokenHash, tokenId, tokenPassword } from '../wire/join-token.ts';
import { DecodeError } from '../wire/reader.ts';

export const TOKEN_SECRET_TYPE = 'evio.io/join-token';
const SECRET_PREFIX = 'evio-token-';
export const tokenSecretName = (id: string): string => `${SECRET_PREFIX}${id}`;
/** The id that such a name has, 16 hex characters; undefined: it is no name of a token's Secret. */
export const tokenIdIn = (name: string): string | undefined => /^evio-token-([0-9a-f]{16})$/.exec(name)?.[1];

export const TOKENS_CONFIG_MAP = 'evio-tokens';
/** What a token is composed of; the other keys are ids of tokens. */
export const OVERLAY_KEY = 'overlay';

export const CLUSTER_USES_MAX = 100;
export const CLUSTER_LIFE_MAX_SECONDS = 30 * 86_400;

/** What the Secret says. */
export interface TokenOffer {
  readonly id: string;
  /** Of the token's secret, in hex. */
  readonly hash: string;
  /** Of its account on the XMPP server; of the secret it tells nothing. */
  readonly password: string;
  /** Seconds since 1970. */
  readonly expires: number;
  readonly uses: number;
  /** For the machine of this EvioPeer alone; undefined: for machines that are to be nodes. */
  readonly peer?: string | undefined;
}

export const offerOf = (secret: Uint8Array, rest: Pick<TokenOffer, 'expires' | 'uses' | 'peer'>): TokenOffer => ({
  id: tokenId(secret),
  hash: tokenHash(secret),
  password: tokenPassword(secret),
  ...rest,
});

/** Values of the Secret, as text. */
export function offerTexts({ hash, password, expires, uses, peer }: TokenOffer): Record<string, string> {
  const until = new Date(expires * 1000).toISOString();
  return { hash, password, expires: until, uses: String(uses), ...(peer === undefined ? {} : { peer }) };
}

/** Throws DecodeError, in words for who wrote the Secret; nothing of it is quoted. */
export function readOffer(name: string, text: (key: string) => string | undefined): TokenOffer {
  const part = (key: string, form: RegExp, what: string): string => {
    const value = text(key);
    if (value === undefined) throw new DecodeError(`it has no ${key}`);
    if (!form.test(value)) throw new DecodeError(`${key} is not ${what}`);
    return value;
  };
  const id = tokenIdIn(name);
  if (id === undefined) throw new DecodeError(`its name is not ${SECRET_PREFIX} and 16 hex characters`);
  const hash = part('hash', /^[0-9a-f]{64}$/, '64 hex characters');
  const password = part('password', /^[-_A-Za-z0-9]{32}$/, 'a password as evio token create makes it');
  const expires = Math.floor(Date.parse(part('expires', /^\d{4}-\d\d-\d\dT[0-9:.]+Z$/, 'a time in UTC')) / 1000);
  if (!Number.isSafeInteger(expires)) throw new DecodeError('expires is not a time in UTC');
  const uses = Number(part('uses', /^[1-9][0-9]{0,2}$/, `a number from 1 to ${CLUSTER_USES_MAX}`));
  if (uses > CLUSTER_USES_MAX) throw new DecodeError(`uses is not a number from 1 to ${CLUSTER_USES_MAX}`);
  const peer = text('peer');
  if (peer !== undefined && !isName(peer)) throw new DecodeError('peer is not the name of an EvioPeer');
  if (peer !== undefined && uses !== 1) throw new DecodeError('uses is not 1, and a peer is one machine');
  return { id, hash, password, expires, uses, ...(peer === undefined ? {} : { peer }) };
}

// ---- what the operator says ------------------------------------------------------------------------------------------

/** What each token has in it; every member knows it. */
export interface OverlayAbout {
  /** `xmpps://HOST:PORT` or `xmpp://HOST:PORT`. */
  readonly service: string;
  readonly domain: string;
  /** Of the authority, Ed25519, raw. */
  readonly authorityKey: Uint8Array;
  readonly trusted: TokenTrust;
}

export interface TokenStanding {
  /** `waiting`: its account is not made yet; `refused`: it never will be. */
  readonly state: 'waiting' | 'ready' | 'refused';
  readonly expires: string;
  readonly uses: number;
  readonly left: number;
  /** Names of the nodes that came by it. */
  readonly joined: readonly string[];
  readonly peer?: string | undefined;
  /** Why it is not ready. */
  readonly message?: string | undefined;
}

export function overlayText({ service, domain, authorityKey, trusted }: OverlayAbout): string {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const trust =
    trusted.kind === 'fingerprint'
      ? { kind: trusted.kind, sha256: base64(trusted.sha256) }
      : trusted.kind === 'certificates'
        ? { kind: trusted.kind, certificates: trusted.certificates.map(base64) }
        : trusted;
  return JSON.stringify({ service, domain, authorityKey: base64(authorityKey), trusted: trust });
}

/** Throws DecodeError. */
export function readOverlay(text: string): OverlayAbout {
  const value = objectOf(text);
  const trust = value.trusted;
  const { kind, sha256, certificates } = typeof trust === 'object' && trust !== null ? (trust as Loose) : {};
  const bytes = (of: unknown): Buffer => Buffer.from(wordOf(of), 'base64');
  const trusted: TokenTrust =
    kind === 'fingerprint'
      ? { kind, sha256: bytes(sha256) }
      : kind === 'certificates' && Array.isArray(certificates)
        ? { kind, certificates: certificates.map(bytes) }
        : { kind: 'public' };
  if (kind !== trusted.kind) throw new DecodeError('no form of trust that is known here');
  return {
    service: wordOf(value.service),
    domain: wordOf(value.domain),
    authorityKey: bytes(value.authorityKey),
    trusted,
  };
}

/** Throws DecodeError. */
export function readStanding(text: string): TokenStanding {
  const value = objectOf(text);
  const { state, uses, left, joined, peer, message } = value;
  if (state !== 'waiting' && state !== 'ready' && state !== 'refused') throw new DecodeError('no state that is known');
  if (typeof uses !== 'number' || typeof left !== 'number' || !Array.isArray(joined))
    throw new DecodeError('no counts');
  return {
    state,
    expires: wordOf(value.expires),
    uses,
    left,
    joined: joined.map(String),
    ...(peer === undefined ? {} : { peer: wordOf(peer) }),
    ...(message === undefined ? {} : { message: wordOf(message) }),
  };
}

type Loose = Readonly<Record<string, unknown>>;

function objectOf(text: string): Loose {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new DecodeError('no JSON object');
  return value as Loose;
}

function wordOf(value: unknown): string {
  if (typeof value !== 'string') throw new DecodeError('a text is missing');
  return value;
}
