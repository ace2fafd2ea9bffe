/** Requests to the API server over node:https. client-node's own have no end in time, and its watch swallows errors. */

import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { LineReader } from '../../../agent/src/io/json-lines.ts';
import { type Answer, wordsOf } from '../kube/failure.ts';
import type { Access } from './access.ts';

export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Asked when the connection is there, right before the request is written; false refuses it. */
  readonly may?: (() => boolean) | undefined;
}

/** There was no answer, or only a part of one. The message names the server and never a credential. */
export class NoAnswer extends Error {
  readonly reason: 'Unreachable' | 'NoAnswer' | 'Garbage' | 'Closed' | 'NotLeading';
  constructor(reason: NoAnswer['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface StreamHandlers {
  opened(): void;
  line(line: string): void;
  /** Nothing comes after it. Without `problem` the server ended the answer in order; an answer that is not 200 is given as it is. */
  ended(problem?: NoAnswer | Answer): void;
}

/** Objects are at most some MiB (etcd's limit and JSON's overhead). */
const LINE_MAX_BYTES = 16 * 1024 * 1024;
const ANSWER_MAX_BYTES = 128 * 1024 * 1024;
const CREDENTIALS_MS = 30_000;

export class Connection {
  readonly #access: Access;
  readonly #userAgent: string;
  readonly #agents = { 'http:': new HttpAgent(KEPT), 'https:': new HttpsAgent(KEPT) };
  readonly #open = new Set<ClientRequest>();
  /** Which of the servers is asked. */
  #at = 0;
  #closed = false;

  constructor(access: Access, userAgent = 'evio-operator') {
    this.#access = access;
    this.#userAgent = userAgent;
  }

  /** The URL requests go to now. */
  get server(): string {
    return this.#server(this.#at);
  }

  #server(at: number): string {
    const { servers } = this.#access;
    return servers[at % servers.length] ?? '';
  }

  /** Ends what is on its way; every request from now on is refused. */
  close(): void {
    this.#closed = true;
    for (const request of this.#open) request.destroy(CLOSED);
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  /** The answer, whatever its status. Throws a `NoAnswer`. */
  async request(ask: Ask): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once(ask);
      } catch (error) {
        // The server closed a connection that was kept for the next request, just as it was taken for one.
        if (error instanceof Stale && ask.method !== 'POST' && attempt === 0) continue;
        throw error;
      }
    }
  }

  /** A watch: lines as they come. Returns what ends it, after which no handler is called. Never throws. */
  stream(path: string, timeoutMs: number, handlers: StreamHandlers): () => void {
    let over = false;
    let request: ClientRequest | undefined;
    const timer = setTimeout(() => request?.destroy(LATE), timeoutMs);
    const end = (problem?: NoAnswer | Answer) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      request?.destroy();
      handlers.ended(problem);
    };
    const asked = this.#at;
    this.#options(asked, 'GET', path, {}).then(
      (options) => {
        if (over) return;
        request = this.#send(options);
        request.on('error', (error) => end(this.#noAnswer(error, asked)));
        request.on('response', (response) => {
          clearTimeout(timer);
          if (response.statusCode !== 200) {
            gather(response).then(end, (error: unknown) => end(this.#noAnswer(error, asked)));
            return;
          }
          handlers.opened();
          const lines = new LineReader(LINE_MAX_BYTES);
          response.on('data', (data: Buffer) => {
            try {
              for (const line of lines.push(data)) if (!over) handlers.line(line);
            } catch (error) {
              end(new NoAnswer('Garbage', `${this.server}: ${firstLine(error)}`));
            }
          });
          response.on('error', (error) => end(this.#noAnswer(error, asked)));
          response.on('close', () => {
            if (!response.complete) end(new NoAnswer('Unreachable', `${this.server}: the connection was cut`));
            else if (lines.pending) end(new NoAnswer('Garbage', `${this.server}: ended in the middle of a line`));
            else end();
          });
        });
        request.end();
      },
      (error: unknown) => end(this.#noAnswer(error, asked)),
    );
    return () => {
      over = true;
      clearTimeout(timer);
      request?.destroy();
    };
  }

  async #once(ask: Ask): Promise<Answer> {
    const headers = {
      accept: 'application/json',
      ...(ask.body !== undefined && {
        'content-type': ask.contentType ?? 'application/json',
        'content-length': Buffer.byteLength(ask.body),
      }),
    };
    const asked = this.#at;
    const options = await this.#options(asked, ask.method, ask.path, headers).catch((error: unknown) => {
      throw this.#noAnswer(error, asked);
    });
    return new Promise((resolve, reject) => {
      const request = this.#send(options);
      const timer = setTimeout(() => request.destroy(LATE), ask.timeoutMs);
      const aborted = () => request.destroy(CLOSED);
      ask.signal?.addEventListener('abort', aborted, { once: true });
      const finish = () => {
        clearTimeout(timer);
        ask.signal?.removeEventListener('abort', aborted);
      };
      const fail = (error: unknown) => {
        finish();
        const stale = !answered && request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
        reject(stale ? new Stale(this.#noAnswer(error, asked)) : this.#noAnswer(error, asked));
      };
      let answered = false;
      request.on('error', fail);
      request.on('response', (response) => {
        answered = true;
        gather(response).then((answer) => {
          finish();
          resolve(answer);
        }, fail);
      });
      if (ask.signal?.aborted === true) aborted();
      whenConnected(request, () => {
        if (ask.may?.() === false) request.destroy(NOT_LEADING);
        else request.end(ask.body);
      });
    });
  }

  #send(options: RequestOptions): ClientRequest {
    const request = options.protocol === 'http:' ? httpRequest(options) : httpsRequest(options);
    this.#open.add(request);
    request.once('close', () => this.#open.delete(request));
    return request;
  }

  async #options(
    asked: number,
    method: string,
    path: string,
    headers: Readonly<Record<string, string | number>>,
  ): Promise<RequestOptions> {
    if (this.#closed) throw CLOSED;
    // An exec plugin of a kubeconfig may never end.
    const options = await withTimeout(this.#access.options(), CREDENTIALS_MS);
    if (this.#closed) throw CLOSED;
    const { protocol, hostname, port, pathname } = new URL(this.#server(asked));
    return {
      ...options,
      agent: options.agent ?? this.#agents[protocol === 'http:' ? 'http:' : 'https:'],
      method,
      protocol,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      path: `${pathname.replace(/\/$/, '')}${path}`,
      headers: { ...(options.headers as Record<string, string>), 'user-agent': this.#userAgent, ...headers },
    };
  }

  /** Of one that does not answer, the next is asked from now on: once, however many requests were on their way to it. */
  #noAnswer(error: unknown, asked: number): NoAnswer {
    if (error instanceof NoAnswer) return error;
    const server = this.#server(asked);
    if (error === CLOSED) return new NoAnswer('Closed', 'this process ends');
    if (error === NOT_LEADING) return new NoAnswer('NotLeading', 'this process does not lead: another one acts');
    if (error === TOO_LARGE) return new NoAnswer('Garbage', `${server}: an answer too large for an API server`);
    if (this.#at === asked) this.#at++;
    if (error === LATE)
      return new NoAnswer('NoAnswer', `${server}: no answer in time: see whether the API server is well`);
    return new NoAnswer('Unreachable', wordsOf(error, server));
  }
}

const KEPT = { keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 4 };
const LATE = new Error('late');
const CLOSED = new Error('closed');
const NOT_LEADING = new Error('not leading');
const TOO_LARGE = new Error('too large');

class Stale extends NoAnswer {
  constructor({ reason, message }: NoAnswer) {
    super(reason, message);
  }
}

/** A process may be paused while it connects, and would go on with what it meant to say long ago. */
function whenConnected(request: ClientRequest, go: () => void): void {
  request.once('socket', (socket) => {
    if (!socket.connecting) go();
    else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', go);
  });
}

function gather(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    response.on('data', (data: Buffer) => {
      parts.push(data);
      bytes += data.length;
      if (bytes > ANSWER_MAX_BYTES) response.destroy(TOO_LARGE);
    });
    response.on('error', reject);
    response.on('close', () => {
      if (!response.complete) reject(Object.assign(new Error('cut'), { code: 'ECONNRESET' }));
      const retryAfter = response.headers['retry-after'];
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8'), retryAfter });
    });
  });
}

async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(LATE), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]?.slice(0, 200) ?? '';
