/** An XMPP stream's bytes to elements (RFC 6120 §4), for input nobody has vouched for: bounded, and an error is a value. */
import { StringDecoder } from 'node:string_decoder';
import { type Element, Parser } from '@xmpp/xml';
import { XmppError } from './xmpp-error.ts';

/** Of one element of the stream. A hello has 6 kB, a sealed message 22 kB. */
export const ELEMENT_MAX_BYTES = 256 * 1024;

export interface StreamHandlers {
  opened(header: Element): void;
  element(element: Element): void;
  /** The server ended the stream. */
  ended(): void;
  /** No more can be read: the connection must be closed. */
  failed(reason: string): void;
}

export class XmppStream {
  readonly #handlers: StreamHandlers;
  readonly #decoder = new StringDecoder('utf8');
  readonly #parser = new Parser();
  /** What the parser found in one chunk; handed on when it has returned, so that its errors and the handlers' stay apart. */
  #found: (() => void)[] = [];
  #pendingBytes = 0;
  #done = false;
  /**
   * The text before the stream's header, until it is known to be an XML declaration or none. ltx does not find the end of a
   * declaration that is cut between "?" and ">", and would then wait for ever.
   */
  #prolog: string | undefined = '';

  constructor(handlers: StreamHandlers) {
    this.#handlers = handlers;
    this.#parser.on('start', (header) => this.#find(() => handlers.opened(header)));
    this.#parser.on('element', (element) => this.#find(() => handlers.element(element)));
    this.#parser.on('end', () => this.#find(() => handlers.ended()));
    this.#parser.on('error', () => this.#find(() => this.#fail('XML that is not well-formed')));
  }

  /** Nothing more is read: after STARTTLS and SASL a new stream begins with a new reader. */
  stop(): void {
    this.#done = true;
  }

  write(chunk: Buffer): void {
    if (this.#done) return;
    this.#pendingBytes += chunk.length;
    let failure: string | undefined;
    try {
      this.#parser.write(this.#withoutProlog(this.#decoder.write(chunk)));
    } catch (error) {
      // ltx throws on an end tag without a start and on unknown entities.
      failure = `XML that cannot be read (${error instanceof Error ? error.message : 'unknown'})`;
    }
    const found = this.#found;
    this.#found = [];
    for (const handOn of found) if (!this.#done) handOn();
    if (failure !== undefined) this.#fail(failure);
    else if (this.#pendingBytes > ELEMENT_MAX_BYTES) this.#fail(`an element of more than ${ELEMENT_MAX_BYTES} bytes`);
  }

  #withoutProlog(text: string): string {
    if (this.#prolog === undefined) return text;
    const start = (this.#prolog + text).trimStart();
    const end = start.indexOf('?>');
    if (start.length < 2 || (start.startsWith('<?') && end < 0)) {
      this.#prolog = start;
      return '';
    }
    this.#prolog = undefined;
    return start.startsWith('<?') ? start.slice(end + 2) : start;
  }

  #find(handOn: () => void): void {
    this.#pendingBytes = 0;
    this.#found.push(handOn);
  }

  #fail(reason: string): void {
    if (this.#done) return;
    this.#done = true;
    this.#handlers.failed(reason);
  }
}

/** The server's last word (RFC 6120 §4.9), in ours. */
export function streamError(element: Element, { service, domain }: { service: string; domain: string }): XmppError {
  const condition = element.getChildElements()[0]?.getName() ?? 'undefined-condition';
  const text = element.getChildText('text') ?? '';
  const detail = text === '' ? condition : `${condition}, ${text}`;
  if (condition === 'host-unknown')
    return new XmppError('refused', `${service} does not serve the domain "${domain}": look at "domain"`);
  if (condition === 'conflict')
    return new XmppError('refused', `${service} closed the stream: the account is used elsewhere (${detail})`);
  return new XmppError('refused', `${service} closed the stream (${detail})`);
}
