/**
 * Answers who joins, renews and leaves, over the XMPP server, so that the authority may be behind a NAT too (docs/wire.md §9.6). Shared by
 * `evio authority serve` and the operator of a cluster; what is answered is their desk's to say.
 */
import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import xml, { type Element } from '@xmpp/xml';
import { NS_JOIN, RESOURCE } from '../join/address.ts';
import type { Desk } from '../join/desk.ts';
import { refusal } from '../join/judge.ts';
import { Share } from '../share.ts';
import type { Patience } from '../signal/reconnect.ts';
import { overlayIdOf } from '../wire/ids.ts';
import { authorityAccountName, openRequest, sealAnswer } from '../wire/join-message.ts';
import { rawPublicKey } from '../wire/keys.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import type { Log } from './log.ts';
import { SteadySession } from './steady-session.ts';
import { accountPassword } from './xmpp-accounts.ts';
import { oneLine, StanzaError, type XmppError } from './xmpp-error.ts';
import { openSession, type SessionHandlers, type XmppSession } from './xmpp-session.ts';

const NS_PING = 'urn:xmpp:ping';
/** Requests that wait for their turn: each takes a tenth of a second or two. */
const WAITING_MAX = 32;
/** Of one account. Many machines may have one token, and each asks twice. */
const ASKING = { perSecond: 5, burst: 50 };
/** Others make tokens, which end too: the register is looked at so often. */
const TIDY_EVERY_SECONDS = 10;
/** Between two nodes that are told of news: they ask then. */
const NEWS_GAP_MS = 50;

export interface JoinServiceOptions {
  /** `xmpps://HOST:PORT` or `xmpp://HOST:PORT`. */
  readonly service: string;
  readonly domain: string;
  /** PEM; undefined: public authorities. */
  readonly ca: string | undefined;
  /** The private key of the overlay's authority, Ed25519. */
  readonly authority: KeyObject;
  readonly desk: Desk;
  /** Makes this account on the server, or sets its password where it is there; rejects with an XmppError. */
  readonly makeAccount: (username: string, password: string) => Promise<void>;
  readonly log: Log;
  readonly patience?: Patience | undefined;
  /** Seconds since 1970; for tests. */
  readonly now?: () => number;
}

export class JoinService {
  readonly #options: JoinServiceOptions;
  readonly #overlayId: string;
  readonly #account: { readonly username: string; readonly password: string };
  readonly #steady: SteadySession;
  readonly #share = new Share(ASKING);
  #tidyTimer: NodeJS.Timeout | undefined;
  /** Its account on the server is as it should be, as far as we know. */
  #accountMade = false;
  /** Requests are answered one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  /** Answers that were left for later. */
  readonly #late = new Set<Promise<unknown>>();
  #stopped = false;
  /** Of what nodes were told last. */
  #newsMark: string | undefined;
  /** Said once. */
  #complaint: string | undefined;

  constructor(options: JoinServiceOptions) {
    const { authority, service, domain, patience } = options;
    this.#options = options;
    this.#overlayId = overlayIdOf(rawPublicKey(authority));
    // No node has this id.
    const password = accountPassword(authority, 'authority');
    this.#account = { username: authorityAccountName(this.#overlayId), password };
    this.#steady = new SteadySession(
      {
        service,
        patience,
        open: (handlers, signal) => this.#open(handlers, signal),
        ping: (session) => session.iq('get', domain, xml('ping', { xmlns: NS_PING })),
      },
      {
        stanza: () => undefined,
        request: (request) => this.#onRequest(request),
        opened: (session) => this.#onOpened(session),
        lost: (error) => this.#onLost(error),
        // A server that has lost our account gets it from us: that is soon put right.
        lasting: (error) => error.lasting && this.#accountMade,
      },
    );
  }

  start(): void {
    this.#steady.start();
    this.#tidyAt(this.#now());
  }

  /** Resolves when what was being answered is answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#tidyTimer);
    await this.#turn;
    await Promise.allSettled(this.#late);
    // Its answer goes out after its turn.
    await sleep(0);
    this.#steady.stop();
  }

  /** Somebody was revoked, a token was made: what is due is looked at now, and nodes are told of what is new. */
  look(): void {
    this.#tidyAt(this.#now());
  }

  #now(): number {
    return this.#options.now?.() ?? Math.floor(Date.now() / 1000);
  }

  // ---- the connection ------------------------------------------------------------------------------------------------

  async #open(handlers: SessionHandlers, signal: AbortSignal): Promise<XmppSession> {
    const { service, domain, ca, makeAccount } = this.#options;
    const { username, password } = this.#account;
    if (!this.#accountMade) await makeAccount(username, password);
    this.#accountMade = true;
    const renewal = 'it is made anew with the next attempt';
    return openSession({ service, domain, ca, username, password, resource: RESOURCE, renewal, signal }, handlers);
  }

  #onOpened(session: XmppSession): void {
    this.#complaint = undefined;
    this.#options.log.info(`answers for overlay ${this.#overlayId} as ${session.jid}`);
    this.#steady.online();
    // Who asked while nobody answered waits for the next time.
    this.#newsMark = undefined;
    void this.#tellNews().catch((error: unknown) => this.#complain(oneLine(messageOf(error))));
  }

  #onLost(error: XmppError): void {
    if (this.#stopped) return;
    if (error.problem === 'wrong-password') this.#accountMade = false;
    this.#complain(oneLine(error.message));
  }

  #complain(text: string): void {
    if (text === this.#complaint) return;
    this.#complaint = text;
    this.#options.log.warn(text);
  }

  // ---- requests ------------------------------------------------------------------------------------------------------

  async #onRequest(request: Element): Promise<Element | undefined> {
    const { from = '', type } = request.attrs;
    const bare = from.split('/')[0] ?? '';
    const [username = '', domain] = bare.split('@');
    if (type !== 'set' || domain !== this.#options.domain || this.#stopped) return undefined;
    const payload = request.getChildText('evio', NS_JOIN);
    const done = request.getChild('done', NS_JOIN) !== undefined;
    if (payload === null && !done) return undefined;
    if (this.#waiting >= WAITING_MAX || !this.#share.take(bare, performance.now()))
      throw new StanzaError('resource-constraint', '');
    if (done) {
      // Anybody with an account says so as often as he likes: neither the book nor what is due later waits for that.
      if (!this.#options.desk.awaits(username)) return xml('done', { xmlns: NS_JOIN });
      void this.#next(() => this.#options.desk.confirm(username, this.#now())).then(
        (at) => this.#tidyAt(at),
        () => this.#tidyAt(undefined),
      );
      return xml('done', { xmlns: NS_JOIN });
    }
    const answer = await this.#answer(payload ?? '', username);
    return xml('evio', { xmlns: NS_JOIN }, answer.toString('base64'));
  }

  async #answer(payload: string, username: string): Promise<Buffer> {
    const { authority, desk, log } = this.#options;
    let opened: ReturnType<typeof openRequest>;
    try {
      opened = openRequest(fromBase64(payload), authority);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      log.warn(`${username}: ${error.message}`);
      throw new StanzaError('bad-request', '');
    }
    try {
      const reply = await this.#next(() => desk.answer(opened, this.#now()));
      const { answer, told } = 'later' in reply ? await this.#outOfTurn(reply.later()) : reply;
      if (told !== undefined) log.info(`${username}: ${told}`);
      return sealAnswer(answer, opened, authority);
    } catch (error) {
      log.error(`${username}: cannot be answered: ${oneLine(messageOf(error))}`);
      const answer = refusal('unavailable', 'the authority cannot answer now; its log says why');
      return sealAnswer(answer, opened, authority);
    } finally {
      this.#tidyAt(this.#now());
    }
  }

  async #outOfTurn<T>(work: Promise<T>): Promise<T> {
    this.#late.add(work);
    return work.finally(() => this.#late.delete(work));
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const turn = this.#turn.then(work).finally(() => this.#waiting--);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  // ---- news ----------------------------------------------------------------------------------------------------------

  /** Nodes ask by themselves, but seldom. */
  async #tellNews(): Promise<void> {
    const { session } = this.#steady;
    if (session === undefined) return;
    const { mark, usernames } = this.#options.desk.news();
    if (mark === this.#newsMark) return;
    this.#newsMark = mark;
    for (const username of usernames) {
      if (session !== this.#steady.session || mark !== this.#newsMark) return;
      session.send(newsFor(`${username}@${this.#options.domain}/${RESOURCE}`));
      await sleep(NEWS_GAP_MS);
    }
  }

  // ---- accounts that end ---------------------------------------------------------------------------------------------

  /** Seconds since 1970; undefined: nothing is known to be done. */
  #tidyAt(at: number | undefined): void {
    clearTimeout(this.#tidyTimer);
    if (this.#stopped) return;
    const seconds = Math.min(TIDY_EVERY_SECONDS, Math.max(0, (at ?? Number.POSITIVE_INFINITY) - this.#now()));
    this.#tidyTimer = setTimeout(() => void this.#tidy(), seconds * 1000);
  }

  async #tidy(): Promise<void> {
    try {
      this.#tidyAt(await this.#next(() => this.#options.desk.tidy(this.#now())));
      await this.#tellNews();
    } catch (error) {
      this.#complain(`accounts that are over cannot be ended now: ${oneLine(messageOf(error))}`);
      this.#tidyAt(undefined);
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** To a node that is there, and kept for nobody (RFC 6121 §5.2.2, XEP-0334). */
const newsFor = (to: string): Element =>
  xml(
    'message',
    { to, type: 'headline' },
    xml('news', { xmlns: NS_JOIN }),
    xml('no-store', { xmlns: 'urn:xmpp:hints' }),
  );
