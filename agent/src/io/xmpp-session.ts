/**
 * One authenticated XMPP session: TLS, SCRAM, resource (RFC 6120 §5-§7), then stanzas. It lives until it is closed; making
 * a new one is the caller's decision.
 */
import { randomBytes } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import xml, { type Element } from '@xmpp/xml';
import { chooseMechanism, Scram, ScramError } from '../signal/scram.ts';
import { StanzaError, socketError, XmppError } from './xmpp-error.ts';
import { streamError, XmppStream } from './xmpp-stream.ts';
import { connectSecurely, type ServerOptions, streamHeader } from './xmpp-tls.ts';

const NS_STREAM = 'http://etherx.jabber.org/streams';
const NS_SASL = 'urn:ietf:params:xml:ns:xmpp-sasl';
const NS_BIND = 'urn:ietf:params:xml:ns:xmpp-bind';
const NS_PING = 'urn:xmpp:ping';
const NS_STANZAS = 'urn:ietf:params:xml:ns:xmpp-stanzas';

const IQ_TIMEOUT_MS = 10_000;
/** Bytes the socket may hold for a server that does not read. */
const UNSENT_MAX_BYTES = 1024 * 1024;

export interface SessionOptions extends ServerOptions {
  readonly username: string;
  readonly password: string;
  /** Undefined: the server chooses. */
  readonly resource?: string | undefined;
  /** What to do when the password is refused. */
  readonly renewal: string;
}

export interface SessionHandlers {
  /** A message or presence, or an IQ request that the session does not answer itself. */
  stanza(stanza: Element): void;
  /**
   * A request (an IQ of type get or set) that the session does not answer itself: what its answer holds. Undefined, and a StanzaError
   * with its condition, refuse it.
   */
  request?(request: Element): Promise<Element | undefined>;
  /** Anything at all came. */
  received(): void;
  /** After `openSession` has resolved, and never after `close`. */
  closed(error: XmppError): void;
}

interface Waiting {
  readonly resolve: (answer: Element) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  readonly to: string | undefined;
}

/** Resolves when stanzas can be sent. Rejects with an `XmppError`, and nothing is left open then. */
export async function openSession(options: SessionOptions, handlers: SessionHandlers): Promise<XmppSession> {
  const socket = await connectSecurely(options);
  const session = new XmppSession(socket, options, handlers);
  const onAbort = () => session.fail(new XmppError('server-away', `${options.service} does not answer`));
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await session.negotiate();
    return session;
  } catch (error) {
    session.close();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}

export class XmppSession {
  readonly #socket: TLSSocket;
  readonly #options: SessionOptions;
  readonly #handlers: SessionHandlers;
  readonly #waiting = new Map<string, Waiting>();
  #stream: XmppStream;
  #jid = '';
  /** Takes the next element while the session is being negotiated. */
  #next: { resolve: (element: Element) => void; reject: (error: Error) => void } | undefined;
  /** Elements that came in one chunk with the one waited for. */
  readonly #early: Element[] = [];
  #negotiating = true;
  #failure: XmppError | undefined;
  #nextId = 1;

  constructor(socket: TLSSocket, options: SessionOptions, handlers: SessionHandlers) {
    this.#socket = socket;
    this.#options = options;
    this.#handlers = handlers;
    this.#stream = this.#newStream();
    socket.on('data', (chunk: Buffer) => {
      this.#stream.write(chunk);
      if (this.#failure === undefined && !this.#negotiating) handlers.received();
    });
    socket.on('error', (error) => this.fail(socketError(error, options.service, options.domain)));
    socket.on('close', () => this.fail(new XmppError('server-away', `${options.service} closed the connection`)));
  }

  /** The full JID the server gave us. */
  get jid(): string {
    return this.#jid;
  }

  // ---- negotiation -----------------------------------------------------------------------------------------------

  async negotiate(): Promise<void> {
    await this.#authenticate(await this.#restart());
    const features = await this.#restart();
    if (features.getChild('bind', NS_BIND) === undefined)
      throw new XmppError('protocol', `${this.#options.service} offers no resource binding`);
    this.#negotiating = false;
    const { resource } = this.#options;
    const bind = xml('bind', { xmlns: NS_BIND }, resource === undefined ? undefined : xml('resource', {}, resource));
    const answer = await this.iq('set', undefined, bind);
    this.#jid = answer.getChild('bind', NS_BIND)?.getChildText('jid') ?? '';
    if (this.#jid === '') throw new XmppError('protocol', `${this.#options.service} gave no resource`);
  }

  #newStream(): XmppStream {
    const { service } = this.#options;
    return new XmppStream({
      opened: () => undefined,
      element: (element) => this.#onElement(element),
      ended: () => this.fail(new XmppError('server-away', `${service} ended the stream`)),
      failed: (reason) => this.fail(new XmppError('protocol', `${service} sent ${reason}`)),
    });
  }

  /** Begins a stream, and gives its features. */
  async #restart(): Promise<Element> {
    this.#stream.stop();
    this.#early.length = 0;
    this.#stream = this.#newStream();
    this.#write(streamHeader(this.#options.domain));
    const features = await this.#expect();
    if (!features.is('features', NS_STREAM))
      throw new XmppError('protocol', `${this.#options.service} sent <${features.name}/> instead of its features`);
    return features;
  }

  async #authenticate(features: Element): Promise<void> {
    const { service, username, password } = this.#options;
    const offered = features.getChild('mechanisms', NS_SASL)?.getChildren('mechanism') ?? [];
    const mechanism = chooseMechanism(offered.map((m) => m.text()));
    if (mechanism === undefined)
      throw new XmppError('insecure', `${service} offers no SCRAM, and the password is not shown to it in clear`);
    const scram = new Scram(mechanism, username, password, randomBytes(18).toString('base64'));
    this.#send(xml('auth', { xmlns: NS_SASL, mechanism }, base64(scram.first())));
    try {
      const challenge = this.#saslAnswer(await this.#expect(), 'challenge');
      this.#send(xml('response', { xmlns: NS_SASL }, base64(scram.answer(challenge))));
      const last = await this.#expect();
      // A server may put its proof into a last challenge instead (RFC 6120 §6.3.9).
      if (last.is('challenge', NS_SASL)) {
        scram.verify(this.#saslAnswer(last, 'challenge'));
        this.#send(xml('response', { xmlns: NS_SASL }));
        this.#saslAnswer(await this.#expect(), 'success');
      } else scram.verify(this.#saslAnswer(last, 'success'));
    } catch (error) {
      if (error instanceof ScramError) throw new XmppError('untrusted-certificate', `${service}: ${error.message}`);
      throw error;
    }
  }

  #saslAnswer(element: Element, name: 'challenge' | 'success'): string {
    const { service, username, domain } = this.#options;
    if (element.is(name, NS_SASL)) return Buffer.from(element.text(), 'base64').toString('utf8');
    if (!element.is('failure', NS_SASL))
      throw new XmppError('protocol', `${service} sent <${element.name}/> during authentication`);
    const condition = element.getChildElements()[0]?.getName() ?? 'failure';
    if (condition === 'temporary-auth-failure')
      throw new XmppError('server-away', `${service} cannot authenticate anybody now`);
    throw new XmppError(
      'wrong-password',
      `${service} refuses the password of ${username}@${domain} (${condition}): ${this.#options.renewal}`,
    );
  }

  #expect(): Promise<Element> {
    const early = this.#early.shift();
    if (early !== undefined) return Promise.resolve(early);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#next = { resolve, reject };
    });
  }

  // ---- stanzas ---------------------------------------------------------------------------------------------------

  #onElement(element: Element): void {
    if (element.is('error', NS_STREAM)) {
      this.fail(streamError(element, this.#options));
      return;
    }
    if (this.#negotiating) {
      const next = this.#next;
      this.#next = undefined;
      if (next !== undefined) next.resolve(element);
      else if (this.#early.length < 4) this.#early.push(element);
      return;
    }
    if (element.name !== 'iq') this.#handlers.stanza(element);
    else if (element.attrs.type === 'get' || element.attrs.type === 'set') this.#onRequest(element);
    else this.#onAnswer(element);
  }

  /** Every request gets an answer (RFC 6120 §8.2.3); the only one we serve ourselves is a ping. */
  #onRequest(request: Element): void {
    const { from, id, type } = request.attrs;
    const answer = (child?: Element) => this.#send(xml('iq', { type: 'result', to: from, id }, child));
    const refuse = (condition = 'service-unavailable') =>
      this.#send(
        xml(
          'iq',
          { type: 'error', to: from, id },
          xml('error', { type: 'cancel' }, xml(condition, { xmlns: NS_STANZAS })),
        ),
      );
    if (type === 'get' && request.getChild('ping', NS_PING) !== undefined) answer();
    else if (this.#handlers.request === undefined) refuse();
    else
      this.#handlers.request(request).then(
        (child) => (child === undefined ? refuse() : answer(child)),
        (error: unknown) => refuse(error instanceof StanzaError ? error.condition : undefined),
      );
  }

  #onAnswer(answer: Element): void {
    const id = answer.attrs.id ?? '';
    const waiting = this.#waiting.get(id);
    // Our ids can be guessed; an answer by somebody else than who was asked is none (RFC 6120 §8.1.2.1).
    if (waiting === undefined || !this.#mayAnswer(waiting.to, answer.attrs.from)) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (answer.attrs.type === 'error') waiting.reject(stanzaError(answer));
    else waiting.resolve(answer);
  }

  #mayAnswer(to: string | undefined, from: string | undefined): boolean {
    if (to !== undefined) return from === to;
    const bare = this.#jid.split('/')[0];
    return from === undefined || from === this.#options.domain || from === bare || from === this.#jid;
  }

  iq(type: 'get' | 'set', to: string | undefined, child: Element, timeoutMs = IQ_TIMEOUT_MS): Promise<Element> {
    const id = `e${this.#nextId++}`;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(
          new XmppError(
            'server-away',
            `${this.#options.service} did not answer a request within ${timeoutMs / 1000} s`,
          ),
        );
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer, to });
      this.#send(xml('iq', { type, to, id }, child));
    });
  }

  send(stanza: Element): void {
    this.#send(stanza);
  }

  #send(element: Element): void {
    this.#write(element.toString());
  }

  #write(text: string): void {
    if (this.#failure !== undefined) return;
    if (this.#socket.writableLength > UNSENT_MAX_BYTES) {
      this.fail(new XmppError('server-away', `${this.#options.service} takes nothing any more`));
      return;
    }
    this.#socket.write(text);
  }

  // ---- the end ---------------------------------------------------------------------------------------------------

  /** Ends the stream politely. */
  close(): void {
    if (this.#failure !== undefined) return;
    const negotiated = this.#jid !== '';
    if (negotiated) this.#write(`${xml('presence', { type: 'unavailable' }).toString()}</stream:stream>`);
    this.#settle(new XmppError('server-away', 'the session was closed'));
    this.#socket.end();
    // The server has a moment to take what was written.
    setTimeout(() => this.#socket.destroy(), 500).unref();
  }

  /** Drops the connection, telling who waits for it why. */
  fail(error: XmppError): void {
    if (this.#failure !== undefined) return;
    const negotiated = this.#jid !== '';
    this.#settle(error);
    this.#socket.destroy();
    if (negotiated) this.#handlers.closed(error);
  }

  #settle(error: XmppError): void {
    this.#failure = error;
    this.#stream.stop();
    this.#next?.reject(error);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

export function stanzaError(stanza: Element): StanzaError {
  const children = stanza.getChild('error')?.getChildElements() ?? [];
  const condition = children.find((c) => c.getNS() === NS_STANZAS && c.getName() !== 'text');
  const text = children.find((c) => c.getName() === 'text');
  return new StanzaError(condition?.getName() ?? 'undefined-condition', text?.text() ?? '');
}
