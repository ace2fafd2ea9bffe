/** The XMPP server, step by step as a node comes to it: name, TCP, TLS and account, room, and the services it names. */
import { connect } from 'node:net';
import xml from '@xmpp/xml';
import type { NodeConfig } from '../../../agent/src/config/node-config.ts';
import type { SignallingFailure } from '../../../agent/src/diagnosis/signalling.ts';
import { addressOf } from '../../../agent/src/io/udp-ask.ts';
import { RENEWAL } from '../../../agent/src/io/xmpp.ts';
import { StanzaError, socketError, XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { openSession, type XmppSession } from '../../../agent/src/io/xmpp-session.ts';
import { parseServices, type Service } from '../../../agent/src/signal/services.ts';

const NS_SERVICES = 'urn:xmpp:extdisco:2';
const NS_DISCO = 'http://jabber.org/protocol/disco#info';
const NS_PING = 'urn:xmpp:ping';
const NS_PADDING = 'urn:evio:netcheck';
const PADDING_BYTES = 2_048;
/** The rate is not looked at for longer. */
const RATE_MS = 4_000;
/** Bytes a second, above which nothing is throttled that matters here. */
const QUICK_RATE = 20_000;
const TCP_MS = 5_000;
const SESSION_MS = 10_000;

export interface XmppReport {
  readonly service: string;
  readonly address: string | null;
  readonly resolvedMs: number | null;
  readonly tcpMs: number | null;
  /** TLS, password and resource together. */
  readonly signedInMs: number | null;
  /** What the server takes from a client in a second, bytes; more than is measured here is told as what was measured. */
  readonly bytesPerSecond: number | null;
  /** `unknown`: the server does not say. */
  readonly room: 'there' | 'missing' | 'unknown';
  readonly failure: SignallingFailure | null;
}

/** `known`: seconds since 1970, as the agent would judge a server's certificate. */
export async function checkXmpp(
  config: NodeConfig,
  known: number | undefined,
  tell: (text: string) => void,
): Promise<{ readonly report: XmppReport; readonly services: readonly Service[] | undefined }> {
  const { service, domain, username, password, ca, room } = config.signalling;
  const report = {
    service: service.url,
    address: null as string | null,
    resolvedMs: null as number | null,
    tcpMs: null as number | null,
    signedInMs: null as number | null,
    bytesPerSecond: null as number | null,
    room: 'unknown' as XmppReport['room'],
    failure: null as SignallingFailure | null,
  };
  let session: XmppSession | undefined;
  try {
    tell(`resolving ${service.host}`);
    let since = performance.now();
    report.address = await addressOf(service.host);
    report.resolvedMs = performance.now() - since;
    tell(`connecting to ${service.url}`);
    since = performance.now();
    await touch(report.address, service.port);
    report.tcpMs = performance.now() - since;
    tell(`signing in to ${service.url}`);
    since = performance.now();
    session = await openSession(
      {
        service: service.url,
        domain,
        username,
        password: password.reveal(),
        ca,
        renewal: RENEWAL,
        time: () => known,
        signal: AbortSignal.timeout(SESSION_MS),
      },
      { stanza: () => undefined, received: () => undefined, closed: () => undefined },
    );
    report.signedInMs = performance.now() - since;
    report.room = await roomOf(session, room);
    if (report.room === 'missing')
      report.failure = {
        problem: 'room-missing',
        code: '',
        message: `the room ${room} does not exist on ${service.url}`,
      };
    const services = await servicesOf(session, domain);
    tell(`looking how much ${service.url} takes`);
    report.bytesPerSecond = await rateOf(session, domain);
    return { report, services };
  } catch (error) {
    const { problem, message, code } = error instanceof XmppError ? error : socketError(error, service.url, domain);
    report.failure = { problem, message, code };
    return { report, services: undefined };
  } finally {
    session?.close();
  }
}

/** A TCP connection, which ends at once. */
function touch(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const end = (error?: Error): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const timer = setTimeout(() => end(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })), TCP_MS);
    socket.once('connect', () => end());
    socket.once('error', end);
  });
}

/**
 * A server that throttles reads a large stanza and then nothing for as long as its rate has it: the next question waits. The better of
 * two, since a machine may be busy for a moment.
 */
async function rateOf(session: XmppSession, domain: string): Promise<number> {
  const once = async (): Promise<number> => {
    const since = performance.now();
    const questions = [xml('evio', { xmlns: NS_PADDING }, 'x'.repeat(PADDING_BYTES)), xml('ping', { xmlns: NS_PING })];
    const late = AbortSignal.timeout(RATE_MS);
    const ended = new Promise((done) => late.addEventListener('abort', done, { once: true }));
    // That it knows no such question is an answer.
    for (const question of questions)
      await Promise.race([ended, session.iq('get', domain, question).catch(notAnswered)]);
    return (PADDING_BYTES * 1000) / (performance.now() - since);
  };
  const first = await once();
  return first >= QUICK_RATE ? first : Math.max(first, await once());
}

function notAnswered(error: unknown): void {
  if (!(error instanceof StanzaError)) throw error;
}

/** Asked from outside it: to enter would show a second agent of this node there. */
async function roomOf(session: XmppSession, room: string): Promise<XmppReport['room']> {
  try {
    await session.iq('get', room, xml('query', { xmlns: NS_DISCO }));
    return 'there';
  } catch (error) {
    return error instanceof StanzaError && error.condition === 'item-not-found' ? 'missing' : 'unknown';
  }
}

async function servicesOf(session: XmppSession, domain: string): Promise<readonly Service[]> {
  try {
    const answer = await session.iq('get', domain, xml('services', { xmlns: NS_SERVICES }));
    const list = answer.getChild('services', NS_SERVICES)?.getChildren('service') ?? [];
    return parseServices(list.map((one) => one.attrs));
  } catch (error) {
    // A server without XEP-0215 says so.
    if (error instanceof StanzaError) return [];
    throw error;
  }
}
