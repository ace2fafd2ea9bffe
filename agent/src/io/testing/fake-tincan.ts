/**
 * A stand-in for tincan that speaks its control and relay sockets and carries no frames: what the agent's adapters are tested against
 * where no interface can be made. It takes a path for used as soon as a record came by it, as tincan does with probes.
 *
 *     node fake-tincan.ts --run-dir DIR
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LineReader, parseObject } from '../json-lines.ts';
import { KIND_CREDIT, RelayBatch, RelayReader } from '../relay-frames.ts';

interface FakeTunnel {
  readonly peer: string;
  readonly port: number;
  note: string;
  webrtcUp: boolean;
  path: 'webrtc' | 'none';
  candidates: readonly string[];
  credit: number;
  rxBytes: number;
}

type Params = Record<string, unknown>;

const PROBE_MS = 100;

export class FakeTincan {
  /** Every request, for tests to look at. */
  readonly requests: { readonly method: string; readonly params: Params }[] = [];
  readonly tunnels = new Map<string, FakeTunnel>();
  readonly #bootId = randomBytes(8).toString('hex');
  readonly #servers: Server[] = [];
  readonly #clients = new Set<Socket>();
  readonly #sockets = new Set<Socket>();
  #relay: Socket | undefined;
  #configured: object | null = null;
  #nextPort = 16;
  #probes: NodeJS.Timeout | undefined;

  async listen(runDir: string): Promise<void> {
    await this.#serve(join(runDir, 'control.sock'), (socket) => this.#control(socket));
    await this.#serve(join(runDir, 'relay.sock'), (socket) => this.#useRelay(socket));
    this.#probes = setInterval(() => this.#probe(), PROBE_MS);
  }

  close(): void {
    clearInterval(this.#probes);
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  event(event: string, data: unknown): void {
    for (const client of this.#clients) client.write(`${JSON.stringify({ event, data })}\n`);
  }

  #serve(path: string, connected: (socket: Socket) => void): Promise<void> {
    rmSync(path, { force: true });
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
      connected(socket);
    });
    this.#servers.push(server);
    return new Promise((resolve) => server.listen(path, resolve));
  }

  #control(socket: Socket): void {
    const lines = new LineReader();
    this.#clients.add(socket);
    socket.on('close', () => this.#clients.delete(socket));
    socket.on('data', (data: string | Buffer) => {
      for (const line of lines.push(data as Buffer)) {
        const { id, method, params } = parseObject(line) ?? {};
        this.requests.push({ method: String(method), params: params as Params });
        socket.write(`${JSON.stringify({ id, ...this.#answer(String(method), params as Params) })}\n`);
        if (method === 'shutdown') setTimeout(() => process.exit(0), 20);
      }
    });
  }

  #answer(method: string, params: Params): object {
    const tunnel = this.tunnels.get(String(params.peer));
    switch (method) {
      case 'hello':
        return {
          result: { version: '0', pid: process.pid, bootId: this.#bootId, uptimeMs: 1, configured: this.#configured },
        };
      case 'configure':
        return { result: {} };
      case 'tunnel-add':
        return { result: { port: this.#add(String(params.peer), String(params.note)).port } };
      case 'tunnels':
        return { result: { tunnels: [...this.tunnels.values()].map(described) } };
      case 'demand':
        return { result: { labels: [] } };
      case 'stats':
        return { result: { counters: { frames: 0 }, rssBytes: 1 } };
      case 'send':
        return { result: { queued: false } };
      case 'ping':
        return { error: { code: 'not-found', message: 'no answer' } };
      case 'tunnel-remove':
        this.tunnels.delete(String(params.peer));
        return { result: {} };
      case 'tunnel-note':
        if (tunnel !== undefined) tunnel.note = String(params.note);
        return { result: {} };
      case 'tunnel-candidates':
        if (tunnel !== undefined) tunnel.candidates = params.candidates as string[];
        return { result: {} };
      case 'tunnel-webrtc':
        if (tunnel === undefined) return { error: { code: 'not-found', message: 'no such tunnel' } };
        tunnel.webrtcUp = params.up === true;
        if (!tunnel.webrtcUp) this.#path(tunnel, 'none');
        return { result: {} };
      case 'members':
        return { result: { accepted: (params.certificates as string[]).length, rejected: [] } };
      default:
        return { result: {} };
    }
  }

  #add(peer: string, note: string): FakeTunnel {
    const known = this.tunnels.get(peer);
    if (known !== undefined) return known;
    const tunnel: FakeTunnel = {
      peer,
      port: this.#nextPort++,
      note,
      webrtcUp: false,
      path: 'none',
      candidates: [],
      credit: 0,
      rxBytes: 0,
    };
    this.tunnels.set(peer, tunnel);
    return tunnel;
  }

  #path(tunnel: FakeTunnel, path: 'webrtc' | 'none'): void {
    if (tunnel.path === path) return;
    tunnel.path = path;
    this.event('tunnel', described(tunnel));
  }

  #useRelay(socket: Socket): void {
    this.#relay?.destroy();
    this.#relay = socket;
    for (const tunnel of this.tunnels.values()) tunnel.credit = 0;
    const byPort = (port: number) => [...this.tunnels.values()].find((tunnel) => tunnel.port === port);
    const reader = new RelayReader({
      record: (port, _chunk, _offset, size) => {
        const tunnel = byPort(port);
        if (tunnel === undefined) return;
        tunnel.rxBytes += size;
        this.#path(tunnel, 'webrtc');
      },
      batch: () => {},
    });
    socket.on('data', (data: string | Buffer) => {
      let rest = data as Buffer;
      // Credits and records come as they were written; only the reader of the agent's own direction refuses credits.
      while (rest.length >= 8) {
        const length = rest.readUInt32BE(0);
        const frame = rest.subarray(0, 8 + length);
        if (frame[6] === KIND_CREDIT) {
          const tunnel = byPort(frame.readUInt16BE(4));
          if (tunnel !== undefined) tunnel.credit += frame.readUInt32BE(8);
        } else {
          reader.space().set(frame);
          reader.filled(frame.length);
        }
        rest = rest.subarray(8 + length);
      }
    });
  }

  #probe(): void {
    for (const tunnel of this.tunnels.values()) {
      if (!tunnel.webrtcUp || tunnel.credit < 66) continue;
      tunnel.credit -= 66;
      const batch = new RelayBatch(tunnel.port, Buffer.alloc(256));
      batch.add(Buffer.alloc(64, 0xc7), 0);
      this.#relay?.write(batch.finish());
    }
  }
}

function described(tunnel: FakeTunnel): object {
  const { credit: _, ...rest } = tunnel;
  return { ...rest, name: '', local: null, remote: null, remoteType: null, rttUs: 1000, lossPpm: 0, adjacent: [] };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const runDir = process.argv[process.argv.indexOf('--run-dir') + 1] ?? '.';
  await new FakeTincan().listen(runDir);
}
