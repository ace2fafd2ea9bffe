/** `evio authority serve`: answers who joins, renews and leaves, over the XMPP server, so that the authority may be behind a NAT too. */

import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import xml, { type Element } from '@xmpp/xml';
import type { Log } from '../../../agent/src/io/log.ts';
import { accountPassword } from '../../../agent/src/io/xmpp-accounts.ts';
import { StanzaError, XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { openSession, type XmppSession } from '../../../agent/src/io/xmpp-session.ts';
import { NS_JOIN, RESOURCE } from '../../../agent/src/join/address.ts';
import { refusal } from '../../../agent/src/join/judge.ts';
import { Share } from '../../../agent/src/share.ts';
import { Reconnect, type ReconnectAction, type ReconnectEvent } from '../../../agent/src/signal/reconnect.ts';
import { authorityAccountName, openRequest, sealAnswer } from '../../../agent/src/wire/join-message.ts';
import { DecodeError, fromBase64 } from '../../../agent/src/wire/reader.ts';
import { oneLine } from '../failure.ts';
import { readAdminFile, withAdmin } from '../overlay/admin.ts';
import { OverlayDirectory, parametersOf } from '../overlay/book.ts';
import { nowSeconds } from '../overlay/create.ts';
import type { AdminFile } from '../server/settings.ts';
import { Desk } from './desk.ts';

const NS_PING = 'urn:xmpp:ping';
/** Requests that wait for their turn: each takes a tenth of a second or two. */
const WAITING_MAX = 32;
/** Of one account. Many machines may have one token, and each asks twice. */
const ASKING = { perSecond: 5, burst: 50 };
/** Other commands make tokens, which end too: the book is looked at so often. */
const TIDY_EVERY_SECONDS = 10;
/** Between two nodes that are told of news: they ask then. */
const NEWS_GAP_MS = 50;

export class AuthorityService {
  readonly #log: Log;
  readonly #desk: Desk;
  readonly #admin: AdminFile;
  readonly #authority: KeyObject;
  readonly #overlayId: string;
  readonly #account: { readonly username: string; readonly password: string };
  readonly #reconnect = new Reconnect(Math.random);
  readonly #share = new Share(ASKING);
  readonly #endClaim: () => void;
  #attempt: AbortController | undefined;
  #session: XmppSession | undefined;
  #timer: NodeJS.Timeout | undefined;
  #tidyTimer: NodeJS.Timeout | undefined;
  /** Its account on the server is as it should be, as far as we know. */
  #accountMade = false;
  /** Requests are answered one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #stopped = false;
  /** Of what nodes were told last. */
  #newsMark: string | undefined;
  /** Said once. */
  #complaint: string | undefined;

  /** Throws Failure when the directory cannot be used, or another process answers for it. */
  constructor(dir: string, validSeconds: number, log: Log) {
    const directory = new OverlayDirectory(dir);
    const book = directory.readBook();
    this.#authority = directory.authority();
    directory.readTokens();
    this.#admin = readAdminFile(book.server);
    this.#overlayId = parametersOf(book).overlayId;
    this.#account = {
      username: authorityAccountName(this.#overlayId),
      // No node has this id.
      password: accountPassword(this.#authority, 'authority'),
    };
    this.#log = log;
    this.#desk = new Desk({
      directory,
      server: this.#admin,
      asAdmin: (work) => withAdmin(this.#admin, work),
      validSeconds,
    });
    this.#endClaim = directory.claimService();
  }

  start(): void {
    this.#step({ kind: 'start' });
    this.#tidyAt(nowSeconds());
  }

  /** Resolves when what was being answered is answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#step({ kind: 'stop' });
    this.#attempt?.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#tidyTimer);
    await this.#turn;
    this.#session?.close();
    this.#endClaim();
  }

  // ---- the connection ------------------------------------------------------------------------------------------------

  #step(event: ReconnectEvent): void {
    const now = performance.now();
    const actions = this.#reconnect.handle(event, now);
    clearTimeout(this.#timer);
    const at = this.#reconnect.deadline();
    if (at !== undefined) this.#timer = setTimeout(() => this.#step({ kind: 'deadline' }), Math.max(0, at - now));
    for (const action of actions) this.#act(action);
  }

  #act(action: ReconnectAction): void {
    switch (action.kind) {
      case 'connect':
        void this.#connect();
        return;
      case 'ping':
        this.#session?.iq('get', this.#admin.domain, xml('ping', { xmlns: NS_PING })).catch(() => undefined);
        return;
      case 'abort':
        this.#attempt?.abort();
        this.#session?.fail(new XmppError('server-away', `${this.#admin.service}: ${action.reason}`));
        return;
    }
  }

  async #connect(): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    const { service, domain, ca } = this.#admin;
    try {
      if (!this.#accountMade) await this.#makeAccount();
      this.#accountMade = true;
      const session = await openSession(
        {
          ...{ service, domain, ca, ...this.#account, resource: RESOURCE, signal: attempt.signal },
          renewal: 'it is made anew with the next attempt',
        },
        {
          received: () => this.#step({ kind: 'received' }),
          stanza: () => undefined,
          request: (request) => this.#onRequest(request),
          closed: (error) => this.#onClosed(error),
        },
      );
      if (attempt.signal.aborted || this.#stopped) return session.close();
      this.#session = session;
      this.#complaint = undefined;
      this.#log.info(`answers for overlay ${this.#overlayId} as ${session.jid}`);
      this.#step({ kind: 'online' });
      // Who asked while nobody answered waits for the next time.
      this.#newsMark = undefined;
      void this.#tellNews().catch((error: unknown) => this.#complain(oneLine(error)));
    } catch (error) {
      if (attempt.signal.aborted && this.#stopped) return;
      if (error instanceof XmppError && error.problem === 'wrong-password') this.#accountMade = false;
      this.#complain(oneLine(error));
      // A server that has lost our account gets it from us: that is soon put right.
      this.#step({ kind: 'failed', lasting: error instanceof XmppError && error.lasting && this.#accountMade });
    }
  }

  async #makeAccount(): Promise<void> {
    const { username, password } = this.#account;
    await withAdmin(this.#admin, async (admin) => {
      if (!(await admin.addUser(username, password))) await admin.changePassword(username, password);
    });
  }

  #onClosed(error: XmppError): void {
    this.#session = undefined;
    if (this.#stopped) return;
    this.#complain(error.message);
    this.#step({ kind: 'closed' });
  }

  #complain(text: string): void {
    if (text === this.#complaint) return;
    this.#complaint = text;
    this.#log.warn(text);
  }

  // ---- requests ------------------------------------------------------------------------------------------------------

  async #onRequest(request: Element): Promise<Element | undefined> {
    const { from = '', type } = request.attrs;
    const bare = from.split('/')[0] ?? '';
    const [username = '', domain] = bare.split('@');
    if (type !== 'set' || domain !== this.#admin.domain || this.#stopped) return undefined;
    const payload = request.getChildText('evio', NS_JOIN);
    const done = request.getChild('done', NS_JOIN) !== undefined;
    if (payload === null && !done) return undefined;
    if (this.#waiting >= WAITING_MAX || !this.#share.take(bare, performance.now()))
      throw new StanzaError('resource-constraint', '');
    if (done) {
      void this.#next(() => this.#desk.confirm(username, nowSeconds())).then(
        (at) => this.#tidyAt(at),
        () => this.#tidyAt(undefined),
      );
      return xml('done', { xmlns: NS_JOIN });
    }
    const answer = await this.#answer(payload ?? '', username);
    return xml('evio', { xmlns: NS_JOIN }, answer.toString('base64'));
  }

  async #answer(payload: string, username: string): Promise<Buffer> {
    let opened: ReturnType<typeof openRequest>;
    try {
      opened = openRequest(fromBase64(payload), this.#authority);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#log.warn(`${username}: ${error.message}`);
      throw new StanzaError('bad-request', '');
    }
    try {
      const { answer, told } = await this.#next(() => this.#desk.answer(opened, nowSeconds()));
      if (told !== undefined) this.#log.info(`${username}: ${told}`);
      return sealAnswer(answer, opened, this.#authority);
    } catch (error) {
      this.#log.error(`${username}: cannot be answered: ${oneLine(error)}`);
      return sealAnswer(
        refusal('unavailable', 'the authority cannot answer now; its log says why'),
        opened,
        this.#authority,
      );
    } finally {
      this.#tidyAt(nowSeconds());
    }
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
    const session = this.#session;
    if (session === undefined) return;
    const { mark, usernames } = this.#desk.news();
    if (mark === this.#newsMark) return;
    this.#newsMark = mark;
    for (const username of usernames) {
      if (session !== this.#session || mark !== this.#newsMark) return;
      session.send(newsFor(`${username}@${this.#admin.domain}/${RESOURCE}`));
      await sleep(NEWS_GAP_MS);
    }
  }

  // ---- accounts that end ---------------------------------------------------------------------------------------------

  /** Seconds since 1970; undefined: nothing is known to be done. */
  #tidyAt(at: number | undefined): void {
    clearTimeout(this.#tidyTimer);
    if (this.#stopped) return;
    const seconds = Math.min(TIDY_EVERY_SECONDS, Math.max(0, (at ?? Number.POSITIVE_INFINITY) - nowSeconds()));
    this.#tidyTimer = setTimeout(() => void this.#tidy(), seconds * 1000);
  }

  async #tidy(): Promise<void> {
    try {
      this.#tidyAt(await this.#next(() => this.#desk.tidy(nowSeconds())));
      await this.#tellNews();
    } catch (error) {
      this.#complain(`accounts that are over cannot be ended now: ${oneLine(error)}`);
      this.#tidyAt(undefined);
    }
  }
}

/** To a node that is there, and kept for nobody (RFC 6121 §5.2.2, XEP-0334). */
const newsFor = (to: string): Element =>
  xml(
    'message',
    { to, type: 'headline' },
    xml('news', { xmlns: NS_JOIN }),
    xml('no-store', { xmlns: 'urn:xmpp:hints' }),
  );
