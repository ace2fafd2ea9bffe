/** The authority's Secret, read and written: one change at a time here, and none over a change of somebody else. */

import { NO_TOKENS, type TokenBook } from '../../../agent/src/join/tokens.ts';
import type { Cache } from '../../../agent/src/kube-api/cache.ts';
import { type Client, isConflict } from '../../../agent/src/kube-api/client.ts';
import { SECRET, type Secret } from '../../../agent/src/kube-api/kinds.ts';
import type { OwnerReference } from '../../../agent/src/kube-api/object.ts';
import { generatePrivateKey } from '../../../agent/src/wire/keys.ts';
import { DecodeError } from '../../../agent/src/wire/reader.ts';
import { type Authority, type AuthorityParts, authorityData, readAuthority } from '../desired/authority.ts';
import { EMPTY_LEDGER, type Ledger } from '../desired/ledger.ts';
import { AUTHORITY_SECRET, labelsOf, TOKENS_KEY } from '../names.ts';

const TRIES = 6;
/** A watch that is behind catches up sooner. */
const BEHIND_MS = 30_000;

export type Reading = { readonly authority: Authority | undefined; readonly broken: string | undefined };

export class AuthorityBook {
  readonly #client: Client;
  readonly #secrets: Pick<Cache<Secret>, 'get'>;
  readonly #namespace: string;
  readonly #key: string;
  #turn: Promise<unknown> = Promise.resolve();
  /** What we wrote last, and versions that we know to be older. */
  #written: { readonly secret: Secret; readonly at: number } | undefined;
  readonly #older = new Set<string>();
  /** Uid of the one the watch told of last. */
  #seen: string | undefined;
  #remembered: AuthorityParts | undefined;
  #parsed: { readonly version: string; readonly reading: Reading } | undefined;

  constructor(client: Client, secrets: Pick<Cache<Secret>, 'get'>, namespace: string) {
    this.#client = client;
    this.#secrets = secrets;
    this.#namespace = namespace;
    this.#key = `${namespace}/${AUTHORITY_SECRET}`;
  }

  /** As it was last heard of, our own last change included. */
  read(): Reading {
    const secret = this.#newest();
    if (secret === undefined) return { authority: undefined, broken: undefined };
    const version = `${secret.metadata.uid} ${secret.metadata.resourceVersion}`;
    if (this.#parsed?.version !== version) this.#parsed = { version, reading: readingOf(secret) };
    const { reading } = this.#parsed;
    if (reading.authority !== undefined) this.#remembered = reading.authority;
    return reading;
  }

  #newest(): Secret | undefined {
    const cached = this.#secrets.get(this.#key);
    if (cached !== undefined) this.#seen = cached.metadata.uid;
    const written = this.#written;
    if (written === undefined || performance.now() - written.at > BEHIND_MS) return cached;
    // One that was there and is there no more was deleted.
    const behind =
      cached === undefined
        ? this.#seen !== written.secret.metadata.uid
        : this.#older.has(cached.metadata.resourceVersion);
    return behind ? written.secret : cached;
  }

  /** Whether a Secret that is gone can be made again as it was. */
  get remembers(): boolean {
    return this.#remembered !== undefined;
  }

  /** For a network that begins anew. */
  forget(): void {
    this.#remembered = undefined;
    this.#written = undefined;
    this.#older.clear();
  }

  /** Never over one that is there. */
  async make(how: 'new' | 'restore', owner: OwnerReference): Promise<void> {
    const made =
      how === 'restore' && this.#remembered !== undefined
        ? this.#remembered
        : { key: generatePrivateKey('ed25519'), ledger: EMPTY_LEDGER, tokens: NO_TOKENS };
    const metadata = {
      name: AUTHORITY_SECRET,
      namespace: this.#namespace,
      labels: labelsOf('authority'),
      ownerReferences: [owner],
    };
    try {
      this.#note(await this.#client.create(SECRET, { metadata, type: 'Opaque', data: authorityData(made) }));
    } catch (error) {
      // Somebody else's is as good, and will be seen.
      if (!isConflict(error)) throw error;
    }
  }

  /** Gives what stands there then; the ledger that `change` gives back is written before this resolves. */
  change(change: (authority: Authority) => Ledger): Promise<Authority> {
    return this.#next((authority) => ({ ...authority, ledger: change(authority) }));
  }

  /** The same of the join tokens. What `change` throws is thrown, and nothing is written. */
  changeTokens(change: (authority: Authority) => TokenBook): Promise<Authority> {
    return this.#next((authority) => {
      if (authority.tokensLost === true)
        throw new Error(`${TOKENS_KEY} in the Secret ${this.#key} cannot be read: join tokens begin anew soon`);
      return { ...authority, tokens: change(authority) };
    });
  }

  /** An empty book in the place of one that cannot be read. */
  renewTokens(): Promise<Authority> {
    return this.#next((authority) =>
      authority.tokensLost === true ? { ...authority, tokens: { ...NO_TOKENS }, tokensLost: false } : authority,
    );
  }

  #next(change: (authority: Authority) => Authority): Promise<Authority> {
    const turn = this.#turn.then(() => this.#change(change));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #change(change: (authority: Authority) => Authority): Promise<Authority> {
    for (let tries = 1; ; tries++) {
      const secret = await this.#client.get(SECRET, this.#key);
      const { authority, broken } = readingOf(secret);
      if (authority === undefined) throw new Error(`cannot use the Secret ${this.#key}: ${broken}`);
      const next = change(authority);
      if (next.ledger === authority.ledger && next.tokens === authority.tokens) return authority;
      try {
        const data = { ...secret.data, ...authorityData(next) };
        const { apiVersion: _, kind: __, ...object } = secret;
        this.#older.add(secret.metadata.resourceVersion);
        this.#note(await this.#client.update(SECRET, { ...object, data }));
        return next;
      } catch (error) {
        if (!isConflict(error) || tries >= TRIES) throw error;
      }
    }
  }

  #note(secret: Secret): void {
    const before = this.#written?.secret.metadata.resourceVersion;
    if (before !== undefined) this.#older.add(before);
    const cached = this.#secrets.get(this.#key)?.metadata.resourceVersion;
    if (cached !== undefined && cached !== secret.metadata.resourceVersion) this.#older.add(cached);
    this.#written = { secret, at: performance.now() };
  }
}

function readingOf(secret: Secret): Reading {
  try {
    return { authority: readAuthority(secret), broken: undefined };
  } catch (error) {
    if (error instanceof DecodeError) return { authority: undefined, broken: error.message };
    throw error;
  }
}
