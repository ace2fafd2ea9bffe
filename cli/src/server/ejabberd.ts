/**
 * ejabberd, hardened as Prosody is: only TLS, only SCRAM, no registration, no other servers, nothing a node does not use; and no
 * Erlang distribution, whose port would hand the whole server to whoever knows its cookie.
 */

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ServerSettings } from './settings.ts';
import { conferenceOf } from './settings.ts';
import type { XmppPlace, XmppServer } from './xmpp-server.ts';

const configOf = (place: XmppPlace): string => join(place.dir, 'ejabberd.yml');
const moduleOf = (place: XmppPlace): string => join(place.dir, 'mod_evio.erl');

/** A YAML string: JSON's is one (YAML 1.2 §1.3), but for what JSON leaves as it is and YAML does not print. */
export const yamlString = (text: string): string =>
  JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** An Erlang string. */
const erlangString = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** RFC 7677 asks for 4,096 at least; a password of 192 random bits needs no more. */
const ITERATIONS = 4_096;

/** What a server keeps of a password (RFC 5802 §3), so that its configuration does not hold the password. */
function scramKeys(password: string) {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const text = (bytes: Buffer): string => yamlString(bytes.toString('base64'));
  return {
    storedKey: text(createHash('sha256').update(hmac('Client Key')).digest()),
    serverKey: text(hmac('Server Key')),
    salt: text(salt),
  };
}

export function ejabberdConfig(settings: ServerSettings, place: XmppPlace): string {
  const { domain, ports, admin } = settings;
  const relay = yamlString(settings.addresses[0]?.public ?? '');
  const keys = scramKeys(admin.password);
  const listener = (ip: string, port: number, tls: string): string => `  -
    module: ejabberd_c2s
    ip: ${yamlString(ip)}
    port: ${port}
    ${tls}
    access: all
    # All nodes come at once after a restart.
    backlog: 128
    shaper: c2s_shaper
    # A node's largest stanza is a sealed message of 16 KiB, twice in base64 and XML.
    max_stanza_size: 65536`;
  return `# Written by "evio server init", which writes it anew each time it runs.
# Nodes meet here; no traffic of the overlay goes through this server.

hosts: [${yamlString(domain)}]
loglevel: info
certfiles: [${yamlString(place.certificate)}, ${yamlString(place.key)}]
acme:
  auto: false

# Only these addresses, only clients, only encrypted.
listen:
${settings.addresses
  .flatMap(({ local }) => [
    listener(local, ports.tls, 'tls: true'),
    listener(local, ports.starttls, 'starttls_required: true'),
  ])
  .join('\n')}
c2s_protocol_options: [no_sslv2, no_sslv3, no_tlsv1, no_tlsv1_1]
s2s_access: none

# SCRAM only: the server keeps no password, and none crosses the wire (RFC 5802).
auth_method: internal
auth_password_format: scram
auth_scram_hash: sha256
disable_sasl_mechanisms: [PLAIN, DIGEST-MD5, X-OAUTH2, EXTERNAL, ANONYMOUS]

acl:
  admin:
    user: [${yamlString(`${admin.username}@${domain}`)}]
access_rules:
  # The name mod_configure asks for: accounts by ad-hoc commands (XEP-0133).
  configure:
    allow: admin
  admin:
    allow: admin
shaper:
  node:
    rate: 65536
    burst_size: 262144
shaper_rules:
  max_user_sessions: 10
  c2s_shaper:
    none: admin
    node: all

modules:
  mod_adhoc: {}
  mod_configure: {}
  mod_disco: {}
  mod_ping: {}
  # Time-limited TURN credentials over XMPP (XEP-0215): no node holds the secret.
  mod_stun_disco:
    access: all
    offer_local_services: false
    secret: ${yamlString(settings.turnSecret)}
    credentials_lifetime: 86400 s
    services:
      - {host: ${relay}, port: ${ports.turn}, type: stun, transport: udp, restricted: false}
      - {host: ${relay}, port: ${ports.turn}, type: turn, transport: udp, restricted: true}
  mod_evio:
    admin: ${yamlString(admin.username)}
    stored_key: ${keys.storedKey}
    server_key: ${keys.serverKey}
    salt: ${keys.salt}
    iterations: ${ITERATIONS}
  mod_muc:
    host: ${yamlString(conferenceOf(domain))}
    name: "Evio overlays"
    # The administrator alone makes rooms, one for each overlay.
    access_create: admin
    access_persistent: admin
    access_admin: admin
    history_size: 0
    max_users: 5000
    max_users_presence: 5000
    default_room_options:
      persistent: true
      members_only: true
      moderated: false
      public: false
      public_list: false
      anonymous: true
      allow_change_subj: false
      allow_user_invites: false
      allow_query_users: false
      max_users: 5000
`;
}

/**
 * mod_stun_disco names credentials after the full address, which a node may choose anew for each connection. coturn's quota
 * counts by user, so this names them after the account, `expiry:account` (draft-uberti-behave-turn-rest-00). And an account can
 * be made by a running ejabberd only, by its own hand or over the Erlang distribution, which does not run: this makes the
 * administrator's.
 */
const MODULE = `%% Written by "evio server init".
-module(mod_evio).
-behaviour(gen_mod).
-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_opt_type/1, mod_doc/0, started/0, services/1]).
-include("scram.hrl").

-define(NS_EXTDISCO, <<"urn:xmpp:extdisco:2">>).

start(Host, _Opts) ->
    %% Accounts come after the modules, and connections after this hook.
    ejabberd_hooks:add(ejabberd_started, ?MODULE, started, 50),
    gen_iq_handler:add_iq_handler(ejabberd_local, Host, ?NS_EXTDISCO, ?MODULE, services).

stop(Host) ->
    ejabberd_hooks:delete(ejabberd_started, ?MODULE, started, 50),
    gen_iq_handler:remove_iq_handler(ejabberd_local, Host, ?NS_EXTDISCO).

reload(_Host, _New, _Old) ->
    put_admin().

%% It stands before mod_stun_disco's own handler, which must be there by then.
depends(_Host, _Opts) ->
    [{mod_stun_disco, hard}].

started() ->
    put_admin(),
    write_out(),
    spawn(fun() ->
        [{ok, _} = mnesia:subscribe({table, Table, simple}) || Table <- [passwd, muc_room]],
        keep()
    end).

%% Mnesia would keep accounts and rooms to itself for some seconds: a server that was killed had forgotten them.
keep() ->
    receive
        {mnesia_table_event, _} ->
            write_out(),
            keep()
    end.

write_out() ->
    catch dets:sync(passwd),
    catch mnesia:sync_log().

put_admin() ->
    [put_admin(Host, gen_mod:get_module_opts(Host, ?MODULE)) || Host <- ejabberd_option:hosts()].

put_admin(Host, #{admin := User, stored_key := Stored, server_key := Server, salt := Salt, iterations := Count}) ->
    Keys = #scram{storedkey = Stored, serverkey = Server, salt = Salt, hash = sha256, iterationcount = Count},
    ok = ejabberd_auth:set_password(User, Host, Keys).

services(Request) ->
    Answer = mod_stun_disco:process_iq(Request),
    case xmpp:get_type(Answer) of
        result ->
            {User, _, _} = jid:tolower(xmpp:get_from(Request)),
            {_, Host, _} = jid:tolower(xmpp:get_to(Request)),
            Secret = mod_stun_disco_opt:secret(Host),
            xmpp:set_els(Answer, [named(xmpp:encode(E), User, Secret) || E <- xmpp:get_els(Answer)]);
        _ ->
            Answer
    end.

named({xmlel, <<"service">>, Attributes, Children} = Service, User, Secret) ->
    case proplists:get_value(<<"username">>, Attributes) of
        undefined ->
            Service;
        Username ->
            [Expiry | _] = binary:split(Username, <<":">>),
            Name = <<Expiry/binary, $:, User/binary>>,
            Password = base64:encode(crypto:mac(hmac, sha, Secret, Name)),
            Changed = [{<<"username">>, Name}, {<<"password">>, Password}],
            {xmlel, <<"service">>, lists:foldl(fun put_attribute/2, Attributes, Changed), Children}
    end;
named({xmlel, Name, Attributes, Children}, User, Secret) ->
    {xmlel, Name, Attributes, [named(Child, User, Secret) || Child <- Children]};
named(Other, _User, _Secret) ->
    Other.

put_attribute({Key, _} = Attribute, Attributes) ->
    lists:keystore(Key, 1, Attributes, Attribute).

mod_options(_Host) ->
    [admin, stored_key, server_key, salt, iterations].

mod_opt_type(iterations) -> econf:pos_int();
mod_opt_type(_) -> econf:binary().

mod_doc() ->
    #{}.
`;

/** Where Debian puts ejabberd itself; its libraries are among Erlang's own. */
const MULTIARCH: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};

/** Compiled at each start, in memory: what an older Erlang compiled may not fit a newer ejabberd. */
const START = [
  'Include = filename:join([filename:dirname(code:which(xmpp)), "..", "include"]),',
  '{ok, Module, Code} = compile:file(os:getenv("EVIO_MODULE"), [binary, report, {i, Include}]),',
  '{module, Module} = code:load_binary(Module, "mod_evio.erl", Code),',
  '{ok, _} = ejabberd:start().',
].join(' ');

export const ejabberd: XmppServer = {
  name: 'ejabberd',
  debianPackage: 'ejabberd',
  packageUnits: ['ejabberd.service', 'epmd.service', 'epmd.socket'],
  proof: 'ejabberdctl',
  program: 'erl',
  user: 'ejabberd',
  files: (place, settings) => [
    { path: configOf(place), text: ejabberdConfig(settings, place) },
    { path: moduleOf(place), text: MODULE },
  ],
  // Without -name or -sname, as ejabberdctl would have it, Erlang neither opens a port for other nodes nor starts epmd. Its name
  // is nonode@nohost then, always, and its database is that node's.
  arguments: (place) => [
    '-noinput',
    // An idle server does not spin.
    ...['+sbwt', 'none', '+sbwtdcpu', 'none', '+sbwtdio', 'none'],
    ...['-mnesia', 'dir', erlangString(place.data)],
    ...['-ejabberd', 'log_rotate_size', '1048576', 'log_rotate_count', '1'],
    ...['-eval', START],
  ],
  environment: (place) => ({
    LANG: 'C.UTF-8',
    HOME: place.data,
    ERL_LIBS: `/usr/lib/${MULTIARCH[process.arch] ?? ''}`,
    // It would hold secrets.
    ERL_CRASH_DUMP_SECONDS: '0',
    EJABBERD_CONFIG_PATH: configOf(place),
    EJABBERD_LOG_PATH: join(place.data, 'log', 'ejabberd.log'),
    EVIO_MODULE: moduleOf(place),
  }),
  // It recommends modules that nodes do not use, and knows no authority of ours.
  matters: (line) =>
    /\[(warning|error|critical|alert|emergency)\]/.test(line) &&
    !/is recommended for module|self-signed certificate|unknown CA/.test(line),
};
