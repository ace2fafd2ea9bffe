/** The authority's Secret: its key, which is made once, and its ledger. */
import type { KeyObject } from 'node:crypto';
import { NO_TOKENS, type TokenBook, tokenBook } from '../../../agent/src/join/tokens.ts';
import type { Secret } from '../../../agent/src/kube-api/kinds.ts';
import { overlayIdOf } from '../../../agent/src/wire/ids.ts';
import { privateKey, rawPrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { verifyParameters } from '../../../agent/src/wire/parameters.ts';
import { DecodeError, fromBase64 } from '../../../agent/src/wire/reader.ts';
import { AUTHORITY_KEY, LEDGER_KEY, TOKENS_KEY } from '../names.ts';
import type { Overlay } from './enrolment.ts';
import { EMPTY_LEDGER, type Ledger, readLedger, writeLedger } from './ledger.ts';

/** What stands in the Secret. */
export interface AuthorityParts {
  readonly key: KeyObject;
  readonly ledger: Ledger;
  /** By what machines join; beside the ledger, so that a use is written down before anything follows from it. */
  readonly tokens: TokenBook;
  /** The tokens that stand in the Secret cannot be read, `tokens` is empty, and nobody knows which of them were used. */
  readonly tokensLost?: boolean;
}

export interface Authority extends AuthorityParts {
  readonly publicKey: Buffer;
  readonly overlayId: string;
}

/** A value of a Secret as text; undefined when it has no such key. */
export function secretText(secret: Secret, key: string): string | undefined {
  const value = secret.data?.[key];
  return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
}

export const secretData = (texts: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));

/** Throws DecodeError when it cannot be used; nothing of it is quoted. */
export function readAuthority(secret: Secret): Authority {
  const text = secretText(secret, AUTHORITY_KEY);
  if (text === undefined) throw new DecodeError(`no key ${AUTHORITY_KEY}`);
  const key = privateKey('ed25519', fromBase64(text.trim()));
  const publicKey = rawPublicKey(key);
  const written = secretText(secret, LEDGER_KEY);
  const ledger = written === undefined ? EMPTY_LEDGER : readLedger(written);
  // What another key signs, every node refuses.
  if (ledger.parameters !== '') verifyParameters(fromBase64(ledger.parameters), publicKey);
  return { key, publicKey, overlayId: overlayIdOf(publicKey), ledger, ...readTokens(secret) };
}

/** A book that cannot be read must not keep the overlay from working; no token is good by it, and whoever keeps it voids those there are. */
function readTokens(secret: Secret): Pick<AuthorityParts, 'tokens' | 'tokensLost'> {
  try {
    return { tokens: tokenBook.parse(JSON.parse(secretText(secret, TOKENS_KEY) ?? 'null') ?? NO_TOKENS) };
  } catch {
    return { tokens: NO_TOKENS, tokensLost: true };
  }
}

/** What stands there of tokens stays where there are none: they may be such as cannot be read. */
export const authorityData = ({ key, ledger, tokens }: AuthorityParts): Record<string, string> =>
  secretData({
    [AUTHORITY_KEY]: rawPrivateKey(key).toString('base64'),
    [LEDGER_KEY]: writeLedger(ledger),
    ...(tokens === NO_TOKENS ? {} : { [TOKENS_KEY]: JSON.stringify(tokens) }),
  });

/** Undefined before the parameters are signed. */
export function overlayOf({ key, publicKey, ledger }: Authority): Overlay | undefined {
  if (ledger.parameters === '') return undefined;
  return {
    authority: key,
    parameters: verifyParameters(fromBase64(ledger.parameters), publicKey),
    revocations: ledger.revocations,
  };
}
