/**
 * Requests to the API server over node:https. Where it is and who we are comes from client-node's KubeConfig (kubeconfig, service
 * account, exec plugins); its own requests have no end in time, and its watch swallows errors.
 */

import { existsSync } from 'node:fs';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { LineReader } from '../../../agent/src/io/json-lines.ts';
import { type Answer, wordsOf } from '../kube/failure.ts';

export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** There was no answer, or only a part of one. The message names the server and never a credential. */
export class NoAnswer extends Error {
  readonly reason: 'Unreachable' | 'NoAnswer' | 'Garbage' | 'Closed';
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
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token';

export interface ConnectionOptions {
  /** A kubeconfig; without it KUBECONFIG, then the service account of the pod. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly userAgent?: string;
}

export class Connection {
  readonly server: string;
  readonly #config: KubeConfig;
  readonly #userAgent: string;
  readonly #base: URL;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #open = new Set<ClientRequest>();
  #closed = false;

  private constructor(config: KubeConfig, server: string, userAgent: string) {
    this.#config = config;
    this.server = server;
    this.#userAgent = userAgent;
    this.#base = new URL(server);
    const options = { keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 4 };
    this.#agent = this.#base.protocol === 'http:' ? new HttpAgent(options) : new HttpsAgent(options);
  }

  /** Throws one line when there is no kubeconfig and no service account, or it cannot be used. */
  static load(options: ConnectionOptions = {}): Connection {
    const config = new KubeConfig();
    const file = options.kubeconfig ?? process.env.KUBECONFIG;
    if (file !== undefined && file !== '') {
      try {
        config.loadFromFile(file);
      } catch (error) {
        throw new Error(`cannot read the kubeconfig ${file}: ${firstLine(error)}`);
      }
    } else if (existsSync(SERVICE_ACCOUNT) && process.env.KUBERNETES_SERVICE_HOST !== undefined)
      config.loadFromCluster();
    else
      throw new Error(
        'no API server: this is no pod with a service account; name a kubeconfig (--kubeconfig, KUBECONFIG)',
      );
    if (options.context !== undefined) config.setCurrentContext(options.context);
    return Connection.of(config, options.userAgent);
  }

  static of(config: KubeConfig, userAgent = 'evio-operator'): Connection {
    const server = config.getCurrentCluster()?.server;
    if (server === undefined || !URL.canParse(server))
      throw new Error(`the kubeconfig has no cluster with a server for its context "${config.getCurrentContext()}"`);
    return new Connection(config, server, userAgent);
  }

  /** Ends what is on its way; every request from now on is refused. */
  close(): void {
    this.#closed = true;
    for (const request of this.#open) request.destroy(CLOSED);
    this.#agent.destroy();
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
    this.#options('GET', path, {}).then(
      (options) => {
        if (over) return;
        request = this.#send(options);
        request.on('error', (error) => end(this.#noAnswer(error)));
        request.on('response', (response) => {
          clearTimeout(timer);
          if (response.statusCode !== 200) {
            gather(response).then(end, (error: unknown) => end(this.#noAnswer(error)));
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
          response.on('error', (error) => end(this.#noAnswer(error)));
          response.on('close', () => {
            if (!response.complete) end(new NoAnswer('Unreachable', `${this.server}: the connection was cut`));
            else if (lines.pending) end(new NoAnswer('Garbage', `${this.server}: ended in the middle of a line`));
            else end();
          });
        });
        request.end();
      },
      (error: unknown) => end(this.#noAnswer(error)),
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
    const options = await this.#options(ask.method, ask.path, headers).catch((error: unknown) => {
      throw this.#noAnswer(error);
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
        reject(stale ? new Stale(this.#noAnswer(error)) : this.#noAnswer(error));
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
      request.end(ask.body);
    });
  }

  #send(options: RequestOptions): ClientRequest {
    const request = this.#base.protocol === 'http:' ? httpRequest(options) : httpsRequest(options);
    this.#open.add(request);
    request.once('close', () => this.#open.delete(request));
    return request;
  }

  /** Read anew each time: tokens and certificates are renewed in their files. */
  async #options(
    method: string,
    path: string,
    headers: Readonly<Record<string, string | number>>,
  ): Promise<RequestOptions> {
    if (this.#closed) throw CLOSED;
    const options: RequestOptions = {};
    // An exec plugin may never end.
    await withTimeout(this.#config.applyToHTTPSOptions(options), CREDENTIALS_MS);
    if (this.#closed) throw CLOSED;
    const proxied = this.#config.getCurrentCluster()?.proxyUrl !== undefined;
    const { hostname, port, pathname } = this.#base;
    return {
      ...options,
      // client-node keeps one agent with the first certificate for ever; ours tells certificates apart.
      agent: proxied ? options.agent : this.#agent,
      method,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      path: `${pathname.replace(/\/$/, '')}${path}`,
      headers: { ...(options.headers as Record<string, string>), 'user-agent': this.#userAgent, ...headers },
    };
  }

  #noAnswer(error: unknown): NoAnswer {
    if (error instanceof NoAnswer) return error;
    if (error === LATE)
      return new NoAnswer('NoAnswer', `${this.server}: no answer in time: see whether the API server is well`);
    if (error === CLOSED) return new NoAnswer('Closed', 'this process ends');
    if (error === TOO_LARGE) return new NoAnswer('Garbage', `${this.server}: an answer too large for an API server`);
    return new NoAnswer('Unreachable', wordsOf(error, this.server));
  }
}

const LATE = new Error('late');
const CLOSED = new Error('closed');
const TOO_LARGE = new Error('too large');

class Stale extends NoAnswer {
  constructor({ reason, message }: NoAnswer) {
    super(reason, message);
  }
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
