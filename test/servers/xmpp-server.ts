/**
 * A private XMPP server on loopback: own ports, own certificates, own storage, in the foreground, ended by its process id.
 *
 *     const server = await startXmpp('ejabberd');
 *     ... server.service, server.domain, server.ca, server.admin ...
 *     await server.stop();
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestAuthority } from './certificates.ts';

export const DOMAIN = 'evio.test';
export const CONFERENCE = 'conference.evio.test';
export const TURN_SECRET = 'not-a-secret';
const START_TIMEOUT_MS = 15_000;

/** Servers that run, for the case that the tests end without ending them. */
const running = new Set<XmppServer>();
process.on('exit', () => {
  for (const server of running) server.abandon();
});

export interface XmppServerOptions {
  /** A certificate that is no longer valid. */
  readonly expired?: boolean;
  /** Names in the certificate instead of the right ones. */
  readonly names?: readonly string[];
}

/** What a server is made of: files that exist, ports that are free. */
export interface Parts {
  readonly directory: string;
  /** PEM of the authority that signed its certificate. */
  readonly ca: string;
  readonly key: string;
  readonly crt: string;
  readonly port: number;
  readonly directPort: number;
}

export abstract class XmppServer {
  abstract readonly title: string;
  readonly domain = DOMAIN;
  readonly directory: string;
  readonly ca: string;
  readonly admin = { username: 'admin', password: 'admin password' } as const;
  readonly port: number;
  readonly directPort: number;
  #process: ChildProcess | undefined;

  constructor({ directory, ca, port, directPort }: Parts) {
    this.directory = directory;
    this.ca = ca;
    this.port = port;
    this.directPort = directPort;
  }

  /** Direct TLS. */
  get service(): string {
    return `xmpps://127.0.0.1:${this.directPort}`;
  }

  get starttlsService(): string {
    return `xmpp://127.0.0.1:${this.port}`;
  }

  /** Before it starts for the first time; its configuration has been written. */
  prepare(): void {}

  /** The program in the foreground. */
  protected abstract spawn(): ChildProcess;

  abstract log(): string;

  async start(): Promise<void> {
    running.add(this);
    this.#process = this.spawn();
    const until = Date.now() + START_TIMEOUT_MS;
    while (!(await listens(this.port)) || !(await listens(this.directPort))) {
      if (this.#process.exitCode !== null || Date.now() > until)
        throw new Error(`${this.title} did not start:\n${this.log()}`);
      await sleep(50);
    }
  }

  /** As if its machine had lost power: no stream is closed. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** At once, from an `exit` handler. */
  abandon(): void {
    this.#process?.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    running.delete(this);
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await Promise.race([exited, sleep(5_000).then(() => child.kill('SIGKILL'))]);
    await exited;
  }
}

export async function startServer<T extends XmppServer>(
  make: (parts: Parts) => T,
  options: XmppServerOptions,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'evio-xmpp-'));
  const authority = new TestAuthority(directory);
  const { key, crt } = authority.issue('server', options.names ?? [DOMAIN, CONFERENCE], options.expired);
  const [port, directPort] = await freePorts(2);
  if (port === undefined || directPort === undefined) throw new Error('no free port');
  const server = make({ directory, ca: authority.certificate, key, crt, port, directPort });
  try {
    server.prepare();
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** Ports on loopback that nobody has at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  return servers.map((server) => {
    const address = server.address();
    server.close();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
}

async function listens(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
