/** Answers of the agent to the kubelet's probes: HTTP on the loopback address alone, since the pod has the host's network. */
import { createServer, type Server } from 'node:http';

export interface HealthState {
  readonly ready: boolean;
  /** One line. */
  readonly message: string;
}

/** `/livez`: this process turns. `/readyz`: traffic of the node and its pods passes, else 503 and why not. */
export function serveHealth(port: number, state: () => HealthState, report: (message: string) => void): Server {
  const server = createServer((request, response) => {
    const answer = (status: number, text: string) =>
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
    if (request.url === '/livez') answer(200, 'ok');
    else if (request.url === '/readyz') {
      const { ready, message } = state();
      answer(ready ? 200 : 503, message);
    } else answer(404, 'there are /livez and /readyz');
  });
  // Probes are short and seldom: nobody keeps a connection.
  server.keepAliveTimeout = 1_000;
  server.maxConnections = 16;
  server.on('error', (error: NodeJS.ErrnoException) => {
    const why =
      error.code === 'EADDRINUSE'
        ? 'another program has it; give another --health-port'
        : (error.code ?? error.message);
    report(`probes are not answered at 127.0.0.1:${port}: ${why}`);
  });
  server.listen(port, '127.0.0.1');
  server.unref();
  return server;
}
