/** Keeps what follows from the token Secrets: the book, one-time accounts on the XMPP server, the ConfigMap that tells of them. */
import { X509Certificate } from 'node:crypto';
import { deleteAccount } from '../../../../agent/src/io/xmpp-accounts.ts';
import { XmppError } from '../../../../agent/src/io/xmpp-error.ts';
import { shownCertificates } from '../../../../agent/src/io/xmpp-tls.ts';
import {
  OVERLAY_KEY,
  overlayText,
  TOKENS_CONFIG_MAP,
  tokenSecretName,
} from '../../../../agent/src/join/cluster-token.ts';
import { confirmed, deadline, due, type TokenBook, withoutEnding } from '../../../../agent/src/join/tokens.ts';
import { CONFIG_MAP, SECRET } from '../../../../agent/src/kube-api/kinds.ts';
import type { TokenTrust } from '../../../../agent/src/wire/join-token.ts';
import { sha256 } from '../../../../agent/src/wire/keys.ts';
import type { Authority } from '../../desired/authority.ts';
import type { SignallingPlace } from '../../desired/enrolment.ts';
import { peerOwnerOf } from '../../desired/peer.ts';
import {
  accountsWanted,
  doneIn,
  missingIn,
  type Offers,
  offersIn,
  settled,
  standingsOf,
} from '../../desired/tokens.ts';
import { AUTHORITY_SECRET, labelsOf } from '../../names.ts';
import type { World } from '../world.ts';

const CONNECT_MS = 4_000;

const away = (): XmppError => new XmppError('server-away', 'the XMPP server is away: accounts of tokens wait');

export class TokenKeeper {
  readonly #world: World;
  /** Ids whose account was made at this server, by this process. */
  readonly #made = new Set<string>();
  /** Of the session by which they were made. */
  #session: number | undefined;
  /** By id: why its account could not be made. */
  readonly #failed = new Map<string, string>();
  /** Ids that are void since the book was lost; the cache may have their Secrets a little longer. */
  readonly #void = new Set<string>();
  #trusted: { readonly ca: string; readonly trust: TokenTrust } | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  awaits(username: string): boolean {
    const tokens = this.#world.book.read().authority?.tokens;
    return tokens !== undefined && confirmed(tokens, username) !== tokens;
  }

  /** Who has this account has its answer. */
  async confirm(username: string): Promise<void> {
    await this.#world.book.changeTokens(({ tokens }) => confirmed(tokens, username));
  }

  /** Gives when to look again, in seconds since 1970. Throws when the server is away, with all that needs no server done. */
  async keep(place: SignallingPlace, now: number): Promise<number | undefined> {
    const world = this.#world;
    const there = offersIn(world.secrets.list(), now);
    for (const name of there.over) await world.client.delete(SECRET, world.key(name));
    await this.#beginAnew(there);
    const found = { ...there, offers: there.offers.filter(({ id }) => !this.#void.has(id)) };
    const authority = await this.#settle(found, now);
    if (authority === undefined) return undefined;
    // One account that the server refuses keeps neither the others nor the ends of others waiting.
    const troubles: unknown[] = [];
    await this.#makeAccounts(authority.tokens, found, troubles);
    const tokens = await this.#endAccounts(authority, now, troubles);
    await this.#publish(place, { ...authority, tokens }, found);
    for (const id of doneIn(tokens, found.offers)) await world.client.delete(SECRET, world.key(tokenSecretName(id)));
    if (troubles.length > 0) throw troubles[0];
    return deadline(tokens);
  }

  /** Which tokens were used stood in a book that cannot be read any more: all there are become void. */
  async #beginAnew({ offers }: Offers): Promise<void> {
    const { book, client, key, log } = this.#world;
    if (book.read().authority?.tokensLost !== true) return;
    // Before the new book: an operator that ends in between finds the old one again.
    for (const { id } of offers) {
      this.#void.add(id);
      await client.delete(SECRET, key(tokenSecretName(id)));
    }
    await book.renewTokens();
    log.warn(
      `the book of join tokens in Secret ${key(AUTHORITY_SECRET)} could not be read: it begins anew, and ${offers.length} tokens that were made are void`,
    );
  }

  async #settle(found: Offers, now: number): Promise<Authority | undefined> {
    const { book, client, key } = this.#world;
    const { authority } = book.read();
    if (authority === undefined) return undefined;
    const gone: string[] = [];
    // A cache that is behind must not make a token void: whether its Secret is gone is asked of the API server.
    for (const id of missingIn(authority.tokens, found.offers))
      if ((await client.find(SECRET, key(tokenSecretName(id)))) === undefined) gone.push(id);
    if (settled(authority.tokens, found.offers, gone, now) === authority.tokens) return authority;
    return book.changeTokens(({ tokens }) => settled(tokens, found.offers, gone, now));
  }

  async #makeAccounts(tokens: TokenBook, { offers }: Offers, troubles: unknown[]): Promise<void> {
    const { link } = this.#world;
    // A server that came back may have lost them.
    if (link.session !== this.#session) this.#made.clear();
    this.#session = link.session;
    this.#failed.clear();
    for (const id of this.#made) if (!tokens.tokens.some((one) => one.id === id)) this.#made.delete(id);
    const wanted = accountsWanted(tokens, offers).filter(({ id }) => !this.#made.has(id));
    let down: XmppError | undefined;
    for (const { id, username, password } of wanted) {
      try {
        if (down !== undefined) throw down;
        const done = await link.use(async (admin) => {
          if (!(await admin.addUser(username, password))) await admin.changePassword(username, password);
          return true;
        });
        if (done !== true) throw away();
        this.#made.add(id);
      } catch (error) {
        if (!(error instanceof XmppError)) throw error;
        this.#failed.set(id, `its account cannot be made: ${error.message}`);
        if (error.problem === 'server-away') down = error;
        troubles.push(error);
      }
    }
  }

  /** An account that a node has again, because it came back meanwhile, stays. */
  async #endAccounts({ tokens, ledger }: Authority, now: number, troubles: unknown[]): Promise<TokenBook> {
    const usernames = due(tokens, now);
    if (usernames.length === 0) return tokens;
    const inUse = new Set(Object.values(ledger.issued).map(({ account }) => account));
    const over: string[] = [];
    for (const username of usernames) {
      try {
        if (!inUse.has(username)) await this.#endAccount(username);
        over.push(username);
      } catch (error) {
        if (!(error instanceof XmppError)) throw error;
        troubles.push(error);
        if (error.problem === 'server-away') break;
      }
    }
    if (over.length === 0) return tokens;
    return (await this.#world.book.changeTokens((present) => withoutEnding(present.tokens, over))).tokens;
  }

  async #endAccount(username: string): Promise<void> {
    const { link } = this.#world;
    const done = username.includes('.')
      ? await link.end(username)
      : await link.use((admin) => deleteAccount(admin, username).then(() => true));
    if (done !== true) throw away();
  }

  async #publish(place: SignallingPlace, { tokens, publicKey }: Authority, found: Offers): Promise<void> {
    const { applier, key, settings, configMaps } = this.#world;
    const trusted = await this.#trustedBy(place);
    if (trusted === undefined) return;
    const { service, domain } = place;
    const members = [...this.#world.members.all().values()].filter((member) => peerOwnerOf(member) !== undefined);
    const peers = new Set(members.map(({ metadata }) => metadata.name));
    const standings = [...standingsOf(tokens, found, { made: this.#made, failed: this.#failed, peers })];
    const data = {
      ...Object.fromEntries(standings.map(([id, standing]) => [id, JSON.stringify(standing)])),
      // Last: no Secret says what the overlay is.
      [OVERLAY_KEY]: overlayText({ service, domain, authorityKey: publicKey, trusted }),
    };
    const metadata = { name: TOKENS_CONFIG_MAP, namespace: settings.namespace, labels: labelsOf('tokens') };
    await applier.apply(CONFIG_MAP, { metadata, data }, configMaps.get(key(TOKENS_CONFIG_MAP)));
  }

  /** An authority that the server shows is named by its hash; one that it does not goes into the token whole. Undefined: not known yet. */
  async #trustedBy({ service, domain, ca }: SignallingPlace): Promise<TokenTrust | undefined> {
    if (ca === undefined) return { kind: 'public' };
    if (this.#trusted?.ca === ca) return this.#trusted.trust;
    const pem = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const certificates = pem.map((one) => new X509Certificate(one).raw);
    try {
      const shown = await shownCertificates({ service, domain, signal: AbortSignal.timeout(CONNECT_MS) });
      const named = certificates.find((one) => shown.some((other) => other.equals(one)));
      const trust: TokenTrust =
        named === undefined ? { kind: 'certificates', certificates } : { kind: 'fingerprint', sha256: sha256(named) };
      this.#trusted = { ca, trust };
      return trust;
    } catch (error) {
      if (error instanceof XmppError) return undefined;
      throw error;
    }
  }
}
