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
import { accountsWanted, missingIn, type Offers, offersIn, settled, standingsOf } from '../../desired/tokens.ts';
import { labelsOf } from '../../names.ts';
import type { World } from '../world.ts';

const CONNECT_MS = 4_000;

export class TokenKeeper {
  readonly #world: World;
  /** Ids whose account was made at this server, by this process. */
  readonly #made = new Set<string>();
  #trusted: { readonly ca: string; readonly trust: TokenTrust } | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** Who has this account has its answer. */
  async confirm(username: string): Promise<void> {
    await this.#world.book.changeTokens(({ tokens }) => confirmed(tokens, username));
  }

  /** Gives when to look again, in seconds since 1970. Throws when the server is away, with all that needs no server done. */
  async keep(place: SignallingPlace, now: number): Promise<number | undefined> {
    const world = this.#world;
    const found = offersIn(world.secrets.list(), now);
    for (const name of found.over) await world.client.delete(SECRET, world.key(name));
    const authority = await this.#settle(found, now);
    if (authority === undefined) return undefined;
    let { tokens } = authority;
    try {
      await this.#makeAccounts(tokens, found);
      tokens = await this.#endAccounts(authority, now);
    } finally {
      await this.#publish(place, authority, found);
    }
    return deadline(tokens);
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

  async #makeAccounts(tokens: TokenBook, { offers }: Offers): Promise<void> {
    for (const id of this.#made) if (!tokens.tokens.some((one) => one.id === id)) this.#made.delete(id);
    const wanted = accountsWanted(tokens, offers).filter(({ id }) => !this.#made.has(id));
    for (const { id, username, password } of wanted) {
      const done = await this.#world.link.use(async (admin) => {
        if (!(await admin.addUser(username, password))) await admin.changePassword(username, password);
        return true;
      });
      if (done !== true) throw new XmppError('server-away', 'the XMPP server is away: accounts of tokens wait');
      this.#made.add(id);
    }
  }

  /** An account that a node has again, because it came back meanwhile, stays. */
  async #endAccounts({ tokens, ledger }: Authority, now: number): Promise<TokenBook> {
    const usernames = due(tokens, now);
    if (usernames.length === 0) return tokens;
    const inUse = new Set(Object.values(ledger.issued).map(({ account }) => account));
    for (const username of usernames) {
      if (inUse.has(username)) continue;
      const done = username.includes('.')
        ? await this.#world.link.end(username)
        : await this.#world.link.use((admin) => deleteAccount(admin, username).then(() => true));
      if (done !== true) throw new XmppError('server-away', 'the XMPP server is away: accounts of tokens wait');
    }
    return (await this.#world.book.changeTokens((present) => withoutEnding(present.tokens, usernames))).tokens;
  }

  async #publish(place: SignallingPlace, { tokens, publicKey }: Authority, found: Offers): Promise<void> {
    const { applier, key, settings, configMaps } = this.#world;
    const trusted = await this.#trustedBy(place);
    if (trusted === undefined) return;
    const { service, domain } = place;
    const members = [...this.#world.members.all().values()].filter((member) => peerOwnerOf(member) !== undefined);
    const peers = new Set(members.map(({ metadata }) => metadata.name));
    const standings = [...standingsOf(tokens, found, this.#made, peers)];
    const data = {
      [OVERLAY_KEY]: overlayText({ service, domain, authorityKey: publicKey, trusted }),
      ...Object.fromEntries(standings.map(([id, standing]) => [id, JSON.stringify(standing)])),
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
