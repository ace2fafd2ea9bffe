/**
 * The map over HTTP: the page, `/api/map` (a Snapshot), `/api/events` (its Steps as server-sent events), `/api/route?from=A&to=B` (a
 * Route). Nothing can be changed by it; whoever has the key of `traces` may have frames sent. docs/map.md has the paths for programs.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import type { Step } from '../feed.ts';
import type { TraceShown } from '../model.ts';
import type { Assets } from './assets.ts';
import type { Live } from './live.ts';

export interface MapServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly assets: Assets;
  readonly live: Live;
  /** Names under which browsers may ask, besides addresses and `localhost`: others would be a page of somebody else's that had its name lead here. */
  readonly names?: readonly string[];
  /** `POST /api/trace` {from, to}, for who shows the key: each makes nodes send some frames. Without it there are none. */
  readonly traces?: {
    readonly key: string;
    /** Rejects in one line. */
    run(from: string, to: string): Promise<TraceShown>;
  };
  /** Pages that listen at once; default 32. */
  readonly listenersMax?: number;
}

const REQUEST_MS = 5_000;
const CONNECTIONS_MAX = 128;
const LISTENERS_MAX = 32;
/** A page that does not take what it is told is let go: it comes again and starts anew. */
const UNSENT_MAX = 8 * 1024 * 1024;
/** So that what stands between does not take a quiet connection for a dead one. */
const HEARTBEAT_MS = 15_000;

const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-cache',
} as const;

const zipped = promisify(gzip);
const TRACE_PATH = '/api/trace';
/** Two names of members, at most. */
const TRACE_BYTES_MAX = 1_000;

interface Body {
  readonly type: string;
  readonly text: string;
  /** For If-None-Match. */
  readonly tag: string;
}

export class MapServer {
  readonly #server: Server;
  readonly #live: Live;
  readonly #names: ReadonlySet<string>;
  readonly #listenersMax: number;
  readonly #pages: ReadonlyMap<string, Body>;
  readonly #listeners = new Set<ServerResponse>();
  readonly #heartbeat: NodeJS.Timeout;
  readonly #traces: MapServerOptions['traces'];
  #tracing = false;
  /** Of the last snapshot: many pages ask for the same. */
  #snapshot: Body | undefined;
  #zipped: { readonly body: Body; readonly bytes: Promise<Buffer> } | undefined;

  /** Throws one line when the port cannot be had. */
  static async listen(options: MapServerOptions): Promise<MapServer> {
    const made = new MapServer(options);
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      made.#server.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'EADDRINUSE' ? 'something else has this port' : systemReason(error);
        clearInterval(made.#heartbeat);
        reject(new Error(`cannot listen on ${host} port ${port} for the map: ${why}`));
      });
      made.#server.listen(port, host, resolve);
    });
    return made;
  }

  private constructor({ assets, live, names = [], listenersMax = LISTENERS_MAX, traces }: MapServerOptions) {
    this.#live = live;
    this.#traces = traces;
    this.#names = new Set(['localhost', ...names.map((name) => name.toLowerCase())]);
    this.#listenersMax = listenersMax;
    this.#pages = new Map(
      Object.entries(assets).map(([path, { type, text }]) => [
        path,
        { type, text, tag: createHash('sha256').update(text).digest('hex').slice(0, 16) },
      ]),
    );
    this.#server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#heartbeat = setInterval(() => this.#tell(': alive\n\n'), HEARTBEAT_MS).unref();
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Listeners are told to come again in a while, for the case that another process takes over. */
  close(): void {
    clearInterval(this.#heartbeat);
    for (const response of this.#listeners) response.end('retry: 3000\n\n');
    this.#listeners.clear();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const say = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): void => {
      const body = `${text}\n`;
      response.writeHead(status, {
        ...HEADERS,
        'content-type': 'text/plain; charset=utf-8',
        'content-length': Buffer.byteLength(body),
        ...headers,
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (request.method === 'POST' && request.url === TRACE_PATH && this.#traces !== undefined) {
      if (!this.#mayAsk(request.headers.host)) return say(421, 'the map does not answer to this name');
      const { status, text, type } = await this.#trace(request, this.#traces);
      return say(status, text, type === undefined ? {} : { 'content-type': type });
    }
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return say(405, 'the map is read only: GET and HEAD', { allow: 'GET, HEAD' });
    if (!this.#mayAsk(request.headers.host))
      return say(
        421,
        'the map does not answer to this name: ask by address, or allow the name (operator.mapNames of the chart, evio dashboard --allow-name)',
      );
    const url = URL.parse(request.url ?? '', 'http://map');
    if (url === null) return say(400, 'this is no path');
    const page = this.#pages.get(url.pathname);
    if (page !== undefined) return this.#send(request, response, page);
    switch (url.pathname) {
      case '/api/map':
        return this.#send(request, response, await this.#whole());
      case '/api/events':
        if (request.method === 'HEAD') return say(405, 'only GET', { allow: 'GET' });
        if (this.#listeners.size >= this.#listenersMax)
          return say(503, `${this.#listenersMax} pages listen already; ask /api/map from time to time`, {
            'retry-after': '10',
          });
        return this.#listen(response, request.headers['last-event-id']?.toString() ?? url.searchParams.get('since'));
      case '/api/route': {
        const [from, to] = [url.searchParams.get('from') ?? '', url.searchParams.get('to') ?? ''];
        const route = this.#live.route(from, to);
        if (route === undefined) return say(404, 'from and to are to be the names of two members');
        const text = JSON.stringify(route);
        return this.#send(request, response, { type: 'application/json', text, tag: '' });
      }
      default:
        return say(404, 'here are /, /api/map, /api/events and /api/route');
    }
  }

  /** A page elsewhere cannot show the key: it knows none, and a browser does not send this header for it. */
  async #trace(
    request: IncomingMessage,
    { key, run }: NonNullable<MapServerOptions['traces']>,
  ): Promise<{ readonly status: number; readonly text: string; readonly type?: string }> {
    const digest = (text: string) => createHash('sha256').update(text).digest();
    const shown = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!timingSafeEqual(digest(shown), digest(key)))
      return { status: 401, text: 'for traces open the address that "evio dashboard --trace" prints' };
    const ends = await endsIn(request);
    if (ends === undefined) return { status: 400, text: 'from and to are to be the names of two members' };
    if (this.#tracing) return { status: 429, text: 'a trace runs already' };
    this.#tracing = true;
    try {
      return { status: 200, text: JSON.stringify(await run(ends.from, ends.to)), type: 'application/json' };
    } catch (error) {
      return { status: 502, text: error instanceof Error ? error.message : String(error) };
    } finally {
      this.#tracing = false;
    }
  }

  /** A page elsewhere could have its own name lead to this address and then read what is here (DNS rebinding): it asks by that name. */
  #mayAsk(host: string | undefined): boolean {
    const name = URL.parse(`http://${host ?? ''}`)?.hostname.toLowerCase();
    if (name === undefined) return false;
    return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || this.#names.has(name);
  }

  async #whole(): Promise<Body> {
    const snapshot = await this.#live.snapshot();
    const tag = snapshot.version;
    if (this.#snapshot?.tag !== tag) this.#snapshot = { type: 'application/json', text: JSON.stringify(snapshot), tag };
    return this.#snapshot;
  }

  async #send(request: IncomingMessage, response: ServerResponse, body: Body): Promise<void> {
    const { type, text, tag } = body;
    const headers = { ...HEADERS, ...(tag === '' ? {} : { etag: `"${tag}"` }), vary: 'accept-encoding' };
    const known = request.headers['if-none-match'] ?? '';
    if (tag !== '' && known.split(',').some((one) => one.trim().replace(/^W\//, '') === `"${tag}"`)) {
      response.writeHead(304, headers).end();
      return;
    }
    const zip = text.length > 1_000 && /\bgzip\b/.test(request.headers['accept-encoding']?.toString() ?? '');
    const bytes = zip ? await this.#zip(body) : Buffer.from(text);
    response.writeHead(200, {
      ...headers,
      'content-type': type,
      'content-length': bytes.length,
      ...(zip ? { 'content-encoding': 'gzip' } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  #zip(body: Body): Promise<Buffer> {
    if (this.#zipped?.body !== body) this.#zipped = { body, bytes: zipped(body.text, { level: 3 }) };
    return this.#zipped.bytes;
  }

  #listen(response: ServerResponse, since: string | null): void {
    response.writeHead(200, {
      ...HEADERS,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
    });
    const steps = this.#live.since(since ?? '');
    response.write(
      steps === undefined
        ? 'retry: 3000\nevent: reset\ndata: {}\n\n'
        : `retry: 3000\n\n${steps.map(stepText).join('')}`,
    );
    const end = this.#live.listen((step) => this.#tellOne(response, stepText(step)));
    this.#listeners.add(response);
    response.on('close', () => {
      end();
      this.#listeners.delete(response);
    });
  }

  #tell(text: string): void {
    for (const response of this.#listeners) this.#tellOne(response, text);
  }

  #tellOne(response: ServerResponse, text: string): void {
    if (response.writableLength > UNSENT_MAX) response.destroy();
    else response.write(text);
  }
}

async function endsIn(request: IncomingMessage): Promise<{ readonly from: string; readonly to: string } | undefined> {
  let text = '';
  for await (const part of request) {
    text += String(part);
    if (text.length > TRACE_BYTES_MAX) return undefined;
  }
  try {
    const { from, to } = JSON.parse(text) as { readonly from?: unknown; readonly to?: unknown };
    return typeof from === 'string' && typeof to === 'string' && from !== '' && to !== '' ? { from, to } : undefined;
  } catch {
    return undefined;
  }
}

/** JSON has no line ends of its own. */
const stepText = (step: Step): string => `id: ${step.version}\nevent: step\ndata: ${JSON.stringify(step)}\n\n`;
