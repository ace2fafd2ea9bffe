/** Asking the servers what a node would ask them. */

import { randomBytes, X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';
import { connect } from 'node:tls';

const ANSWER_MS = 1_000;

export interface TlsPlace {
  readonly host: string;
  readonly port: number;
  readonly domain: string;
  /** PEM of the certificates of which the server must show one. */
  readonly certificates: Iterable<string>;
}

/** Whether the XMPP server shows its certificate. */
export function tlsAnswers({ host, port, domain, certificates }: TlsPlace): Promise<boolean> {
  const wanted = [...certificates].map((pem) => new X509Certificate(pem).fingerprint256);
  return new Promise((resolve) => {
    // Its authority may be a public one or ours: it is enough that it is the certificate that was installed.
    const socket = connect({ host, port, servername: domain, rejectUnauthorized: false, timeout: ANSWER_MS });
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('secureConnect', () => end(wanted.includes(socket.getPeerX509Certificate()?.fingerprint256 ?? ''))());
    socket.on('error', end(false));
    socket.on('timeout', end(false));
    socket.on('close', end(false));
  });
}

const BINDING_REQUEST = Buffer.from('000100002112a442', 'hex');
const BINDING_SUCCESS = 0x0101;

/** Whether a STUN binding request is answered (RFC 8489 §6.3.1). */
export function stunAnswers(host: string, port: number): Promise<boolean> {
  const transaction = randomBytes(12);
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    let done = false;
    const end = (answer: boolean): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), ANSWER_MS);
    socket.on('error', () => end(false));
    socket.on('message', (data) => {
      const ours = data.length >= 20 && data.subarray(8, 20).equals(transaction);
      if (ours && data.readUInt16BE(0) === BINDING_SUCCESS) end(true);
    });
    socket.send(Buffer.concat([BINDING_REQUEST, transaction]), port, host, (error) => {
      if (error) end(false);
    });
  });
}

/** Why a port cannot be had, or undefined when it is free. */
export function portProblem(protocol: 'tcp' | 'udp', address: string, port: number): Promise<string | undefined> {
  const say = (error: NodeJS.ErrnoException): string => {
    if (error.code === 'EADDRINUSE') {
      return `${protocol} port ${port} of ${address} is taken; see who has it with: ss -lnp | grep ':${port} '`;
    }
    if (error.code === 'EADDRNOTAVAIL') {
      return `${address} is no address of this machine; behind a one-to-one NAT run evio server init with --address PUBLIC/LOCAL`;
    }
    return `cannot listen on ${address} ${protocol} port ${port}: ${error.code ?? error.message}`;
  };
  return new Promise((resolve) => {
    if (protocol === 'tcp') {
      const server = createServer();
      server.on('error', (error) => resolve(say(error)));
      server.listen({ port, host: address }, () => server.close(() => resolve(undefined)));
    } else {
      const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4' });
      socket.on('error', (error) => {
        socket.close();
        resolve(say(error));
      });
      socket.bind({ port, address, exclusive: true }, () => socket.close(() => resolve(undefined)));
    }
  });
}
