/**
 * A TLS socket to the XMPP server, its certificate verified for the XMPP domain (RFC 7590 §3.4), before anybody sends
 * anything that matters. Without TLS only the stream header and `<starttls/>` are sent, and neither names us.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import xml from '@xmpp/xml';
import { holdsButForDates } from './tls-dates.ts';
import { DatesError, socketError, XmppError } from './xmpp-error.ts';
import { streamError, XmppStream } from './xmpp-stream.ts';

const NS_TLS = 'urn:ietf:params:xml:ns:xmpp-tls';
const NS_STREAM = 'http://etherx.jabber.org/streams';

export interface ServerOptions {
  /** `xmpps://host:port` (direct TLS, XEP-0368) or `xmpp://host:port` (STARTTLS, without which nothing goes on). */
  readonly service: string;
  readonly domain: string;
  /** PEM; undefined: Node's own authorities. */
  readonly ca?: string | undefined;
  readonly signal: AbortSignal;
  /** Seconds since 1970 as far as known; without it the machine's clock is believed. */
  readonly time?: (() => number | undefined) | undefined;
}

const DEFAULT_PORT = { 'xmpp:': 5222, 'xmpps:': 5223 } as const;

export async function connectSecurely(options: ServerOptions): Promise<TLSSocket> {
  try {
    return await connectOnce(options, true);
  } catch (error) {
    const { ca, domain, time } = options;
    if (!(error instanceof DatesError) || ca === undefined || time === undefined) throw error;
    // Only the dates were wrong, or so it seems: looked at again by what this node knows of the time.
    const socket = await connectOnce(options, false);
    const leaf = socket.getPeerX509Certificate();
    if (leaf !== undefined && holdsButForDates(leaf, ca, domain, time())) return socket;
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  }
}

/**
 * The certificates that the server shows (DER), its own first and then each one's issuer. Nothing is sent to it, and nothing is believed
 * of it: this is for who knows one of them by its hash.
 */
export async function shownCertificates(options: Omit<ServerOptions, 'ca' | 'time'>): Promise<readonly Buffer[]> {
  const socket = await connectOnce(options, false);
  const shown: Buffer[] = [];
  try {
    // The last one is its own issuer.
    let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
    while (next?.raw !== undefined && !shown.some((one) => next?.raw.equals(one))) {
      shown.push(next.raw);
      next = next.issuerCertificate;
    }
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
  return shown;
}

/** Nothing is sent on a socket that was opened without `verified` before its certificate was looked at. */
async function connectOnce(options: ServerOptions, verified: boolean): Promise<TLSSocket> {
  const { protocol, hostname, port } = new URL(options.service);
  if (protocol !== 'xmpp:' && protocol !== 'xmpps:')
    throw new XmppError('protocol', `"${options.service}" is neither xmpps:// nor xmpp://`);
  const host = hostname.replace(/^\[|\]$/g, '');
  const at = { host, port: port === '' ? DEFAULT_PORT[protocol] : Number(port) };
  const socket = await open(connectTcp(at), 'connect', options);
  // Signalling is short messages that somebody waits for.
  socket.setNoDelay(true);
  if (protocol === 'xmpp:') await startTls(socket, options);
  const secure = connectTls({
    socket,
    // An address is no server name (RFC 6066 §3).
    ...(isIP(options.domain) === 0 && { servername: options.domain }),
    ...(options.ca !== undefined && { ca: options.ca }),
    ...(protocol === 'xmpps:' && { ALPNProtocols: ['xmpp-client'] }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verified,
    checkServerIdentity: (_host, certificate) => checkServerIdentity(options.domain, certificate),
  });
  return open(secure, 'secureConnect', options);
}

/** Waits for a socket to be ready; on failure it is destroyed and the reason told in words. */
function open<S extends Socket>(socket: S, ready: 'connect' | 'secureConnect', options: ServerOptions): Promise<S> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      settle();
      // Errors that come later, of a socket nobody uses any more.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(socketError(error, options.service, options.domain));
    };
    const onClose = () => fail(new XmppError('server-away', `${options.service} closed the connection during TLS`));
    const onAbort = () => fail(new XmppError('server-away', `cannot reach ${options.service}: no answer`));
    const settle = () => {
      socket.off(ready, onReady);
      socket.off('error', fail);
      socket.off('close', onClose);
      options.signal.removeEventListener('abort', onAbort);
    };
    const onReady = () => {
      settle();
      resolve(socket);
    };
    socket.once(ready, onReady);
    socket.once('error', fail);
    socket.once('close', onClose);
    options.signal.addEventListener('abort', onAbort, { once: true });
    if (options.signal.aborted) onAbort();
  });
}

/** The header of a stream from client to server. */
export function streamHeader(domain: string): string {
  const header = xml('stream:stream', {
    to: domain,
    version: '1.0',
    'xml:lang': 'en',
    xmlns: 'jabber:client',
    'xmlns:stream': NS_STREAM,
  });
  // A stream's root element stays open.
  return `<?xml version='1.0'?>${header.toString().replace(/\/>$/, '>')}`;
}

/**
 * RFC 6120 §5. The bytes after `<proceed/>` belong to TLS: anything that stands there in clear was put in by somebody on the
 * way and would be taken for the server's word, so it ends the attempt.
 */
function startTls(socket: Socket, options: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer: string | undefined;
    const finish = (error?: XmppError) => {
      stream.stop();
      socket.removeAllListeners('data');
      socket.off('error', onError);
      socket.off('close', onClose);
      options.signal.removeEventListener('abort', onAbort);
      if (error === undefined) {
        resolve();
        return;
      }
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const insecure = (what: string) =>
      finish(new XmppError('insecure', `${options.service} ${what}: nothing was sent (use a server with TLS)`));
    const onError = (error: Error) => finish(socketError(error, options.service, options.domain));
    const onClose = () => finish(new XmppError('server-away', `${options.service} closed the connection`));
    const onAbort = () => finish(new XmppError('server-away', `${options.service} does not answer`));
    const stream = new XmppStream({
      opened: () => undefined,
      element(element) {
        if (element.is('error', NS_STREAM)) return finish(streamError(element, options));
        if (!element.is('features', NS_STREAM)) return insecure('did not begin an XMPP stream');
        if (element.getChild('starttls', NS_TLS) === undefined) return insecure('offers no STARTTLS');
        stream.stop();
        answer = '';
        socket.write(`<starttls xmlns="${NS_TLS}"/>`);
      },
      ended: () => insecure('ended the stream'),
      failed: (reason) => insecure(`sent ${reason}`),
    });
    socket.on('data', (chunk: Buffer) => {
      if (answer === undefined) return stream.write(chunk);
      answer += chunk.toString('latin1');
      if (isProceed(answer)) finish();
      else if (answer.length > 256 || answer.includes('>')) insecure('refused STARTTLS');
    });
    socket.on('error', onError);
    socket.on('close', onClose);
    options.signal.addEventListener('abort', onAbort, { once: true });
    socket.write(streamHeader(options.domain));
  });
}

const isProceed = (text: string): boolean =>
  /^\s*<proceed\s+xmlns\s*=\s*(['"])urn:ietf:params:xml:ns:xmpp-tls\1\s*(\/>|><\/proceed\s*>)$/.test(text);
