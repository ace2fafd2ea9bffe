/** What Prosody and ejabberd differ in, so that the rest of this folder need not know which one it is. */

import { join } from 'node:path';
import { ejabberd } from './ejabberd.ts';
import { prosody } from './prosody.ts';
import type { ServerSettings, XmppName } from './settings.ts';

/** Where an XMPP server's files are, in a folder of its own. */
export interface XmppPlace {
  /** Root's, readable by the server. */
  readonly dir: string;
  /** Accounts and rooms: the server's own. */
  readonly data: string;
  readonly certificate: string;
  readonly key: string;
}

/** A file of the server's folder; the server reads it and does not write it. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

export interface XmppServer {
  /** Of its folder, its unit, its lines in the log. */
  readonly name: XmppName;
  readonly debianPackage: string;
  /** systemd's units that come with it and what it needs, each of which would open a port at the next boot. */
  readonly packageUnits: readonly string[];
  /** A program that this package alone brings. */
  readonly proof: string;
  /** What is run, of /usr/bin. */
  readonly program: string;
  /** The Debian package makes it. */
  readonly user: string;
  /** Everything but the certificate and its key: TLS, SCRAM, rooms, who is administrator, TURN's secret and place. */
  files(place: XmppPlace, settings: ServerSettings): readonly ConfigFile[];
  /** Of `program`, to run it in the foreground with its log on standard output. */
  arguments(place: XmppPlace): readonly string[];
  environment(place: XmppPlace): Readonly<Record<string, string>>;
  /** Makes the administrator's account, whether the server runs or not; left out: it makes it itself when it starts. */
  putAdmin?(place: XmppPlace, settings: ServerSettings): Promise<void>;
  /** A line of its log that a person should see. */
  matters(line: string): boolean;
}

export const XMPP_SERVERS: Readonly<Record<XmppName, XmppServer>> = { prosody, ejabberd };

export const xmppPlaceOf = (dir: string, name: XmppName): XmppPlace => ({
  dir: join(dir, name),
  data: join(dir, name, 'data'),
  certificate: join(dir, name, 'server.crt'),
  key: join(dir, name, 'server.key'),
});
