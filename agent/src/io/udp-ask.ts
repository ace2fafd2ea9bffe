/** Questions over UDP to one server: repeated until something comes, and what the system says when nothing does. */

import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import type { ServerFact } from '../diagnosis/relays.ts';
import { type TurnCredentials, TurnQuestion } from '../signal/turn.ts';

export type Outcome = ServerFact['outcome'];

/** A request is repeated after these pauses (RFC 8489 §6.2.1); no answer after the last is none. */
const PAUSES_MS = [500, 1_000, 2_000];
/** Where traceroute begins: nobody serves anything there, so that an ICMP message comes back when UDP passes. */
const CLOSED_PORT = 33_434;
const OPEN_MS = 1_000;
const CLOSED_TRIES = 3;
const CLOSED_PAUSE_MS = 250;
/** Something listens, or did before a restart. */
const REFUSED = 'ECONNREFUSED';

interface Step<T> {
  readonly send?: Buffer;
  readonly answer?: T;
}

/** A question as datagrams: what is sent first, and what each datagram that comes leads to. */
export interface Question<T> {
  start(): Buffer;
  receive(datagram: Buffer): Step<T>;
}

/** Resolves a name; throws the system's error. */
export async function addressOf(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host)).address : host;
}

/** Asks a server that is known by its address. `T` with the round trip of its last step, or why there is none. */
export function askUdp<T>(
  address: string,
  port: number,
  question: Question<T>,
  pauses: readonly number[] = PAUSES_MS,
): Promise<
  | { readonly answer: T; readonly rttMs: number }
  | { readonly silent: true; readonly closed: boolean }
  | { readonly unsent: string }
> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    let timer: NodeJS.Timeout | undefined;
    let sentAt = 0;
    // "Connection refused" comes when the server has just been restarted too: only silence to the end counts.
    let closed = false;
    let unsent: string | undefined;
    const note = (error: NodeJS.ErrnoException | null) => {
      if (error === null) return;
      if (error.code === REFUSED) closed = true;
      else unsent = error.code ?? error.message;
    };
    const end = (result: Awaited<ReturnType<typeof askUdp<T>>>, last?: Buffer) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      if (last === undefined) close(socket);
      else socket.send(last, () => close(socket));
      resolve(result);
    };
    const send = (datagram: Buffer, left = pauses) => {
      clearTimeout(timer);
      sentAt = performance.now();
      socket.send(datagram, note);
      const [pause, ...rest] = left;
      timer = setTimeout(() => {
        if (rest.length > 0) send(datagram, rest);
        else end(unsent === undefined ? { silent: true, closed } : { unsent });
      }, pause);
    };
    socket.on('error', note);
    socket.on('message', (datagram) => {
      const rttMs = performance.now() - sentAt;
      const { send: next, answer } = question.receive(datagram);
      if (answer !== undefined) end({ answer, rttMs }, next);
      else if (next !== undefined) send(next);
    });
    // A socket that cannot be had, without a descriptor left, says so by an event alone.
    timer = setTimeout(() => end({ unsent: unsent ?? 'EIO' }), OPEN_MS);
    // Connected: ICMP's answers come back to the socket.
    socket.connect(port, address, (error?: Error) => {
      if (error !== undefined) end({ unsent: (error as NodeJS.ErrnoException).code ?? error.message });
      else send(question.start());
    });
  });
}

/** Whether a TURN server takes these credentials; with the silence of one, whether UDP reaches its host at all. */
export async function askTurn(
  server: { readonly host: string; readonly port: number } & TurnCredentials,
): Promise<Outcome> {
  let address: string;
  try {
    address = await addressOf(server.host);
  } catch (error) {
    return { kind: 'unresolved', code: (error as NodeJS.ErrnoException).code ?? 'ENOTFOUND' };
  }
  const result = await askUdp(address, server.port, new TurnQuestion(server, randomBytes));
  if (!('answer' in result)) return withoutAnswer(address, result);
  const { answer, rttMs } = result;
  return answer.kind === 'taken' ? { kind: 'well', rttMs } : answer;
}

/** What silence means. */
export async function withoutAnswer(
  address: string,
  result: { readonly silent: true; readonly closed: boolean } | { readonly unsent: string },
): Promise<Outcome> {
  if ('unsent' in result) return { kind: 'unsent', code: result.unsent };
  return { kind: 'silent', closed: result.closed, hostReached: result.closed || (await reachesHost(address)) };
}

function close(socket: Socket): void {
  try {
    socket.close();
  } catch {
    // It never was open.
  }
}

/** Whether the host says that nothing listens at a port where nobody should: then UDP passes both ways. */
export function reachesHost(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    let tries = 0;
    let timer: NodeJS.Timeout | undefined;
    let ended = false;
    // The same refusal may come by an event and by what was sent next.
    const end = (reached: boolean) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      close(socket);
      resolve(reached);
    };
    const note = (error: NodeJS.ErrnoException | null) => {
      if (error?.code === REFUSED) end(true);
    };
    const next = () => {
      if (ended) return;
      if (tries++ === CLOSED_TRIES) return end(false);
      socket.send(Buffer.alloc(1), note);
      clearTimeout(timer);
      timer = setTimeout(next, CLOSED_PAUSE_MS);
    };
    socket.on('error', note);
    socket.on('message', () => end(true));
    timer = setTimeout(() => end(false), OPEN_MS);
    socket.connect(CLOSED_PORT, address, (error?: Error) => (error === undefined ? next() : end(false)));
  });
}
