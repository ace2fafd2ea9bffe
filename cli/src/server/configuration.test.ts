import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../failure.ts';
import { coturnConfig } from './coturn.ts';
import { ejabberdConfig, yamlString } from './ejabberd.ts';
import { layoutOf } from './layout.ts';
import { luaString, prosodyConfig } from './prosody.ts';
import { RestartDelay } from './restart.ts';
import { servicesOf } from './services.ts';
import {
  adminFileOf,
  parseDomain,
  parsePortRange,
  parseServerAddress,
  type ServerSettings,
  serverSettings,
} from './settings.ts';
import { refuseUnseen, unitText } from './systemd.ts';
import { xmppPlaceOf } from './xmpp-server.ts';

const SETTINGS: ServerSettings = {
  apiVersion: 'evio-server/1',
  xmpp: 'prosody',
  domain: 'evio.example',
  addresses: [
    { public: '203.0.113.10', local: '10.0.0.5' },
    { public: '2001:db8::10', local: '2001:db8::10' },
  ],
  ports: { starttls: 5222, tls: 5223, turn: 3478, relayMin: 49152, relayMax: 65535 },
  deniedPeers: ['198.18.0.0-198.18.0.255'],
  allowedPeers: ['10.7.0.1'],
  relayMbit: 100,
  nodeQuota: 128,
  totalQuota: 4000,
  admin: { username: 'evio-admin', password: 'p' },
  turnSecret: 's'.repeat(32),
};

const PLACE = xmppPlaceOf('/s', 'prosody');

describe("Prosody's configuration", () => {
  const text = prosodyConfig(SETTINGS, PLACE);

  it('opens no port but the two for clients', () => {
    for (const closed of ['s2s_ports = { }', 'http_ports = { }', 'https_ports = { }', 'component_ports = { }']) {
      expect(text).to.contain(closed);
    }
    expect(text)
      .to.contain('modules_disabled = { "s2s"')
      .and.not.to.contain('admin_shell')
      .and.not.to.contain('telnet');
    expect(text).to.contain('interfaces = { "10.0.0.5", "2001:db8::10" }');
  });

  it('takes nobody without TLS, no password in clear, and no new accounts', () => {
    expect(text).to.contain('c2s_require_encryption = true').and.to.contain('allow_registration = false');
    expect(text).to.match(/disable_sasl_mechanisms = \{ "PLAIN", "LOGIN"/);
    expect(text).not.to.contain('"register"');
  });

  it('tells nodes the public address of the relay', () => {
    expect(text).to.contain('turn_external_host = "203.0.113.10"');
  });

  it('holds any text as a Lua string that cannot end early', () => {
    expect(luaString('a"b\\c\nd\0é')).to.equal('"a\\034b\\092c\\010d\\000\\195\\169"');
  });
});

describe("ejabberd's configuration", () => {
  const text = ejabberdConfig({ ...SETTINGS, xmpp: 'ejabberd' }, xmppPlaceOf('/s', 'ejabberd'));

  it('opens no port but the two for clients, on each address', () => {
    expect([...text.matchAll(/^ {4}(ip|port|module|tls|starttls_required): (.*)$/gm)].map((m) => m[2])).to.deep.equal(
      ['"10.0.0.5"', '"2001:db8::10"'].flatMap((ip) => [
        ...['ejabberd_c2s', ip, '5223', 'true'],
        ...['ejabberd_c2s', ip, '5222', 'true'],
      ]),
    );
    expect(text)
      .to.contain('s2s_access: none')
      .and.not.to.match(/ejabberd_http|ejabberd_s2s_in|ejabberd_service/);
  });

  it('takes no password in clear, keeps none, and makes no account for strangers', () => {
    expect(text)
      .to.contain('auth_password_format: scram')
      .and.to.match(/disable_sasl_mechanisms: \[PLAIN, /);
    expect(text).not.to.contain('mod_register').and.not.to.contain('mod_http');
    const other = ejabberdConfig({ ...SETTINGS, admin: { username: 'a', password: 'an uncommon word' } }, PLACE);
    expect(other).not.to.contain('an uncommon word');
  });

  it('tells nodes the public address of the relay', () => {
    expect(text).to.contain('{host: "203.0.113.10", port: 3478, type: turn, transport: udp, restricted: true}');
  });

  it('holds any text as a YAML string', () => {
    expect(yamlString('a"b\\c\nd\u0085\u2028é: #')).to.equal('"a\\"b\\\\c\\nd\\u0085\\u2028é: #"');
  });
});

describe("coturn's configuration", () => {
  const lines = coturnConfig(SETTINGS).split('\n');

  it('listens on local addresses and tells the public ones', () => {
    expect(lines).to.include('listening-ip=10.0.0.5').and.to.include('listening-ip=2001:db8::10');
    expect(lines.filter((l) => l.startsWith('external-ip'))).to.deep.equal(['external-ip=203.0.113.10/10.0.0.5']);
  });

  it('relays for holders of time-limited credentials only, and not to what is private', () => {
    expect(lines).to.include('use-auth-secret').and.to.include('no-cli').and.to.include('no-tcp-relay');
    expect(lines).to.include('denied-peer-ip=127.0.0.0-127.255.255.255');
    expect(lines).to.include('denied-peer-ip=198.18.0.0-198.18.0.255').and.to.include('allowed-peer-ip=10.7.0.1');
    expect(lines.join()).not.to.match(/allow-loopback|no-auth\b|server-relay/);
    expect(lines).to.include('max-bps=12500000');
  });
});

describe('the settings of a server', () => {
  it('are refused when they make no sense', () => {
    for (const bad of ['x', '1.2.3.4/::1', '1.2.3.4/5.6.7.8/9', '1.2.3.4/24', '']) {
      expect(() => parseServerAddress(bad), bad).to.throw('--address');
    }
    for (const bad of ['a_b', '-a.example', 'x..y', '1.2.3.4', 'a b', ''])
      expect(() => parseDomain(bad), bad).to.throw('--domain');
    for (const bad of ['1-2', '60000-50000', '50000', '50000-70000']) {
      expect(() => parsePortRange(bad), bad).to.throw('--relay-ports');
    }
    expect(parseDomain('Evio.Example')).to.equal('evio.example');
  });

  it('become the administrator file, with addresses as nodes see them', () => {
    const admin = adminFileOf(SETTINGS, undefined);
    expect(admin.service).to.equal('xmpps://203.0.113.10:5223');
    expect(admin.stun).to.deep.equal([
      '203.0.113.10:3478',
      '203.0.113.10:3479',
      '[2001:db8::10]:3478',
      '[2001:db8::10]:3479',
    ]);
    expect(admin).not.to.have.property('ca');
  });

  it('become units that run without rights and write to their own data only', () => {
    const unitsOf = (settings: ServerSettings) =>
      servicesOf(layoutOf('/etc/evio/a server', settings.xmpp), settings).map((service) => unitText(service));
    const [prosody, coturn] = unitsOf(SETTINGS);
    expect(prosody).to.contain('User=prosody').and.to.contain('ReadWritePaths="/etc/evio/a server/prosody/data"');
    expect(prosody).to.contain(
      'ExecStart=/usr/bin/prosody "-F" "--config" "/etc/evio/a server/prosody/prosody.cfg.lua"',
    );
    expect(coturn)
      .to.contain('User=turnserver')
      .and.to.contain('CapabilityBoundingSet=\n')
      .and.not.to.contain('ReadWrite');
    const [ejabberd] = unitsOf({ ...SETTINGS, xmpp: 'ejabberd' });
    expect(ejabberd).to.contain('User=ejabberd').and.to.contain('ReadWritePaths="/etc/evio/a server/ejabberd/data"');
    expect(ejabberd)
      .to.contain('Environment="EJABBERD_CONFIG_PATH=/etc/evio/a server/ejabberd/ejabberd.yml"')
      .and.to.match(/^ExecStart=\/usr\/bin\/erl "-noinput" /m)
      .and.not.to.match(/s?name"|cookie/);
  });

  it('are refused where the units would see another directory than the one that was written', () => {
    for (const dir of ['/tmp', '/tmp/a/server', '/var/tmp/server', '/srv/../tmp/server'])
      expect(() => refuseUnseen(dir)).to.throw(
        UsageError,
        /^--dir: \S+ is below (\/var)?\/tmp, of which systemd services have their own \(PrivateTmp\); give another --dir, or --foreground/,
      );
    const place = mkdtempSync(join(tmpdir(), 'evio-unseen-'));
    try {
      // Wherever the link is.
      symlinkSync('/tmp', join(place, 'link'));
      expect(() => refuseUnseen(join(place, 'link/not/there'))).to.throw(UsageError);
    } finally {
      rmSync(place, { recursive: true });
    }
    for (const dir of ['/etc/evio/server', '/tmpfs/server', '/srv/tmp']) refuseUnseen(dir);
  });

  it('that were written before there was a choice are of Prosody', () => {
    const { xmpp: _, ...before } = SETTINGS;
    expect(serverSettings.parse(before).xmpp).to.equal('prosody');
  });
});

describe('the pause before a server is started again', () => {
  it('doubles up to half a minute, and starts anew after a minute of life', () => {
    const delay = new RestartDelay();
    const short = Array.from({ length: 8 }, () => delay.after(10));
    expect(short).to.deep.equal([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    expect(delay.after(60_000)).to.equal(500);
    expect(delay.after(10)).to.equal(1000);
  });
});
