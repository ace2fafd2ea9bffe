/**
 * A session with an XMPP server that is there for as long as it is wanted: opened again when it ends, dropped when the server is silent.
 * When is the `Reconnect` machine's to say; here its actions are carried out, for the agent's room and for an authority that answers.
 *
 *     const steady = new SteadySession({ service, open, ping }, { stanza, opened: () => steady.online(), lost: (error) => log(error.message) });
 *     steady.start();
 */
import type { Element } from '@xmpp/xml';
import { type Patience, Reconnect, type ReconnectAction, type ReconnectEvent } from '../signal/reconnect.ts';
import { XmppError } from './xmpp-error.ts';
import type { SessionHandlers, XmppSession } from './xmpp-session.ts';

export interface SteadyOptions {
  /** As errors name it. */
  readonly service: string;
  /** Opens a session, with all that has to come before that; rejects with an XmppError. What it rejects with after `signal` is not told. */
  readonly open: (handlers: SessionHandlers, signal: AbortSignal) => Promise<XmppSession>;
  /** Asks whether the server is there: anything that comes says so. */
  readonly ping: (session: XmppSession) => Promise<unknown>;
  /** Default: that for a server that is far away. */
  readonly patience?: Patience | undefined;
}

export interface SteadyHandlers {
  /** As of `SessionHandlers`. */
  stanza(stanza: Element): void;
  request?(request: Element): Promise<Element | undefined>;
  /** An attempt begins. */
  connecting?(): void;
  /** There is a session; who has nothing more to do before it counts calls `online`. */
  opened(session: XmppSession): void;
  /** An attempt has failed, or the session (`had`) is over; another one follows. Not after `stop`. */
  lost(error: XmppError, had: boolean): void;
  /** Whether an attempt that failed so may well fail again at once; default: as the error says. */
  lasting?(error: XmppError): boolean;
}

export class SteadySession {
  readonly #options: SteadyOptions;
  readonly #handlers: SteadyHandlers;
  readonly #reconnect: Reconnect;
  #timer: NodeJS.Timeout | undefined;
  #attempt: AbortController | undefined;
  #session: XmppSession | undefined;
  #online = false;

  constructor(options: SteadyOptions, handlers: SteadyHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#reconnect = new Reconnect(Math.random, options.patience);
  }

  /** Undefined while there is none. */
  get session(): XmppSession | undefined {
    return this.#session;
  }

  start(): void {
    this.#step({ kind: 'start' });
  }

  /** Ends the session politely; nothing is told of it. `start` begins anew. */
  stop(): void {
    this.#step({ kind: 'stop' });
    this.#attempt?.abort();
    const session = this.#session;
    this.#session = undefined;
    this.#online = false;
    session?.close();
  }

  /** The session is all that it should be: once it ends, that is no failed attempt. */
  online(): void {
    this.#online = true;
    this.#step({ kind: 'online' });
  }

  /** Something was sent that should show an effect. */
  sent(): void {
    this.#step({ kind: 'sent' });
  }

  /** Drops the session, or the attempt to open one. */
  fail(error: XmppError): void {
    if (this.#session === undefined) this.#handlers.lost(error, false);
    else this.#session.fail(error);
  }

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
        if (this.#session !== undefined) this.#options.ping(this.#session).catch(() => undefined);
        return;
      case 'abort':
        this.fail(new XmppError('server-away', `${this.#options.service}: ${action.reason}`));
        this.#attempt?.abort();
        return;
    }
  }

  async #connect(): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#handlers.connecting?.();
    try {
      const { request } = this.#handlers;
      const session = await this.#options.open(
        {
          received: () => this.#step({ kind: 'received' }),
          stanza: (stanza) => this.#handlers.stanza(stanza),
          ...(request === undefined ? {} : { request: (one: Element) => request.call(this.#handlers, one) }),
          closed: (error) => this.#onClosed(error),
        },
        attempt.signal,
      );
      if (attempt.signal.aborted) return session.close();
      this.#session = session;
      this.#handlers.opened(session);
    } catch (error) {
      if (attempt.signal.aborted) return;
      const why =
        error instanceof XmppError
          ? error
          : new XmppError('protocol', error instanceof Error ? error.message : String(error));
      this.#handlers.lost(why, false);
      this.#step({ kind: 'failed', lasting: this.#lasts(why) });
    }
  }

  #onClosed(error: XmppError): void {
    if (this.#session === undefined) return;
    const wasOnline = this.#online;
    this.#session = undefined;
    this.#online = false;
    this.#handlers.lost(error, true);
    this.#step(wasOnline ? { kind: 'closed' } : { kind: 'failed', lasting: this.#lasts(error) });
  }

  #lasts(error: XmppError): boolean {
    return this.#handlers.lasting?.(error) ?? error.lasting;
  }
}
