/** What a kubelet and a Prometheus ask over HTTP: /healthz, /readyz, /metrics. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemReason } from '../../../agent/src/io/system-error.ts';

export interface ProbeAnswers {
  /** Undefined when all is well, or in one line what is not. A process that is not alive is killed: only what a new start mends belongs here. */
  alive(): string | undefined;
  /** The same; a process that is not ready only gets no requests. */
  ready(): string | undefined;
  /** In Prometheus' text format, and its content type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

const REQUEST_MS = 5_000;
const CONNECTIONS_MAX = 64;

export class Probes {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Throws one line when the port cannot be had. `port` 0 takes a free one. */
  static async listen(host: string, port: number, answers: ProbeAnswers): Promise<Probes> {
    const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
      answer(request, response, answers).catch(() => response.destroy());
    });
    server.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'EADDRINUSE' ? 'something else has this port' : systemReason(error);
        reject(new Error(`cannot listen on ${host} port ${port} for probes and metrics: ${why}`));
      });
      server.listen(port, host, resolve);
    });
    return new Probes(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, answers: ProbeAnswers): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0];
  const send = (status: number, text: string, contentType = 'text/plain; charset=utf-8') => {
    response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
  const probe = (problem: string | undefined) =>
    problem === undefined ? send(200, 'ok\n') : send(503, `${problem}\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') send(405, 'only GET\n');
  else if (path === '/healthz') probe(answers.alive());
  else if (path === '/readyz') probe(answers.ready());
  else if (path === '/metrics') {
    const { text, contentType } = await answers.metrics();
    send(200, text, contentType);
  } else send(404, 'here are /healthz, /readyz and /metrics\n');
}
