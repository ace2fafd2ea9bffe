/** One UDP socket that asks STUN servers, each question until it is answered or given up. */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Endpoint, TransactionId } from './endpoint.ts';
import { type Asked, type Binding, bindingRequest, parseBinding } from './stun.ts';

/** As RFC 8489 §6.2.1, shortened: a person waits. */
const PAUSES_MS = [300, 600, 1_200];

export interface Answer {
  readonly binding: Binding;
  readonly from: Endpoint;
  readonly rttMs: number;
}

interface Waiting {
  readonly answered: (answer: Answer) => void;
  sentAt: number;
}

export class UdpSocket {
  readonly #socket: Socket;
  readonly #waiting = new Map<TransactionId, Waiting>();
  /** Datagrams that answer nothing, by the hex of what they hold. */
  readonly #heard = new Map<string, () => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('message', (datagram, from) => this.#received(datagram, { address: from.address, port: from.port }));
  }

  /** `family`: of the servers that it is to ask. Rejects with the system's error. */
  static open(family: 4 | 6): Promise<UdpSocket> {
    const socket = createSocket({ type: family === 6 ? 'udp6' : 'udp4', ipv6Only: family === 6 });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, () => {
        socket.off('error', reject);
        resolve(new UdpSocket(socket));
      });
    });
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** The machine's addresses of this family, with the socket's port. */
  get own(): readonly Endpoint[] {
    const family = this.#socket.address().family === 'IPv6' ? 'IPv6' : 'IPv4';
    return Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter((one) => one.family === family)
      .map(({ address }) => ({ address, port: this.port }));
  }

  /** Undefined: no answer. Rejects with the system's error when it cannot be sent. */
  ask(server: Endpoint, asked: Asked = {}, pauses: readonly number[] = PAUSES_MS): Promise<Answer | undefined> {
    const transaction = randomBytes(12);
    const datagram = bindingRequest(transaction, asked);
    const id = transaction.toString('hex');
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
      };
      const waiting: Waiting = {
        sentAt: 0,
        answered: (answer) => {
          end();
          resolve(answer);
        },
      };
      this.#waiting.set(id, waiting);
      const send = (left: readonly number[]): void => {
        waiting.sentAt = performance.now();
        this.#socket.send(datagram, server.port, server.address, (error) => {
          if (error === null) return;
          end();
          reject(error);
        });
        const [pause, ...rest] = left;
        timer = setTimeout(() => {
          if (rest.length > 0) return send(rest);
          end();
          resolve(undefined);
        }, pause);
      };
      send(pauses);
    });
  }

  /** Sends a request whose answer, or which itself, another socket is to get: see `hears`. */
  throw(to: Endpoint, asked: Asked = {}): TransactionId {
    const transaction = randomBytes(12);
    this.#socket.send(bindingRequest(transaction, asked), to.port, to.address, () => undefined);
    return transaction.toString('hex');
  }

  /** Whether a datagram with this transaction comes within the time. */
  hears(id: TransactionId, withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#heard.delete(id);
        resolve(false);
      }, withinMs);
      this.#heard.set(id, () => {
        clearTimeout(timer);
        this.#heard.delete(id);
        resolve(true);
      });
    });
  }

  close(): void {
    this.#socket.close();
  }

  #received(datagram: Buffer, from: Endpoint): void {
    if (datagram.length >= 20) this.#heard.get(datagram.subarray(8, 20).toString('hex'))?.();
    const binding = parseBinding(datagram);
    const waiting = binding && this.#waiting.get(binding.transaction);
    if (binding === undefined || waiting === undefined) return;
    waiting.answered({ binding, from, rttMs: performance.now() - waiting.sentAt });
  }
}

export const familyOf = (address: string): 4 | 6 => (isIPv6(address) ? 6 : 4);
