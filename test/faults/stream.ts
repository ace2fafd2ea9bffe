/**
 * A TCP connection that stays: the client sends numbered blocks at a steady pace, the server sends back what it gets, and the
 * client checks every byte. It tells whether the connection lived, and how long it stood still at most.
 */
import { connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Pair } from '../demo/measure.ts';
import { collect, sleep } from '../demo/shell.ts';

const SELF = fileURLToPath(import.meta.url);
const BLOCK_BYTES = 1_000;
const EVERY_MS = 20;

export interface Stream {
  readonly pair: Pair;
  /** Ends the connection and says how it fared. */
  finish(): Promise<Fared>;
}

export interface Fared {
  /** Connected, every byte as sent, and bytes still came back in the last second. */
  readonly alive: boolean;
  readonly bytesBack: number;
  /** The longest time in which nothing came back. */
  readonly longestStallMs: number;
  /** Why it ended, or undefined. */
  readonly error?: string;
}

/** Opens a connection over the overlay; it carries 50 kB/s each way until it is finished. */
export async function openStream(pair: Pair, port: number): Promise<Stream> {
  const server = collect(pair.to.name, process.execPath, SELF, 'server', pair.to.ipv4, String(port));
  await sleep(500);
  const client = collect(pair.from.name, process.execPath, SELF, 'client', pair.to.ipv4, String(port));
  return {
    pair,
    finish: async () => {
      client.child.kill('SIGTERM');
      const printed = await client.output;
      server.child.kill('SIGTERM');
      await server.output;
      try {
        return JSON.parse(printed) as Fared;
      } catch {
        return {
          alive: false,
          bytesBack: 0,
          longestStallMs: Number.POSITIVE_INFINITY,
          error: 'the client ended early',
        };
      }
    },
  };
}

function serve(address: string, port: number): void {
  createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  }).listen(port, address);
}

/** Byte `at` of the stream, so that loss, repetition or exchange of anything but 251 bytes shows. */
const byteAt = (at: number): number => at % 251;

function ask(address: string, port: number): void {
  let bytesSent = 0;
  let bytesBack = 0;
  let lastAt: number | undefined;
  let longestStallMs = 0;
  let error: string | undefined;
  const socket: Socket = connect({ host: address, port, noDelay: true });
  const timer = setInterval(() => {
    // What stands still is not filled up without end.
    if (socket.connecting || socket.writableLength > 1 << 20) return;
    const start = bytesSent;
    socket.write(Buffer.from(Array.from({ length: BLOCK_BYTES }, (_, i) => byteAt(start + i))));
    bytesSent += BLOCK_BYTES;
  }, EVERY_MS);
  const stalled = (): number => (lastAt === undefined ? 0 : performance.now() - lastAt);
  socket.on('data', (data) => {
    for (let i = 0; i < data.length; i++) {
      if (data[i] === byteAt(bytesBack + i)) continue;
      error ??= `byte ${bytesBack + i} came back as another`;
      break;
    }
    bytesBack += data.length;
    longestStallMs = Math.max(longestStallMs, stalled());
    lastAt = performance.now();
  });
  socket.on('error', (cause) => {
    error ??= cause.message;
  });
  socket.on('close', () => {
    error ??= 'closed by the other end';
    clearInterval(timer);
  });
  process.on('SIGTERM', () => {
    longestStallMs = Math.max(longestStallMs, stalled());
    const alive = error === undefined && lastAt !== undefined && stalled() < 1_000;
    process.stdout.write(JSON.stringify({ alive, bytesBack, longestStallMs, ...(error && { error }) }), () =>
      process.exit(0),
    );
  });
  // Outlives a closed connection, to tell of it.
  setInterval(() => undefined, 1_000);
}

if (process.argv[1] === SELF) {
  const [, , role, address = '', port = ''] = process.argv;
  if (role === 'server') serve(address, Number(port));
  else ask(address, Number(port));
}
