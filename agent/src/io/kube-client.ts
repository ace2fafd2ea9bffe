/**
 * The agent's client of the API server, on node:https: a few requests, one watch, several addresses to ask. `@kubernetes/client-node`
 * would cost more memory than all the rest of the agent.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { KubeError, retryAfterMs, serverWords } from '../kube/api-error.ts';
import type { Endpoints } from '../kube-api/endpoints.ts';
import { isObject, LineReader, parseObject } from './json-lines.ts';
import { type ServiceAccount, ServiceAccountError } from './service-account.ts';
import { systemReason } from './system-error.ts';

const ANSWER_MS = 10_000;
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;
/** A dead connection is found by the system too, while a watch says nothing. */
const KEEP_ALIVE_MS = 30_000;
/** Every API server's certificate is for this name; it may be reached by addresses that it does not know. */
const SERVER_NAME = 'kubernetes.default.svc';

/** Body types of PATCH (Kubernetes API Concepts). JSON is YAML too. */
export const PATCH = { apply: 'application/apply-patch+yaml', json: 'application/json-patch+json' } as const;

export interface KubeClientOptions {
  readonly endpoints: Endpoints;
  readonly account: ServiceAccount;
  /** The list of addresses that answered has changed. */
  readonly remember: (good: readonly string[]) => void;
  readonly userAgent: string;
}

export interface KubeRequest {
  readonly method: 'GET' | 'PATCH';
  /** With its query. */
  readonly path: string;
  readonly contentType?: string;
  readonly body?: unknown;
}

export interface StreamHandlers {
  line(object: Readonly<Record<string, unknown>>): void;
  ended(): void;
  failed(error: KubeError): void;
}

interface Answer {
  readonly url: string;
  readonly response: IncomingMessage;
}

export class KubeClient {
  readonly #options: KubeClientOptions;
  #agent: Agent | undefined;
  #ca = '';

  constructor(options: KubeClientOptions) {
    this.#options = options;
  }

  /** The answer's JSON. Rejects with KubeError; an address that does not answer gives way to the next, each is tried once. */
  async request(request: KubeRequest): Promise<unknown> {
    const { endpoints } = this.#options;
    for (let tries = endpoints.count; ; tries--) {
      try {
        const answer = await this.#answer(request, ANSWER_MS);
        return this.#read(request, answer, await body(answer.response));
      } catch (error) {
        const failure = this.#failure(request, error);
        if (tries <= 1 || (failure.status !== undefined && failure.status < 500)) throw failure;
      }
    }
  }

  /** A watch: each line an object. What is called afterwards ends it, and nothing of it is told any more. */
  stream(path: string, handlers: StreamHandlers): () => void {
    const request = { method: 'GET', path } as const;
    let over = false;
    let response: IncomingMessage | undefined;
    const end = (tell: () => void) => {
      if (over) return;
      over = true;
      response?.destroy();
      tell();
    };
    const fail = (error: unknown) => end(() => handlers.failed(this.#failure(request, error)));
    void this.#answer(request, ANSWER_MS)
      .then(async (answer) => {
        response = answer.response;
        if (over) {
          response.destroy();
          return;
        }
        if (response.statusCode !== 200) {
          this.#read(request, answer, await body(response));
          return;
        }
        this.#good(answer.url);
        const lines = new LineReader();
        response.on('data', (data: Buffer) => {
          try {
            for (const line of lines.push(data)) {
              if (over) return;
              const object = parseObject(line);
              if (object === undefined) throw new Error('a line that is no JSON object');
              handlers.line(object);
            }
          } catch (error) {
            fail(error);
          }
        });
        response.on('error', fail);
        // Cut in the middle of what it said.
        response.on('aborted', () => fail(new Error('the connection was lost')));
        response.on('end', () => end(() => handlers.ended()));
      }, fail)
      .catch(fail);
    return () => end(() => undefined);
  }

  close(): void {
    this.#agent?.destroy();
  }

  /** The head of the answer, from the address asked now. */
  #answer({ method, path, contentType, body }: KubeRequest, timeoutMs: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { account, endpoints, userAgent } = this.#options;
      const url = endpoints.current;
      // Read anew for each request: neither lives as long as we do.
      const token = account.token();
      const agent = this.#agentOf(account.ca());
      const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const late = setTimeout(() => failed(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
      const request: ClientRequest = httpsRequest(new URL(path, url), {
        method,
        agent,
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          'user-agent': userAgent,
          ...(payload === undefined ? {} : { 'content-type': contentType, 'content-length': payload.length }),
        },
      });
      const failed = (error: Error) => {
        clearTimeout(late);
        endpoints.failed(url);
        request.destroy();
        reject(new AddressError(url, error));
      };
      request.on('error', failed);
      request.on('response', (response) => {
        clearTimeout(late);
        if ((response.statusCode ?? 500) >= 500) endpoints.failed(url);
        resolve({ url, response });
      });
      request.end(payload);
    });
  }

  #agentOf(ca: string): Agent {
    if (this.#agent !== undefined && ca === this.#ca) return this.#agent;
    this.#agent?.destroy();
    this.#ca = ca;
    this.#agent = new Agent({
      ca,
      keepAlive: true,
      keepAliveMsecs: KEEP_ALIVE_MS,
      maxFreeSockets: 1,
      minVersion: 'TLSv1.2',
      checkServerIdentity: isApiServer,
    });
    return this.#agent;
  }

  #read(request: KubeRequest, { url, response }: Answer, text: string): unknown {
    const status = response.statusCode ?? 0;
    const value = json(text);
    if (status >= 200 && status < 300) {
      this.#good(url);
      if (!isObject(value)) throw new Error('an answer that is no JSON object');
      return value;
    }
    const said = isObject(value) && typeof value.message === 'string' ? value.message : text;
    const words = serverWords(said) || (response.statusMessage ?? '');
    throw new KubeError(`${what(request)}: ${status}: ${words}`, status, retryAfterMs(response.headers['retry-after']));
  }

  #good(url: string): void {
    const { endpoints, remember } = this.#options;
    if (endpoints.answered(url)) remember(endpoints.good);
  }

  #failure(request: KubeRequest, error: unknown): KubeError {
    if (error instanceof KubeError) return error;
    // The same whatever was asked, so that it is told once.
    if (error instanceof AddressError) return new KubeError(`API server ${error.url}: ${networkReason(error.cause)}`);
    if (error instanceof ServiceAccountError) return new KubeError(error.message);
    return new KubeError(`${what(request)}: ${serverWords(networkReason(error))}`);
  }
}

class AddressError extends Error {
  readonly url: string;
  constructor(url: string, cause: Error) {
    super(cause.message, { cause });
    this.url = url;
  }
}

/** Without the query, which says nothing to people. */
const what = ({ method, path }: KubeRequest): string => `API server: ${method} ${path.replace(/\?.*$/, '')}`;

function isApiServer(host: string, certificate: PeerCertificate): Error | undefined {
  const error = checkServerIdentity(host, certificate);
  return error === undefined || checkServerIdentity(SERVER_NAME, certificate) === undefined ? undefined : error;
}

function networkReason(error: unknown): string {
  // Node tries all addresses of a name, and wraps what each one said.
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const code = (first as NodeJS.ErrnoException | undefined)?.code;
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connection refused',
    ECONNRESET: 'the connection was lost',
    EHOSTUNREACH: 'no route to the host',
    ENETUNREACH: 'no route to the network',
    ETIMEDOUT: 'no answer',
    ENOTFOUND: 'its name is not known',
    EAI_AGAIN: 'no name server answers',
  };
  if (code !== undefined && words[code] !== undefined) return words[code];
  // OpenSSL's codes are no words; its messages are.
  return first instanceof Error && first.message !== '' ? first.message : systemReason(first);
}

async function body(response: IncomingMessage): Promise<string> {
  const late = setTimeout(() => response.destroy(new Error(`no whole answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
  try {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > ANSWER_MAX_BYTES) throw new Error(`an answer of more than ${ANSWER_MAX_BYTES} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts).toString();
  } finally {
    clearTimeout(late);
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
