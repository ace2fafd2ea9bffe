/** A private Prosody on loopback: see xmpp-server.ts. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CONFERENCE,
  DOMAIN,
  type Parts,
  startServer,
  TURN_SECRET,
  XmppServer,
  type XmppServerOptions,
} from './xmpp-server.ts';

export interface ProsodyOptions extends XmppServerOptions {
  /** Lines for the end of the host's configuration. */
  readonly extra?: string;
}

export const startProsody = (options: ProsodyOptions = {}): Promise<Prosody> =>
  startServer((parts) => new Prosody(parts, options.extra ?? ''), options);

export class Prosody extends XmppServer {
  readonly title = 'Prosody';

  constructor(parts: Parts, extra: string) {
    super(parts);
    writeFileSync(this.#config, configuration({ ...parts, admin: this.admin.username }, extra));
  }

  get #config(): string {
    return join(this.directory, 'prosody.cfg.lua');
  }

  override prepare(): void {
    const { username, password } = this.admin;
    execFileSync('prosodyctl', ['--root', '--config', this.#config, 'register', username, DOMAIN, password], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  protected spawn(): ChildProcess {
    return spawn('prosody', ['--root', '-F', '--config', this.#config], { stdio: 'ignore' });
  }

  log(): string {
    try {
      return readFileSync(join(this.directory, 'prosody.log'), 'utf8');
    } catch {
      return '';
    }
  }
}

function configuration(p: Parts & { readonly admin: string }, extra: string): string {
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
admins = { "${p.admin}@${DOMAIN}" }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "admin_adhoc", "external_services", "turn_external" }
modules_disabled = { "s2s", "offline" }
authentication = "internal_hashed"
c2s_require_encryption = true
allow_registration = false
ssl = { key = "${p.key}", certificate = "${p.crt}" }
c2s_direct_tls_ssl = { key = "${p.key}", certificate = "${p.crt}" }
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
