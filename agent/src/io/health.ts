/** Answers of the agent to probes and to Prometheus: HTTP on the loopback address alone, since the pod has the host's network. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Exposition } from '../metrics/exposition.ts';

export interface HealthState {
  readonly ready: boolean;
  /** One line. */
  readonly message: string;
}

export interface Pages {
  /** `/readyz`: traffic of the node and its pods passes, else 503 and why not. `/livez` says that this process turns. */
  state(): HealthState;
  /** `/metrics`; rejects while the node starts. */
  metrics(): Promise<Exposition>;
}

/** `fix`: what to do when another program has the port. */
export function serveHealth(port: number, pages: Pages, fix: string, report: (message: string) => void): Server {
  const server = createServer((request, response) => {
    if (request.url === '/livez') answer(response, 200, 'ok');
    else if (request.url === '/readyz') {
      const { ready, message } = pages.state();
      answer(response, ready ? 200 : 503, message);
    } else if (request.url === '/metrics')
      pages.metrics().then(
        ({ contentType, text }) => response.writeHead(200, { 'content-type': contentType }).end(text),
        (error: unknown) => answer(response, 503, error instanceof Error ? error.message : String(error)),
      );
    else answer(response, 404, 'there are /livez, /readyz and /metrics');
  });
  // Probes are short and seldom: nobody keeps a connection.
  server.keepAliveTimeout = 1_000;
  server.maxConnections = 16;
  server.on('error', (error: NodeJS.ErrnoException) => {
    const why = error.code === 'EADDRINUSE' ? `another program has it; ${fix}` : (error.code ?? error.message);
    report(`probes are not answered at 127.0.0.1:${port}: ${why}`);
  });
  server.listen(port, '127.0.0.1');
  server.unref();
  return server;
}

/**
 * `/metrics` alone, at addresses of the overlay: the socket is on all addresses, because the overlay's come later and may go, and a
 * connection to any other address is closed unanswered, since a node may have a public one.
 */
export function serveMetrics(
  port: number,
  { metrics, isOwn }: Pick<Pages, 'metrics'> & { readonly isOwn: (address: string) => boolean },
  report: (message: string) => void,
): Server {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') return answer(response, 404, 'there is /metrics');
    metrics().then(
      ({ contentType, text }) => response.writeHead(200, { 'content-type': contentType }).end(text),
      (error: unknown) => answer(response, 503, error instanceof Error ? error.message : String(error)),
    );
  });
  server.on('connection', (socket) => {
    if (!isOwn((socket.localAddress ?? '').replace(/^::ffff:/, ''))) socket.destroy();
  });
  server.keepAliveTimeout = 1_000;
  server.maxConnections = 16;
  server.on('error', (error: NodeJS.ErrnoException) => {
    const why =
      error.code === 'EADDRINUSE'
        ? 'another program has it; give another --metrics-port'
        : (error.code ?? error.message);
    report(`metrics are not answered at port ${port}: ${why}`);
  });
  server.listen(port);
  server.unref();
  return server;
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}
