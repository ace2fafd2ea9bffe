/** The pod that answers: HTTP and UDP echo on one port. It keeps nothing and does nothing by itself. */
import { createSocket } from 'node:dgram';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { plainAddress } from './address.ts';
import { PORT } from './order.ts';

const BODY_MAX = 1024 * 1024;
const STREAM_MAX_S = 60;
const PIECE = Buffer.alloc(256 * 1024, 'evio ');

/** Until SIGTERM. `port`: 0 takes a free one. */
export async function answer(node: string, port: number = PORT): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((asked, answered) => respond(node, asked, answered));
  await new Promise<void>((done, fail) => server.once('error', fail).listen(port, '::', done));
  const bound = (server.address() as { readonly port: number }).port;
  const echo = createSocket({ type: 'udp6' });
  // Who sent it may be gone by now.
  echo.on('message', (data, from) => echo.send(data, from.port, from.address, () => undefined));
  await new Promise<void>((done, fail) => echo.once('error', fail).bind(bound, done));
  return {
    port: bound,
    close() {
      server.closeAllConnections();
      server.close();
      echo.close();
    },
  };
}

function respond(node: string, asked: IncomingMessage, answered: ServerResponse): void {
  asked.on('error', () => undefined);
  const url = new URL(asked.url ?? '/', 'http://probe');
  if (url.pathname === '/body') void echoBody(asked, answered);
  else if (url.pathname === '/stream') stream(Number(url.searchParams.get('seconds')), answered);
  else if (url.pathname === '/') {
    const client = plainAddress(asked.socket.remoteAddress ?? '');
    answered.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
    answered.end(JSON.stringify({ node, client }));
  } else answered.writeHead(404).end();
}

/** What was sent comes back. */
async function echoBody(asked: IncomingMessage, answered: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of asked as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > BODY_MAX) {
        answered.writeHead(413, { connection: 'close' }).end();
        return;
      }
      parts.push(part);
    }
  } catch {
    return; // It was cut: nobody waits for an answer.
  }
  answered.writeHead(200, { connection: 'close' }).end(Buffer.concat(parts));
}

/** As much as goes through in that time. */
function stream(seconds: number, answered: ServerResponse): void {
  if (!(seconds > 0 && seconds <= STREAM_MAX_S)) {
    answered.writeHead(400).end();
    return;
  }
  const end = performance.now() + seconds * 1000;
  answered.writeHead(200, { connection: 'close' });
  const more = (): void => {
    while (performance.now() < end) if (!answered.write(PIECE)) return void answered.once('drain', more);
    answered.end();
  };
  more();
}
