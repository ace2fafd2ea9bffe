/** Prosody's configuration, hardened: only TLS, only SCRAM, no registration, no other servers, nothing a node does not use. */

import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { run } from '../process.ts';
import { conferenceOf, type ServerSettings } from './settings.ts';
import { installCommand } from './users.ts';
import type { XmppPlace, XmppServer } from './xmpp-server.ts';

const configOf = (place: XmppPlace): string => join(place.dir, 'prosody.cfg.lua');
const modulesOf = (place: XmppPlace): string => join(place.dir, 'modules');

/** A Lua string literal. Everything that is not plain ASCII goes as a decimal escape (Lua 5.4 manual §3.1). */
export function luaString(text: string): string {
  const escaped = [...Buffer.from(text, 'utf8')]
    .map((byte) => {
      const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
      return plain ? String.fromCharCode(byte) : `\\${byte.toString().padStart(3, '0')}`;
    })
    .join('');
  return `"${escaped}"`;
}

const list = (texts: readonly string[]): string => `{ ${texts.map(luaString).join(', ')} }`;

export function prosodyConfig(settings: ServerSettings, place: XmppPlace): string {
  const { domain, ports, admin } = settings;
  const interfaces = list(settings.addresses.map((a) => a.local));
  const relay = settings.addresses[0]?.public ?? '';
  return `-- Written by "evio server init", which writes it anew each time it runs.
-- Nodes meet here; no traffic of the overlay goes through this server.

data_path = ${luaString(place.data)}
plugin_paths = { ${luaString(modulesOf(place))} }
pidfile = nil
log = { { levels = { min = "info" }, to = "console" } }

-- Only these addresses, only clients, only encrypted.
interfaces = ${interfaces}
c2s_ports = { ${ports.starttls} }
c2s_direct_tls_ports = { ${ports.tls} }
s2s_ports = { }
component_ports = { }
http_ports = { }
https_ports = { }
c2s_require_encryption = true
allow_unencrypted_plain_auth = false
certificates = ${luaString(place.dir)}
ssl = {
  certificate = ${luaString(place.certificate)};
  key = ${luaString(place.key)};
  protocol = "tlsv1_2+";
}

-- SCRAM only: the server keeps no password, and none crosses the wire (RFC 5802).
authentication = "internal_hashed"
password_hash = "SHA-256"
disable_sasl_mechanisms = { "PLAIN", "LOGIN", "DIGEST-MD5", "OAUTHBEARER", "ANONYMOUS", "EXTERNAL" }
allow_registration = false

storage = "internal"
modules_enabled = {
  "posix", "disco", "roster", "saslauth", "tls", "limits", "ping",
  "admin_adhoc", "turn_external", "evio_turn_names",
}
modules_disabled = { "s2s", "s2s_auth_certs", "offline" }
admins = { ${luaString(`${admin.username}@${domain}`)} }

-- A node's largest stanza is a sealed message of 16 KiB, twice in base64 and XML.
limits = { c2s = { rate = "64kb/s", burst = "4s" } }
c2s_stanza_size_limit = 65536
c2s_unauthed_stanza_size_limit = 10000
c2s_max_child_elements = 2000
c2s_timeout = 60
-- A node behind a NAT that went away is noticed by the kernel's keep-alive and by XMPP pings.
c2s_tcp_keepalives = true

-- Time-limited TURN credentials over XMPP (XEP-0215): no node holds the secret.
turn_external_host = ${luaString(relay)}
turn_external_port = ${ports.turn}
turn_external_secret = ${luaString(settings.turnSecret)}
turn_external_ttl = 86400

VirtualHost ${luaString(domain)}

Component ${luaString(conferenceOf(domain))} "muc"
  modules_disabled = { "s2s", "s2s_auth_certs", "offline" }
  name = "Evio overlays"
  -- The administrator alone makes rooms, one for each overlay.
  restrict_room_creation = "admin"
  component_admins_as_room_owners = true
  muc_room_default_persistent = true
  muc_room_default_members_only = true
  muc_room_default_allow_member_invites = false
  muc_room_default_public = false
  muc_room_default_public_jids = false
  muc_room_default_change_subject = false
  muc_room_default_history_length = 0
  muc_room_cache_size = 1000
`;
}

/**
 * mod_turn_external gives everybody who asks in one second the same user name. coturn's quota counts by user, so this puts
 * the account's name into it: `expiry:account`, the form coturn takes apart (draft-uberti-behave-turn-rest-00).
 */
const TURN_NAMES_MODULE = `-- Written by "evio server init".
-- Puts the account's name into its TURN credentials, so that coturn's user-quota counts one node.
local hmac_sha1 = require "util.hashes".hmac_sha1;
local base64 = require "util.encodings".base64;
local jid_node = require "util.jid".node;

local secret = module:get_option_string("turn_external_secret");

local function name(event)
  local account = jid_node(event.stanza.attr.from);
  if not account then return end
  for _, service in ipairs(event.services) do
    if service.type == "turn" and service.expires then
      service.username = string.format("%d:%s", service.expires, account);
      service.password = base64.encode(hmac_sha1(secret, service.username));
    end
  end
end

module:hook("external_service/services", name);
module:hook("external_service/credentials", name);
`;

/**
 * `prosodyctl adduser` reads the password twice from its input, so it stands in no process list. For an account that is
 * there it fails, and `passwd` does the same for it.
 */
async function putAdmin(place: XmppPlace, { admin, domain }: ServerSettings): Promise<void> {
  const jid = `${admin.username}@${domain}`;
  const input = `${admin.password}\n${admin.password}\n`;
  let last = '';
  for (const verb of ['adduser', 'passwd']) {
    const missing = `run: ${installCommand(prosody)}`;
    const done = await run('prosodyctl', ['--config', configOf(place), verb, jid], { input, missing });
    if (done.code === 0) return;
    last = (done.stdout + done.stderr).trim().split('\n').at(-1) ?? '';
  }
  throw new Failure(`cannot make the account ${jid}: prosodyctl said: ${last}`);
}

export const prosody: XmppServer = {
  name: 'prosody',
  debianPackage: 'prosody',
  packageUnits: ['prosody.service'],
  proof: 'prosody',
  program: 'prosody',
  user: 'prosody',
  files: (place, settings) => [
    { path: configOf(place), text: prosodyConfig(settings, place) },
    { path: join(modulesOf(place), 'mod_evio_turn_names.lua'), text: TURN_NAMES_MODULE },
  ],
  arguments: (place) => ['-F', '--config', configOf(place)],
  environment: () => ({}),
  putAdmin,
  matters: (line) => /\b(warn|error)\b/.test(line) && !/lua-unbound|Received SIGTERM/.test(line),
};
