/** Small servers and proxies for rows: they speak real TCP and real DNS. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Listening {
  readonly port: number;
  stop(): void;
}

/** Hands every connection to `serve`. */
export async function listen(serve: (socket: Socket) => void, port = 0): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A proxy that passes everything on, the server's words through `change`. */
export const proxy = (target: number, change: (text: string) => string = (t) => t, port = 0): Promise<Listening> =>
  listen((client) => {
    const server = connect(target, '127.0.0.1');
    server.on('error', () => client.destroy());
    server.on('data', (data: Buffer) => client.write(Buffer.from(change(data.toString('latin1')), 'latin1')));
    server.on('close', () => client.destroy());
    client.on('data', (data) => server.write(data));
    client.on('close', () => server.destroy());
  }, port);

/** A name server that knows no name (RFC 1035 §4.1.1: RCODE 3). */
export async function emptyNameServer(address: string): Promise<Listening> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const answer = Buffer.from(query);
    answer.writeUInt16BE(0x8183, 2);
    socket.send(answer, from.port, from.address);
  });
  socket.bind(53, address);
  await once(socket, 'listening');
  return { port: 53, stop: () => void socket.close() };
}
