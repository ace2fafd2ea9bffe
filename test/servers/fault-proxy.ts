/**
 * Stands between a client and an API server and does what networks, load balancers and overloaded servers do: on loopback in clear
 * text to the client, by TLS to the server. Each request is asked for its fault.
 */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type Fault =
  /** Answered here, the server never hears of it. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: number }
  | { readonly kind: 'html' }
  /** The connection is cut before there is an answer. */
  | { readonly kind: 'refuse' }
  /** No answer, ever. */
  | { readonly kind: 'silent' }
  /** After this many bytes of the answer's body: the connection is cut; */
  | { readonly kind: 'reset'; readonly after: number }
  /** the answer ends in order, wherever that is; */
  | { readonly kind: 'truncate'; readonly after: number }
  /** nothing more comes, and nobody says so; */
  | { readonly kind: 'half-open'; readonly after: number }
  /** bytes are put in that are of nobody. */
  | { readonly kind: 'garbage'; readonly after: number }
  /** Each part of the body comes this much later. */
  | { readonly kind: 'slow'; readonly delayMs: number };

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly watch: boolean;
}

export class FaultProxy {
  /** What befalls the next requests. */
  fault: (asked: Asked) => Fault | undefined = () => undefined;
  readonly counts = new Map<string, number>();
  readonly #server: Server;
  readonly #target: URL;
  readonly #ca: string | undefined;
  readonly #sockets = new Set<Socket>();
  /** Answers on their way, with what befalls them from outside. */
  readonly #answers = new Set<(fault: 'reset' | 'half-open') => void>();

  private constructor(server: Server, target: URL, ca: string | undefined) {
    this.#server = server;
    this.#target = target;
    this.#ca = ca;
  }

  /** `ca`: PEM, for an https target. */
  static async start(target: string, ca?: string): Promise<FaultProxy> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    const proxy = new FaultProxy(server, new URL(target), ca);
    server.on('connection', (socket) => {
      proxy.#sockets.add(socket);
      socket.on('close', () => proxy.#sockets.delete(socket));
    });
    server.on('request', (request, response) => void proxy.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Befalls every answer that is on its way now. */
  befall(fault: 'reset' | 'half-open'): void {
    for (const answer of [...this.#answers]) answer(fault);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    const asked = { method: request.method ?? 'GET', path, watch: path.includes('watch=true') };
    const fault = this.fault(asked);
    const name = fault?.kind === 'status' ? String(fault.status) : (fault?.kind ?? 'none');
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    response.on('error', () => {});
    switch (fault?.kind) {
      case 'refuse':
        request.socket.destroy();
        return;
      case 'silent':
        return;
      case 'html':
        response.end('<html>please log in</html>');
        return;
      case 'status': {
        const { status, retryAfter } = fault;
        response.writeHead(status, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) });
        response.end(
          JSON.stringify({ kind: 'Status', code: status, message: 'a fault of the test', reason: REASONS[status] }),
        );
        return;
      }
      default:
        await this.#pass(request, response, fault);
    }
  }

  async #pass(request: IncomingMessage, response: ServerResponse, fault: Fault | undefined): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return;
    }
    const send = this.#target.protocol === 'https:' ? httpsRequest : httpRequest;
    const { host: _, connection: __, ...headers } = request.headers;
    const upstream = send(new URL(request.url ?? '/', this.#target), {
      method: request.method,
      headers,
      agent: false,
      ...(this.#ca !== undefined && { ca: this.#ca }),
    });
    let muted = false;
    const befall = (what: 'reset' | 'half-open') => {
      this.#answers.delete(befall);
      muted = true;
      upstream.destroy();
      if (what === 'reset') request.socket.destroy();
    };
    this.#answers.add(befall);
    response.on('close', () => {
      this.#answers.delete(befall);
      upstream.destroy();
    });
    upstream.on('error', () => {
      if (!muted) request.socket.destroy();
    });
    upstream.on('response', (answer) => {
      const { 'transfer-encoding': ___, connection: ____, ...passed } = answer.headers;
      // A length would tell of what is cut off here.
      if (fault !== undefined) delete passed['content-length'];
      response.writeHead(answer.statusCode ?? 502, passed);
      response.flushHeaders();
      answer.on('error', () => {
        if (!muted) request.socket.destroy();
      });
      void this.#body(answer, response, fault, () => muted, befall);
    });
    upstream.end(Buffer.concat(parts));
  }

  async #body(
    answer: IncomingMessage,
    response: ServerResponse,
    fault: Fault | undefined,
    muted: () => boolean,
    befall: (what: 'reset' | 'half-open') => void,
  ): Promise<void> {
    let passed = 0;
    try {
      for await (const data of answer) {
        const part = data as Buffer;
        if (muted()) return;
        if (fault?.kind === 'slow') await sleep(fault.delayMs);
        const left = fault !== undefined && 'after' in fault ? fault.after - passed : Number.POSITIVE_INFINITY;
        passed += part.length;
        if (left >= part.length) {
          response.write(part);
          continue;
        }
        response.write(part.subarray(0, Math.max(0, left)));
        if (fault?.kind === 'garbage') {
          response.write('\u0000{"type":"ADDED","obj');
          response.write(part.subarray(Math.max(0, left)));
        } else {
          if (fault?.kind === 'truncate') response.end();
          // What was written is to arrive before the connection is cut.
          if (fault?.kind === 'reset') await sleep(5);
          befall(fault?.kind === 'reset' ? 'reset' : 'half-open');
          return;
        }
      }
      if (!muted()) response.end();
    } catch {
      // The server's connection broke: so does the client's.
    }
  }
}

const REASONS: Readonly<Record<number, string>> = {
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
};
