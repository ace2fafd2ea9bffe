/** Whether servers that a node will need can be reached from here: by name, TCP, TLS and UDP. No account is needed. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { hostPortOf, serviceOf } from '../../../agent/src/config/service.ts';
import { addressOf, withoutAnswer } from '../../../agent/src/io/udp-ask.ts';
import { familyOf, UdpSocket } from '../netcheck/udp-socket.ts';
import { type Check, fail, pass, uncertain } from './check.ts';

const XMPP_MS = 8_000;
const STREAM = (to: string): string =>
  `<?xml version='1.0'?><stream:stream to='${to}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;

export interface XmppAt {
  /** As in a node file. */
  readonly url: string;
  /** Whom its certificate has to be for; undefined: the host of the URL. */
  readonly domain: string | undefined;
  /** PEM of an authority; undefined: those of the system. */
  readonly ca: string | undefined;
}

export async function xmppCheck({ url, domain, ca }: XmppAt): Promise<readonly Check[]> {
  const service = serviceOf(url);
  const resolved = await dns(service.host);
  if (resolved.address === undefined) return [resolved.check];
  const name = 'xmpp';
  try {
    const seen = await stream(resolved.address, service, { domain: domain ?? service.host, ca });
    const found = isIP(service.host) === 0 ? [resolved.check] : [];
    if (!seen.answer.includes('<stream:stream'))
      return [...found, fail(name, `${url} answers, and speaks no XMPP`, 'name the port of the XMPP server')];
    if (service.tls === 'starttls' && !seen.answer.includes('urn:ietf:params:xml:ns:xmpp-tls'))
      return [
        ...found,
        uncertain(name, `${url} answers, and offered no STARTTLS to a stranger`, 'see docs/xmpp-servers.md'),
      ];
    if (seen.untrusted !== undefined)
      return [
        ...found,
        pass(name, `${url} answers by XMPP`),
        uncertain(
          'xmpp-certificate',
          `the certificate of ${url} was not verified: ${seen.untrusted}`,
          'a server of evio server init has an authority of its own, which node files bring: give it with --ca, and the domain with --domain, to verify it',
        ),
      ];
    return [
      ...found,
      pass(name, `${url} answers by XMPP${service.tls === 'direct' ? ', with a certificate that is trusted' : ''}`),
    ];
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return [
      fail(
        name,
        `${url} (${resolved.address}) cannot be reached: ${why}`,
        'does the server run, and does every firewall on the way let this port through?',
      ),
    ];
  }
}

/** `kind`: both are asked how they see this machine; a TURN server's credentials come with a node's account. */
export async function udpCheck(kind: 'stun' | 'turn', at: string): Promise<readonly Check[]> {
  const { host, port } = hostPortOf(at);
  const name = kind;
  const resolved = await dns(host);
  if (resolved.address === undefined) return [resolved.check];
  const found = isIP(host) === 0 ? [resolved.check] : [];
  const socket = await UdpSocket.open(familyOf(resolved.address));
  try {
    const answer = await socket.ask({ address: resolved.address, port });
    const what = kind.toUpperCase();
    if (answer !== undefined) {
      const { mapped } = answer.binding;
      const sees = mapped === undefined ? '' : `, sees ${mapped.address}:${mapped.port}`;
      const later = kind === 'turn' ? '; whether it relays is seen with an account (evio netcheck)' : '';
      return [...found, pass(name, `${what} ${at} answers in ${answer.rttMs.toFixed(1)} ms${sees}${later}`)];
    }
    const silence = await withoutAnswer(resolved.address, { silent: true, closed: false });
    const reached = silence.kind === 'silent' && silence.hostReached;
    return [
      ...found,
      fail(
        name,
        `${what} ${at} does not answer by UDP${reached ? ', while its host does' : ''}`,
        reached
          ? 'start the STUN and TURN server there'
          : 'let UDP out to it, and its answers in; or is the server down?',
      ),
    ];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return [
      ...found,
      fail(name, `UDP cannot be sent to ${at}: ${code}`, "look at this machine's own firewall and routes"),
    ];
  } finally {
    socket.close();
  }
}

async function dns(host: string): Promise<{ readonly address: string | undefined; readonly check: Check }> {
  try {
    const address = await addressOf(host);
    return { address, check: pass('dns', `${host} is ${address}`) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const away = code === 'EAI_AGAIN' ? 'the DNS does not answer' : 'the DNS does not know it';
    return {
      address: undefined,
      check: fail('dns', `${host} cannot be resolved: ${away} (${code})`, 'look at the name, and at /etc/resolv.conf'),
    };
  }
}

interface Seen {
  readonly answer: string;
  /** Why its certificate is not trusted. */
  readonly untrusted: string | undefined;
}

/** Opens a stream and reads until its features, or until the server has said enough. */
function stream(
  address: string,
  { port, tls }: ReturnType<typeof serviceOf>,
  { domain, ca }: { readonly domain: string; readonly ca: string | undefined },
): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const servername = isIP(domain) === 0 ? domain : '';
    const socket: Socket | TLSSocket =
      tls === 'direct'
        ? connectTls({
            host: address,
            port,
            servername,
            rejectUnauthorized: false,
            ...(ca === undefined ? {} : { ca }),
          })
        : connectTcp({ host: address, port });
    let answer = '';
    const untrusted = (): string | undefined =>
      'authorizationError' in socket && socket.authorizationError ? String(socket.authorizationError) : undefined;
    const end = (error?: Error): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.destroy();
      if (error === undefined || answer !== '') resolve({ answer, untrusted: untrusted() });
      else reject(error);
    };
    const timer = setTimeout(() => end(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })), XMPP_MS);
    socket.once('error', end);
    socket.once('close', () => end(new Error('it closed the connection')));
    socket.once(tls === 'direct' ? 'secureConnect' : 'connect', () => socket.write(STREAM(domain)));
    socket.on('data', (data: Buffer) => {
      answer += data.toString('latin1');
      if (answer.length > 65_536 || /<\/stream:(features|error|stream)>/.test(answer)) end();
    });
  });
}
