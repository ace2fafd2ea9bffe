/**
 * A private Prosody on loopback: own ports, own certificates, own storage, in the foreground, ended by its process id.
 *
 *     const prosody = await startProsody();
 *     ... prosody.service, prosody.domain, prosody.ca, prosody.admin ...
 *     await prosody.stop();
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestAuthority } from './certificates.ts';

export const DOMAIN = 'evio.test';
export const CONFERENCE = 'conference.evio.test';
const TURN_SECRET = 'not-a-secret';
const START_TIMEOUT_MS = 15_000;

/** Servers that run, for the case that the tests end without ending them. */
const running = new Set<Prosody>();
process.on('exit', () => {
  for (const prosody of running) prosody.abandon();
});

export interface ProsodyOptions {
  /** Lines for the end of the host's configuration. */
  readonly extra?: string;
  /** A certificate that is no longer valid. */
  readonly expired?: boolean;
  /** Names in the certificate instead of the right ones. */
  readonly names?: readonly string[];
}

export class Prosody {
  readonly domain = DOMAIN;
  readonly directory: string;
  /** PEM of the authority that signed its certificate. */
  readonly ca: string;
  readonly admin = { username: 'admin', password: 'admin password' } as const;
  readonly port: number;
  readonly directPort: number;
  #process: ChildProcess | undefined;

  constructor(directory: string, ca: string, port: number, directPort: number) {
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

  get #config(): string {
    return join(this.directory, 'prosody.cfg.lua');
  }

  register(username: string, password: string): void {
    execFileSync('prosodyctl', ['--root', '--config', this.#config, 'register', username, DOMAIN, password], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  async start(): Promise<void> {
    running.add(this);
    this.#process = spawn('prosody', ['--root', '-F', '--config', this.#config], { stdio: 'ignore' });
    const until = Date.now() + START_TIMEOUT_MS;
    while (!(await listens(this.port)) || !(await listens(this.directPort))) {
      if (this.#process.exitCode !== null || Date.now() > until)
        throw new Error(`Prosody did not start:\n${this.log()}`);
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

  log(): string {
    try {
      return readFileSync(join(this.directory, 'prosody.log'), 'utf8');
    } catch {
      return '';
    }
  }
}

export async function startProsody(options: ProsodyOptions = {}): Promise<Prosody> {
  const directory = mkdtempSync(join(tmpdir(), 'evio-prosody-'));
  const authority = new TestAuthority(directory);
  const { key, crt } = authority.issue('server', options.names ?? [DOMAIN, CONFERENCE], options.expired);
  const [port, directPort] = await freePorts(2);
  if (port === undefined || directPort === undefined) throw new Error('no free port');
  const prosody = new Prosody(directory, authority.certificate, port, directPort);
  writeFileSync(join(directory, 'prosody.cfg.lua'), configuration(prosody, key, crt, options.extra ?? ''));
  try {
    prosody.register(prosody.admin.username, prosody.admin.password);
    await prosody.start();
  } catch (error) {
    await prosody.stop();
    throw error;
  }
  return prosody;
}

function configuration(p: Prosody, key: string, crt: string, extra: string): string {
  return `
run_as_root = true
pidfile = "${p.directory}/prosody.pid"
data_path = "${p.directory}"
log = { debug = "${p.directory}/prosody.log" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${p.port} }
c2s_direct_tls_ports = { ${p.directPort} }
s2s_ports = {}
http_ports = {}
https_ports = {}
admins = { "${p.admin.username}@${DOMAIN}" }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "admin_adhoc", "external_services", "turn_external" }
modules_disabled = { "s2s", "offline" }
authentication = "internal_hashed"
c2s_require_encryption = true
allow_registration = false
ssl = { key = "${key}", certificate = "${crt}" }
c2s_direct_tls_ssl = { key = "${key}", certificate = "${crt}" }
VirtualHost "${DOMAIN}"
turn_external_secret = "${TURN_SECRET}"
turn_external_host = "192.0.2.9"
turn_external_port = 3478
turn_external_ttl = 600
${extra}
Component "${CONFERENCE}" "muc"
restrict_room_creation = "admin"
`;
}

async function freePorts(count: number): Promise<number[]> {
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
