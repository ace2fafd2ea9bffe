/** A private ejabberd on loopback, configured as `evio server init` does it: see xmpp-server.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ejabberd } from '../../cli/src/server/ejabberd.ts';
import type { ServerSettings } from '../../cli/src/server/settings.ts';
import { type XmppPlace, xmppPlaceOf } from '../../cli/src/server/xmpp-server.ts';
import { DOMAIN, type Parts, startServer, TURN_SECRET, XmppServer, type XmppServerOptions } from './xmpp-server.ts';

export const startEjabberd = (options: XmppServerOptions = {}): Promise<Ejabberd> =>
  startServer((parts) => new Ejabberd(parts), options);

export class Ejabberd extends XmppServer {
  readonly title = 'ejabberd';
  readonly #place: XmppPlace;

  constructor(parts: Parts) {
    super(parts);
    this.#place = xmppPlaceOf(this.directory, 'ejabberd');
    mkdirSync(this.#place.data, { recursive: true });
    copyFileSync(parts.crt, this.#place.certificate);
    copyFileSync(parts.key, this.#place.key);
    const settings: ServerSettings = {
      apiVersion: 'evio-server/1',
      xmpp: 'ejabberd',
      domain: DOMAIN,
      addresses: [{ public: '192.0.2.9', local: '127.0.0.1' }],
      ports: { starttls: parts.port, tls: parts.directPort, turn: 3478, relayMin: 49152, relayMax: 65535 },
      deniedPeers: [],
      allowedPeers: [],
      relayMbit: 0,
      nodeQuota: 1,
      totalQuota: 1,
      admin: this.admin,
      turnSecret: TURN_SECRET,
    };
    for (const { path, text } of ejabberd.files(this.#place, settings))
      writeFileSync(path, text.replace('credentials_lifetime: 86400 s', 'credentials_lifetime: 600 s'));
  }

  protected spawn(): ChildProcess {
    const environment = { PATH: process.env.PATH, ...ejabberd.environment(this.#place) };
    return spawn(ejabberd.program, ejabberd.arguments(this.#place), { stdio: 'ignore', env: environment });
  }

  log(): string {
    try {
      return readFileSync(join(this.#place.data, 'log', 'ejabberd.log'), 'utf8');
    } catch {
      return '';
    }
  }
}
