/**
 * Requests to the API server over node:https, for all who ask it. client-node would cost an agent more memory than all the rest of it,
 * its requests have no end in time, and its watch swallows errors.
 */

import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { Missed } from '../kube-api/client.ts';
import { Endpoints } from '../kube-api/endpoints.ts';
import { type Answer, wordsOf } from '../kube-api/failure.ts';
import { LineReader } from './json-lines.ts';

export interface Access {
  /** URLs of the API servers of one cluster; when one does not answer the next is tried. At least one. */
  readonly servers: readonly string[];
  /**
   * Certificates, headers with credentials, and an agent where a proxy is to be used. Asked for before each request, since tokens and
   * certificates are renewed in their files. What it throws has no credential in its message.
   */
  options(): Promise<RequestOptions>;
}

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
  readonly reason: Missed;
  constructor(reason: Missed, message: string) {
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

export interface ConnectionOptions {
  readonly userAgent?: string;
  /** Addresses that answered in an earlier life, the last one first. */
  readonly remembered?: readonly string[];
  /** The list of addresses that answered has changed. */
  readonly remember?: (good: readonly string[]) => void;
  /** Of one answer, and of one line of a watch. */
  readonly maxAnswerBytes?: number;
}

/** Objects are at most some MiB (etcd's limit and JSON's overhead). */
const LINE_MAX_BYTES = 16 * 1024 * 1024;
const ANSWER_MAX_BYTES = 128 * 1024 * 1024;
const CREDENTIALS_MS = 30_000;

export class Connection {
  readonly #access: Access;
  readonly #options: ConnectionOptions;
  readonly #endpoints: Endpoints;
  readonly #agents = { 'http:': new HttpAgent(KEPT), 'https:': new HttpsAgent(KEPT) };
  readonly #open = new Set<ClientRequest>();
  #closed = false;

  constructor(access: Access, options: ConnectionOptions = {}) {
    this.#access = access;
    this.#options = options;
    this.#endpoints = new Endpoints(access.servers, options.remembered ?? []);
  }

  /** The URL requests go to now. */
  get server(): string {
    return this.#endpoints.current;
  }

  /** Ends what is on its way; every request from now on is refused. */
  close(): void {
    this.#closed = true;
    for (const request of this.#open) request.destroy(CLOSED);
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  /**
   * The answer, whatever its status. Throws a `NoAnswer`. An address that cannot be reached gives way to the next one, each is tried
   * once, all within `timeoutMs`; what must not happen twice is asked once.
   */
  async request(ask: Ask): Promise<Answer> {
    const end = performance.now() + ask.timeoutMs;
    let addresses = this.#endpoints.count;
    for (let mayBeStale = true; ; ) {
      try {
        return await this.#once(ask, end - performance.now());
      } catch (error) {
        if (ask.method === 'POST' || !(error instanceof NoAnswer) || performance.now() >= end) throw error;
        if (error instanceof Stale && mayBeStale) mayBeStale = false;
        else if (error.reason !== 'Unreachable' || --addresses === 0) throw error;
      }
    }
  }

  /** A watch: lines as they come. Returns what ends it, after which no handler is called. Never throws. */
  stream(path: string, timeoutMs: number, handlers: StreamHandlers): () => void {
    const url = this.server;
    let over = false;
    let answered = false;
    let request: ClientRequest | undefined;
    let timer: NodeJS.Timeout | undefined;
    const end = (problem?: NoAnswer | Answer) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      request?.destroy();
      handlers.ended(problem);
    };
    const fail = (error: unknown) => end(this.#noAnswer(error, url, answered || isStale(request, error)));
    this.#requestOptions(url, 'GET', path, {}).then((options) => {
      if (over) return;
      request = this.#send(options);
      timer = setTimeout(() => request?.destroy(LATE), timeoutMs);
      request.on('error', fail);
      request.on('response', (response) => {
        clearTimeout(timer);
        answered = true;
        this.#answered(url, response);
        if (response.statusCode !== 200) {
          this.#gather(response).then(end, fail);
          return;
        }
        handlers.opened();
        const lines = new LineReader(Math.min(LINE_MAX_BYTES, this.#maxAnswerBytes));
        response.on('data', (data: Buffer) => {
          try {
            for (const line of lines.push(data)) if (!over) handlers.line(line);
          } catch (error) {
            end(new NoAnswer('Garbage', `${url}: ${firstLine(error)}`));
          }
        });
        response.on('error', fail);
        response.on('close', () => {
          if (!response.complete) end(new NoAnswer('Unreachable', `${url}: the connection was cut`));
          else if (lines.pending) end(new NoAnswer('Garbage', `${url}: ended in the middle of a line`));
          else end();
        });
      });
      request.end();
    }, fail);
    return () => {
      // Given up before it said anything.
      if (!over && !answered) this.#endpoints.failed(url);
      over = true;
      clearTimeout(timer);
      request?.destroy();
    };
  }

  async #once(ask: Ask, timeoutMs: number): Promise<Answer> {
    const url = this.server;
    const headers = {
      accept: 'application/json',
      ...(ask.body !== undefined && {
        'content-type': ask.contentType ?? 'application/json',
        'content-length': Buffer.byteLength(ask.body),
      }),
    };
    const options = await this.#requestOptions(url, ask.method, ask.path, headers);
    return new Promise((resolve, reject) => {
      const request = this.#send(options);
      const timer = setTimeout(() => request.destroy(LATE), timeoutMs);
      let answered = false;
      const aborted = () => {
        // As of a stream.
        if (!answered) this.#endpoints.failed(url);
        request.destroy(CLOSED);
      };
      ask.signal?.addEventListener('abort', aborted, { once: true });
      const finish = () => {
        clearTimeout(timer);
        ask.signal?.removeEventListener('abort', aborted);
      };
      const fail = (error: unknown) => {
        finish();
        const stale = !answered && isStale(request, error);
        const failure = this.#noAnswer(error, url, stale);
        reject(stale ? new Stale(failure) : failure);
      };
      request.on('error', fail);
      request.on('response', (response) => {
        answered = true;
        this.#gather(response).then((answer) => {
          finish();
          this.#answered(url, response);
          resolve(answer);
        }, fail);
      });
      if (ask.signal?.aborted === true) request.destroy(CLOSED);
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

  /** Throws a `NoAnswer`. */
  async #requestOptions(
    url: string,
    method: string,
    path: string,
    headers: Readonly<Record<string, string | number>>,
  ): Promise<RequestOptions> {
    const options = await this.#credentials();
    if (this.#closed) throw new NoAnswer('Closed', WORDS_OF_CLOSED);
    const { protocol, hostname, port, pathname } = new URL(url);
    return {
      ...options,
      agent: options.agent ?? this.#agents[protocol === 'http:' ? 'http:' : 'https:'],
      method,
      protocol,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      path: `${pathname.replace(/\/$/, '')}${path}`,
      headers: {
        ...(options.headers as Record<string, string>),
        'user-agent': this.#options.userAgent ?? 'evio',
        ...headers,
      },
    };
  }

  async #credentials(): Promise<RequestOptions> {
    if (this.#closed) throw new NoAnswer('Closed', WORDS_OF_CLOSED);
    try {
      // An exec plugin of a kubeconfig may never end.
      return await withTimeout(this.#access.options(), CREDENTIALS_MS);
    } catch (error) {
      const why = error === LATE ? `none came within ${CREDENTIALS_MS / 1000} s` : firstLine(error);
      throw new NoAnswer('NoCredentials', `no credentials: ${why}`);
    }
  }

  get #maxAnswerBytes(): number {
    return this.#options.maxAnswerBytes ?? ANSWER_MAX_BYTES;
  }

  #answered(url: string, { statusCode = 0 }: IncomingMessage): void {
    if (statusCode >= 500) this.#endpoints.failed(url);
    if (statusCode < 200 || statusCode > 299) return;
    if (this.#endpoints.answered(url)) this.#options.remember?.(this.#endpoints.good);
  }

  #gather(response: IncomingMessage): Promise<Answer> {
    return gather(response, this.#maxAnswerBytes);
  }

  /** Of one that does not answer, the next is asked from now on; `keep`: it is none of the address's fault. */
  #noAnswer(error: unknown, url: string, keep: boolean): NoAnswer {
    if (error instanceof NoAnswer) return error;
    if (error === CLOSED) return new NoAnswer('Closed', WORDS_OF_CLOSED);
    if (error === NOT_LEADING) return new NoAnswer('NotLeading', 'this process does not lead: another one acts');
    if (error === TOO_LARGE) return new NoAnswer('Garbage', `${url}: an answer too large for an API server`);
    if (!keep) this.#endpoints.failed(url);
    if (error === LATE)
      return new NoAnswer('NoAnswer', `${url}: no answer in time: see whether the API server is well`);
    return new NoAnswer('Unreachable', wordsOf(error, url));
  }
}

const KEPT = { keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 4 };
const LATE = new Error('late');
const CLOSED = new Error('closed');
const WORDS_OF_CLOSED = 'this process ends';
const NOT_LEADING = new Error('not leading');
const TOO_LARGE = new Error('too large');

/** The server closed a connection that was kept for the next request, just as it was taken for one. */
class Stale extends NoAnswer {
  constructor({ reason, message }: NoAnswer) {
    super(reason, message);
  }
}

const isStale = (request: ClientRequest | undefined, error: unknown): boolean =>
  request?.reusedSocket === true && (error as NodeJS.ErrnoException).code === 'ECONNRESET';

/** A process may be paused while it connects, and would go on with what it meant to say long ago. */
function whenConnected(request: ClientRequest, go: () => void): void {
  request.once('socket', (socket) => {
    if (!socket.connecting) go();
    else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', go);
  });
}

function gather(response: IncomingMessage, maxBytes: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    response.on('data', (data: Buffer) => {
      parts.push(data);
      bytes += data.length;
      if (bytes > maxBytes) response.destroy(TOO_LARGE);
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
