/** `evio server init`: everything the cloud side needs, written into one directory. Running it again changes the options and keeps the secrets. */

import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { Failure, UsageError } from '../failure.ts';
import { installed, mustRun, run } from '../process.ts';
import { coturnConfig } from './coturn.ts';
import { layoutOf, putDirectory, putFile, readJson, type ServerLayout, settingsFile } from './layout.ts';
import { adminFileOf, type ServerAddress, type ServerSettings, serverSettings, type XmppName } from './settings.ts';
import { makeTls, type TlsFiles, takeTls } from './tls.ts';
import { barrier, installCommand, modeText, type User, userOf } from './users.ts';
import { XMPP_SERVERS, type XmppServer } from './xmpp-server.ts';

/** Settings but the secrets, which are made here or kept. */
export type ServerOptions = Omit<ServerSettings, 'apiVersion' | 'xmpp' | 'admin' | 'turnSecret'>;

export interface InitOptions {
  readonly dir: string;
  /** Left out: the one that was chosen before, or Prosody. */
  readonly xmpp: XmppName | undefined;
  readonly server: ServerOptions;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly install: boolean;
}

const ADMIN = 'evio-admin';
const secret = (): string => randomBytes(24).toString('base64url');

export async function initServer(
  options: InitOptions,
): Promise<{ readonly layout: ServerLayout; readonly settings: ServerSettings }> {
  if (process.getuid?.() !== 0)
    throw new Failure('evio server init writes files of other users: run it as root (sudo)');
  const dir = resolve(options.dir);
  const before = readJson(settingsFile(dir), serverSettings, 'give another --dir, or remove it to begin anew');
  const xmpp = XMPP_SERVERS[options.xmpp ?? before?.xmpp ?? 'prosody'];
  await ensurePackages(xmpp, options.install);
  const [owner, turn] = await Promise.all([userOf(xmpp.user, xmpp), userOf('turnserver', xmpp)]);
  const layout = layoutOf(dir, xmpp.name);
  if (before !== undefined && before.domain !== options.server.domain) {
    throw new UsageError(
      `--domain: ${layout.dir} is set up for ${before.domain}; give another --dir for ${options.server.domain}`,
    );
  }
  const settings: ServerSettings = {
    apiVersion: 'evio-server/1',
    xmpp: xmpp.name,
    ...options.server,
    admin: before?.admin ?? { username: ADMIN, password: secret() },
    turnSecret: before?.turnSecret ?? secret(),
  };
  // Before anything is written: a wrong one leaves nothing behind.
  const brought =
    options.certificate === undefined || options.key === undefined
      ? undefined
      : takeTls(options.certificate, options.key, settings.domain);
  const { ca } = await writeServer(
    layout,
    settings,
    [owner, turn],
    async () => brought ?? makeTls(layout.ca, settings.domain),
  );
  putFile(layout.admin, `${JSON.stringify(adminFileOf(settings, ca), null, 2)}\n`, 0o600);
  return { layout, settings };
}

/** Everything in the server's directory but the administrator's file. `tls` is asked once there is a directory to put it into. */
async function writeServer(
  layout: ServerLayout,
  settings: ServerSettings,
  [owner, turn]: readonly [owner: User, turn: User],
  tls: () => Promise<TlsFiles>,
): Promise<TlsFiles> {
  const xmpp = XMPP_SERVERS[settings.xmpp];
  refuseBarrier(layout, [owner, turn]);
  makeDirectories(layout, owner, turn);
  putFile(layout.settings, `${JSON.stringify(settings, null, 2)}\n`, 0o600);
  const files = await tls();
  copyFor(owner, files.certificate, layout.xmpp.certificate);
  copyFor(owner, files.key, layout.xmpp.key);
  for (const { path, text } of xmpp.files(layout.xmpp, settings)) {
    if (dirname(path) !== layout.xmpp.dir) putDirectory(dirname(path), 0o750, { uid: 0, gid: owner.gid });
    putFile(path, text, 0o640, owner);
  }
  putFile(layout.coturnConfig, coturnConfig(settings), 0o640, turn);
  await xmpp.putAdmin?.(layout.xmpp, settings);
  return files;
}

/**
 * Writes a server's directory from another one that somebody else made, such as the mounted Secret of the operator: `server.json`, and the
 * certificate in `tls.crt` and `tls.key`. Addresses that this machine does not have are taken to be translated to its own.
 */
export async function takeServer(from: string, dir: string): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Failure('evio server run --from writes files of other users: run it as root (sudo)');
  const given = readJson(settingsFile(from), serverSettings, 'whoever made it has to make it anew');
  if (given === undefined)
    throw new Failure(`there is no ${settingsFile(from)}; name the directory that holds server.json`);
  const settings = { ...given, addresses: await Promise.all(given.addresses.map(localTo)) };
  const xmpp = XMPP_SERVERS[settings.xmpp];
  const users = await Promise.all([userOf(xmpp.user, xmpp), userOf('turnserver', xmpp)]);
  const tls = takeTls(join(from, 'tls.crt'), join(from, 'tls.key'), settings.domain);
  await writeServer(layoutOf(resolve(dir), xmpp.name), settings, users, async () => tls);
}

/** Behind a one-to-one NAT the machine does not have the address that it is reached at: then the one it goes out with is meant. */
export async function localTo(address: ServerAddress): Promise<ServerAddress> {
  const type = isIP(address.local) === 6 ? 'udp6' : 'udp4';
  const own = await ownAddress(type, (socket, done) => socket.bind({ address: address.local, port: 0 }, done));
  if (own !== undefined) return address;
  // Connecting sends nothing: it asks the kernel for a route (udp(7)).
  const out = await ownAddress(type, (socket, done) => socket.connect(9, address.public, done));
  return out === undefined ? address : { ...address, local: out };
}

/** A socket's own address after `open`; undefined when that fails. */
function ownAddress(
  type: 'udp4' | 'udp6',
  open: (socket: Socket, done: () => void) => void,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(type);
    const end = (address: string | undefined) => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => end(undefined));
    open(socket, () => end(socket.address().address));
  });
}

/** apt-get starts what it installs unless this file says no (invoke-rc.d(8), POLICY). */
const POLICY = '/usr/sbin/policy-rc.d';

async function ensurePackages(xmpp: XmppServer, install: boolean): Promise<void> {
  const missing = Object.entries({ [xmpp.proof]: xmpp.debianPackage, turnserver: 'coturn', openssl: 'openssl' })
    .filter(([program]) => !installed(program))
    .map(([, debianPackage]) => debianPackage);
  if (missing.length === 0) return;
  if (!install)
    throw new Failure(`not installed: ${missing.join(', ')}; run: ${installCommand(xmpp)} (or give --install)`);
  // One that was there before is somebody's: epmd is of every Erlang program.
  const units = [...xmpp.packageUnits, 'coturn.service'].filter((unit) => !existsSync(`/lib/systemd/system/${unit}`));
  const own = !existsSync(POLICY);
  if (own) putFile(POLICY, '#!/bin/sh\nexit 101\n', 0o755);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (what: string, ...args: string[]): Promise<string> =>
    mustRun(what, 'apt-get', args, { env, timeoutMs: 600_000, missing: `install ${missing.join(', ')} by hand` });
  try {
    await apt('cannot read the package lists', 'update', '-q');
    await apt(`cannot install ${missing.join(', ')}`, 'install', '-q', '-y', '--no-install-recommends', ...missing);
  } finally {
    if (own) rmSync(POLICY, { force: true });
  }
  // The packages' own services would take the same ports at the next boot, or others.
  if (units.length > 0 && installed('systemctl')) await run('systemctl', ['disable', ...units]);
}

function makeDirectories(layout: ServerLayout, owner: User, turn: User): void {
  putDirectory(layout.dir, 0o755);
  putDirectory(layout.xmpp.dir, 0o750, { uid: 0, gid: owner.gid });
  putDirectory(layout.xmpp.data, 0o700, owner);
  putDirectory(layout.coturn, 0o750, { uid: 0, gid: turn.gid });
}

/** What is above the server's directory is not ours to change. */
function refuseBarrier({ dir }: ServerLayout, users: readonly User[]): void {
  for (const user of users) {
    const at = barrier(dirname(dir), user);
    if (at !== undefined) {
      throw new Failure(
        `user ${user.name} cannot get to ${dir}: ${at} has mode ${modeText(at)}; run chmod o+x ${at}, or give another --dir`,
      );
    }
  }
}

function copyFor(user: User, from: string, to: string): void {
  putFile(to, readFileSync(from, 'utf8'), 0o640, user);
}
