/**
 * The overlay's room on the XMPP server (XEP-0045), for the `Signal` machine: its actions become stanzas, stanzas become its
 * events. That a connection is there again after it ended is `SteadySession`'s part.
 *
 *     const room = new XmppRoom({ service: 'xmpps://xmpp.example.org:5223', domain: 'example.org', ... }, {
 *       event: (event) => run(signal.handle(event, now())),
 *       services: (services) => rtc.setServers(services),
 *       state: (state) => log(state),
 *     });
 *     room.start();
 */
import xml, { type Element } from '@xmpp/xml';
import type { SignallingFailure } from '../diagnosis/signalling.ts';
import { NS_JOIN } from '../join/address.ts';
import { isSeat } from '../signal/lobby.ts';
import { parseServices, refreshDelayMs, type Service } from '../signal/services.ts';
import type { RoomAction, RoomEvent } from '../signal/signal.ts';
import { isAccount } from '../wire/bodies.ts';
import { SteadySession } from './steady-session.ts';
import { StanzaError, XmppError } from './xmpp-error.ts';
import { openSession, stanzaError, type XmppSession } from './xmpp-session.ts';

export const NS_EVIO = 'urn:evio:signal:1';
const NS_MUC = 'http://jabber.org/protocol/muc';
const NS_MUC_USER = 'http://jabber.org/protocol/muc#user';
const NS_MUC_OWNER = 'http://jabber.org/protocol/muc#owner';
const NS_HINTS = 'urn:xmpp:hints';
const NS_PING = 'urn:xmpp:ping';
const NS_SERVICES = 'urn:xmpp:extdisco:2';

/**
 * A node has one agent, so its resource has a fixed name: a new connection ends the half-dead one before it, and with it its
 * place in the room (RFC 6120 §7.7.2.2).
 */
const RESOURCE = 'evio';
export const RENEWAL = 'renew the node, or if the server has lost its accounts "evio overlay restore"';

export interface XmppRoomOptions {
  /** `xmpps://host:port` or `xmpp://host:port`. */
  readonly service: string;
  readonly domain: string;
  readonly username: string;
  readonly password: string;
  /** PEM; undefined: Node's own authorities. */
  readonly ca?: string | undefined;
  /** Bare JID. */
  readonly room: string;
  /** The node id. */
  readonly nickname: string;
  /** Full JID by which the overlay's authority answers, where it does so by this server. */
  readonly authority?: string | undefined;
  /** Seconds since 1970 as far as known: the machine's clock may be wrong. */
  readonly time?: (() => number | undefined) | undefined;
}

export interface XmppState {
  readonly state: 'connecting' | 'online' | 'waiting';
  /** Why the last attempt or connection ended, in one line. */
  readonly error: string | null;
  /** The same with its kind. */
  readonly failure: SignallingFailure | null;
  /** `performance.now()` of the change. */
  readonly since: number;
}

export interface XmppRoomHandlers {
  event(event: RoomEvent): void;
  /** After each connection and before credentials expire. */
  services(services: readonly Service[]): void;
  state(state: XmppState): void;
  /** The overlay's authority says that it has something new. */
  news?(): void;
}

export type { RoomAction, RoomEvent } from '../signal/signal.ts';

export class XmppRoom {
  readonly #options: XmppRoomOptions;
  readonly #handlers: XmppRoomHandlers;
  readonly #steady: SteadySession;
  #servicesTimer: NodeJS.Timeout | undefined;
  /** Our nickname in the room; undefined while we are not in it. */
  #nick: string | undefined;
  /** Farewells to the room that it has not confirmed. */
  #leaving = 0;
  /** A room that we made by mistake is being destroyed. */
  #undoing = false;
  #state: XmppState = { state: 'waiting', error: null, failure: null, since: performance.now() };

  constructor(options: XmppRoomOptions, handlers: XmppRoomHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const { service } = options;
    this.#steady = new SteadySession(
      {
        service,
        open: (of, signal) => openSession({ ...options, resource: RESOURCE, renewal: RENEWAL, signal }, of),
        ping: (session) => this.#ping(session),
      },
      {
        connecting: () => this.#setState('connecting', this.#state.failure),
        // The presence that joins the room is the machine's answer.
        opened: () => handlers.event({ kind: 'connected' }),
        stanza: (stanza) => this.#onStanza(stanza),
        lost: (error, had) => this.#onLost(error, had),
      },
    );
  }

  get state(): XmppState {
    return this.#state;
  }

  get inside(): boolean {
    return this.#nick !== undefined;
  }

  get #session(): XmppSession | undefined {
    return this.#steady.session;
  }

  start(): void {
    this.#steady.start();
  }

  /** Leaves the room and ends the connection. */
  stop(): void {
    const had = this.#session !== undefined;
    this.#steady.stop();
    this.#forget(had);
  }

  perform(action: RoomAction): void {
    if (this.#session === undefined) return;
    switch (action.kind) {
      case 'send-presence':
        this.#session.send(this.#presence(action.nick ?? this.#options.nickname, action.hello, action.members));
        break;
      case 'leave-room':
        if (this.#nick === undefined) return;
        this.#session.send(xml('presence', { to: this.#occupant(this.#nick), type: 'unavailable' }));
        this.#nick = undefined;
        this.#leaving++;
        break;
      case 'stay-outside':
        this.#isThere();
        return;
      case 'send-message':
        this.#session.send(message(this.#occupant(action.nick), evio(action.payload)));
        break;
      case 'send-direct': {
        const hello = action.hello === undefined ? undefined : xml('hello', { xmlns: NS_EVIO }, action.hello);
        this.#session.send(message(this.#addressOf(action.account), evio(action.payload), hello));
        break;
      }
    }
    this.#steady.sent();
  }

  /** Rejects with an XmppError when the server is away, and with a StanzaError when nobody answers by that name. */
  async askAuthority(question: Element, timeoutMs: number): Promise<Element> {
    const session = this.#session;
    if (session === undefined) throw new XmppError('server-away', `${this.#options.service} is not connected`);
    return session.iq('set', this.#options.authority, question, timeoutMs);
  }

  /** STUN and TURN services of the server, with credentials (XEP-0215). */
  async fetchServices(): Promise<readonly Service[]> {
    const session = this.#session;
    if (session === undefined) throw new XmppError('server-away', `${this.#options.service} is not connected`);
    const answer = await session.iq('get', this.#options.domain, xml('services', { xmlns: NS_SERVICES }));
    const list = answer.getChild('services', NS_SERVICES)?.getChildren('service') ?? [];
    return parseServices(list.map((s) => s.attrs));
  }

  // ---- connecting ------------------------------------------------------------------------------------------------

  /** The session is over, or the attempt to open one. */
  #onLost(error: XmppError, had: boolean): void {
    this.#forget(had);
    const { problem, code, message } = error;
    this.#setState('waiting', { problem, code, message });
  }

  #forget(had: boolean): void {
    this.#nick = undefined;
    this.#leaving = 0;
    this.#undoing = false;
    clearTimeout(this.#servicesTimer);
    if (had) this.#handlers.event({ kind: 'disconnected' });
  }

  #setState(state: XmppState['state'], failure: SignallingFailure | null): void {
    const error = failure?.message ?? null;
    if (state === this.#state.state && error === this.#state.error) return;
    this.#state = { state, error, failure, since: performance.now() };
    this.#handlers.state(this.#state);
  }

  /**
   * A ping to ourselves through the room (XEP-0410) asks both questions at once: is the server there, and are we still in the
   * room. Only "not acceptable" says no to the second. Outside of it the server is asked.
   */
  async #ping(session: XmppSession): Promise<void> {
    const { domain } = this.#options;
    const asked = this.#nick;
    try {
      const to = asked === undefined ? domain : this.#occupant(asked);
      await session.iq('get', to, xml('ping', { xmlns: NS_PING }));
    } catch (error) {
      // It may have another name by now, or have left.
      if (asked === undefined || asked !== this.#nick) return;
      if (error instanceof StanzaError && error.condition === 'not-acceptable' && session === this.#session)
        this.#steady.fail(new XmppError('server-away', `${this.#options.room} does not know us any more`));
    }
  }

  /** Asks for them once more, for `services`; false: not connected. */
  renewServices(): boolean {
    if (this.#session === undefined || this.#state.state !== 'online') return false;
    clearTimeout(this.#servicesTimer);
    void this.#renewServices();
    return true;
  }

  async #renewServices(): Promise<void> {
    const session = this.#session;
    let services: readonly Service[] = [];
    try {
      services = await this.fetchServices();
    } catch (error) {
      // A server without XEP-0215 says so; any other failure is tried again.
      if (!(error instanceof StanzaError) && session !== this.#session) return;
    }
    if (session === undefined || session !== this.#session) return;
    this.#handlers.services(services);
    const delay = refreshDelayMs(services, (this.#options.time?.() ?? Date.now() / 1000) * 1000);
    this.#servicesTimer = setTimeout(() => void this.#renewServices(), delay);
  }

  // ---- stanzas ---------------------------------------------------------------------------------------------------

  #occupant(nick: string): string {
    return `${this.#options.room}/${nick}`;
  }

  /** Of a node: its agent has one resource. */
  #addressOf(account: string): string {
    return `${account}@${this.#options.domain}/${RESOURCE}`;
  }

  /** Until we are in the room every presence is the one that joins (XEP-0045 §7.2); under another name it changes ours (§7.6). */
  #presence(nick: string, hello: string, members: number | undefined): Element {
    const join = xml('x', { xmlns: NS_MUC }, xml('history', { maxchars: '0' }));
    return xml(
      'presence',
      { to: this.#occupant(nick) },
      this.#nick === undefined ? join : undefined,
      evio(hello, { account: this.#options.username, ...(members === undefined ? {} : { members: String(members) }) }),
    );
  }

  #onStanza(stanza: Element): void {
    const from = stanza.attrs.from ?? '';
    if (from === this.#options.authority) {
      if (stanza.name === 'message' && stanza.getChild('news', NS_JOIN) !== undefined) this.#handlers.news?.();
      return;
    }
    const at = from.indexOf('/');
    const room = at < 0 ? from : from.slice(0, at);
    if (room !== this.#options.room) {
      if (stanza.name === 'message') this.#onDirect(stanza, from);
      return;
    }
    const nick = at < 0 ? '' : from.slice(at + 1);
    if (stanza.name === 'presence') this.#onPresence(stanza, nick);
    else if (stanza.name === 'message') this.#onMessage(stanza, nick);
  }

  #onPresence(stanza: Element, nick: string): void {
    if (this.#undoing) return;
    const { type } = stanza.attrs;
    if (type === 'error') {
      // Of what was asked for a nickname for guests is the one thing that others may have.
      if (isSeat(nick) && stanzaError(stanza).condition === 'conflict') {
        this.#steady.online();
        this.#handlers.event({ kind: 'nick-taken' });
      } else if (this.#nick === undefined) this.#steady.fail(joinError(stanza, this.#options));
      return;
    }
    if (type !== undefined && type !== 'unavailable') return;
    const user = stanza.getChild('x', NS_MUC_USER);
    const codes = user?.getChildren('status').map((s) => s.attrs.code) ?? [];
    const ours = codes.includes('110') || nick === this.#nick;
    const renamed = type === 'unavailable' && codes.includes('303') ? user?.getChild('item')?.attrs.nick : undefined;
    if (renamed !== undefined) {
      // Our own presence under the new name follows.
      if (!ours) this.#handlers.event({ kind: 'renamed', nick, to: renamed });
      return;
    }
    if (ours && type === 'unavailable') {
      if (this.#leaving > 0) {
        this.#leaving--;
        return;
      }
      this.#steady.fail(removedError(user, codes, this.#options));
      return;
    }
    if (codes.includes('201')) {
      void this.#undoRoom();
      return;
    }
    const shown = stanza.getChild('evio', NS_EVIO);
    const members = Number.parseInt(shown?.attrs.members ?? '', 10);
    this.#handlers.event({
      kind: 'presence',
      nick,
      available: type === undefined,
      hello: shown?.text(),
      ...(Number.isNaN(members) ? {} : { members }),
      ...(isAccount(shown?.attrs.account) ? { account: shown?.attrs.account } : {}),
    });
    if (codes.includes('110') && this.#nick !== nick) this.#onJoined(nick);
  }

  #onJoined(nick: string): void {
    this.#nick = nick;
    this.#leaving = 0;
    this.#isThere();
    this.#handlers.event({ kind: 'joined', nick });
  }

  /** The session is all that it is to be. */
  #isThere(): void {
    if (this.#state.state === 'online') return;
    this.#setState('online', null);
    this.#steady.online();
    void this.#renewServices();
  }

  /**
   * We came to a room that was not there, and made it: nobody configured it, and it would let everybody in. It goes away
   * again.
   */
  async #undoRoom(): Promise<void> {
    const { room } = this.#options;
    this.#undoing = true;
    const destroy = xml('query', { xmlns: NS_MUC_OWNER }, xml('destroy'));
    await this.#session?.iq('set', room, destroy).catch(() => undefined);
    this.#steady.fail(
      new XmppError('room-missing', `the room ${room} does not exist: make it with "evio overlay restore"`),
    );
  }

  #onMessage(stanza: Element, nick: string): void {
    const payload = stanza.getChildText('evio', NS_EVIO);
    if (stanza.attrs.type === 'error') {
      const { condition } = stanzaError(stanza);
      if (condition === 'item-not-found' || condition === 'recipient-unavailable')
        this.#handlers.event({ kind: 'undeliverable', nick });
    } else if (stanza.attrs.type === 'chat' && payload !== null) {
      this.#handlers.event({ kind: 'message', nick, payload });
    }
  }

  /** From the account of another node; whose it is the message itself says. Whoever else writes to us has nothing to say. */
  #onDirect(stanza: Element, from: string): void {
    const at = from.indexOf('@');
    const account = from.slice(0, Math.max(0, at));
    if (account === '' || from !== this.#addressOf(account)) return;
    const payload = stanza.getChildText('evio', NS_EVIO);
    if (stanza.attrs.type === 'error') this.#handlers.event({ kind: 'account-away', account });
    else if (stanza.attrs.type === 'chat' && payload !== null) {
      const hello = stanza.getChildText('hello', NS_EVIO) ?? undefined;
      this.#handlers.event({ kind: 'direct', account, payload, hello });
    }
  }
}

const evio = (text: string, attributes: Readonly<Record<string, string>> = {}): Element =>
  xml('evio', { xmlns: NS_EVIO, ...attributes }, text);

const message = (to: string, ...content: readonly (Element | undefined)[]): Element =>
  xml('message', { to, type: 'chat' }, ...content, xml('no-store', { xmlns: NS_HINTS }));

function joinError(stanza: Element, { room, username, domain }: XmppRoomOptions): XmppError {
  const error = stanzaError(stanza);
  const jid = `${username}@${domain}`;
  const missing = () =>
    new XmppError(
      'room-missing',
      `the room ${room} does not exist (${error.message}): make it with "evio overlay restore"`,
    );
  switch (error.condition) {
    case 'registration-required':
      return new XmppError('not-a-member', `${jid} is not a member of ${room}: enrol the node again`);
    case 'forbidden':
      // Of ejabberd, where a room is missing that the node may not make; XEP-0045 has "not-allowed" for it.
      if (/room creation is denied/i.test(error.message)) return missing();
      return new XmppError('not-a-member', `${room} does not let ${jid} in (${error.message})`);
    case 'not-allowed':
    case 'item-not-found':
    case 'remote-server-not-found':
      return missing();
    case 'conflict':
      return new XmppError('refused', `${room}: another account uses the node id of ${jid} as its nickname`);
    default:
      return new XmppError('refused', `cannot join ${room} (${error.message})`);
  }
}

function removedError(
  user: Element | undefined,
  codes: readonly (string | undefined)[],
  o: XmppRoomOptions,
): XmppError {
  if (user?.getChild('destroy') !== undefined) return new XmppError('room-missing', `the room ${o.room} was destroyed`);
  if (codes.includes('321') || codes.includes('322') || codes.includes('301'))
    return new XmppError('not-a-member', `${o.username}@${o.domain} is not a member of ${o.room} any more`);
  return new XmppError('server-away', `${o.room} ended our presence`);
}
