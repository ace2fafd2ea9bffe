/**
 * As much of the Kubernetes API as the chart's Jobs need: one request, one answer. The operator's client would be the larger part of
 * them, and they have to work where it does not.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

export interface Question {
  readonly method: 'GET' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** Of the body. */
  readonly type?: 'application/apply-patch+yaml' | 'application/merge-patch+json' | 'application/json';
}

export interface Answer {
  /** 0: there was none. */
  readonly status: number;
  /** Of the object, or of metav1.Status. */
  readonly body: unknown;
  /** Why there was none, or what the API server says is wrong; empty when all is well. */
  readonly message: string;
}

export type Api = (question: Question) => Promise<Answer>;

export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface ApiServer extends Place {
  /** Where it was seen when the chart was installed: asked first, since its Service may need a kube-proxy that is not there yet. */
  readonly seen?: readonly Place[];
  readonly ca: string | Buffer;
  /** Read for every request: the kubelet renews it. */
  readonly token: () => string;
}

const ANSWER_MS = 10_000;
const ANSWER_MAX = 32 * 1024 * 1024;
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What a pod finds of its cluster (kubernetes.io "Accessing the API from within a Pod"). */
export function inCluster(env: NodeJS.ProcessEnv): ApiServer {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || port === undefined)
    throw new Error('KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this runs in a pod');
  return {
    host,
    port: Number(port),
    seen: placesIn(env.EVIO_API_SERVERS_SEEN ?? ''),
    ca: readFileSync(`${ACCOUNT}/ca.crt`),
    token: () => readFileSync(`${ACCOUNT}/token`, 'utf8').trim(),
  };
}

/** Of URLs with commas between. */
export const placesIn = (list: string): readonly Place[] =>
  list
    .split(',')
    .filter((text) => URL.canParse(text))
    .map((text) => new URL(text))
    .map(({ hostname, port }) => ({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 443 }));

/** Every API server's certificate is for this name; it may be reached by addresses that it does not know. */
const SERVER_NAME = 'kubernetes.default.svc';

const isApiServer = (host: string, certificate: PeerCertificate): Error | undefined =>
  checkServerIdentity(SERVER_NAME, certificate) === undefined ? undefined : checkServerIdentity(host, certificate);

/** Never throws for what comes from outside: an answer that is none has status 0, and the next question goes to the next place. */
export function apiOf(server: ApiServer): Api {
  const places: readonly Place[] = [...(server.seen ?? []), server];
  let at = 0;
  return async (question) => {
    const answer = await ask(server, places[at % places.length] ?? server, question);
    if (answer.status === 0) at++;
    return answer;
  };
}

const ask = (server: ApiServer, { host, port }: Place, { method, path, body, type }: Question): Promise<Answer> =>
  new Promise((resolve) => {
    const none = (message: string): void => resolve({ status: 0, body: undefined, message });
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const asked = request(
      {
        host,
        port,
        ca: server.ca,
        checkServerIdentity: isApiServer,
        method,
        path,
        timeout: ANSWER_MS,
        signal: AbortSignal.timeout(3 * ANSWER_MS),
        headers: {
          Accept: 'application/json',
          Authorization: `Bearer ${server.token()}`,
          ...(sent === undefined ? {} : { 'Content-Type': type ?? 'application/json', 'Content-Length': sent.length }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > ANSWER_MAX) asked.destroy(new Error('the answer is too long'));
          else chunks.push(chunk);
        });
        response.on('error', (error) => none(error.message));
        response.on('end', () => resolve(answerOf(response.statusCode ?? 0, Buffer.concat(chunks).toString())));
      },
    );
    asked.on('timeout', () => asked.destroy(new Error(`no answer after ${ANSWER_MS / 1000} s`)));
    asked.on('error', (error) => none(error.message));
    asked.end(sent);
  });

export function answerOf(status: number, text: string): Answer {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { status, body: undefined, message: text.trim().split('\n')[0]?.slice(0, 200) ?? '' };
  }
  const said = (body as { readonly message?: unknown } | null)?.message;
  return { status, body, message: status >= 400 ? String(said ?? `HTTP status ${status}`) : '' };
}
