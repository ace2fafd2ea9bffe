/** `evio server`, `overlay` and `node` against real servers (Prosody or ejabberd, coturn), on loopback addresses of this test's own. */

import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import xml from '@xmpp/xml';
import { expect } from 'chai';
import { loadNodeConfig } from '../../agent/src/config/load.ts';
import type { NodeFileInput } from '../../agent/src/config/schema.ts';
import { RENEWAL } from '../../agent/src/io/xmpp.ts';
import { openSession, type XmppSession } from '../../agent/src/io/xmpp-session.ts';
import type { PreflightReport } from '../../cli/src/preflight/check.ts';
import { evio, evioJson, MAIN, program, RunningServer, scratch } from './evio.ts';

const [A, B] = ['127.0.45.1', '127.0.45.2'];
const PORTS = { tls: 15223, starttls: 15222, turn: 13478 };
const DOMAIN = 'evio.example';
/** Both ports of each: what tells a NAT's mapping. */
const STUN = [A, B].flatMap((host) => [PORTS.turn, PORTS.turn + 1].map((port) => `${host}:${port}`));

interface Admin {
  readonly service: string;
  readonly username: string;
  readonly password: string;
  readonly ca: string;
  readonly stun: readonly string[];
}

/** What is changed in an old file of EdgeVPN.io. */
interface OldFile {
  Signal: { Overlays: { A0FB389: object } };
  OverlayVisualizer: { NodeName: string };
  BridgeController: { Overlays: { A0FB389: { NetDevice: { AppBridge: { IP4: string } } } } };
}
const OLD = resolve(import.meta.dirname, '../../cli/src/import/testing/24.1.json');

const INIT = [
  ['--domain', DOMAIN],
  ['--address', A],
  ['--address', B],
  ['--tls-port', PORTS.tls],
  ['--starttls-port', PORTS.starttls],
  ['--turn-port', PORTS.turn],
].flat() as readonly string[];

const init = (dir: string, ...more: readonly string[]) =>
  evio('server', 'init', ...INIT.map(String), '--dir', dir, '--foreground', ...more);

const json = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;

/** The children of a process, by /proc. */
function children(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

/** What the server says when a stream is opened (RFC 6120 §4.2). */
function features(port: number, tls: boolean, ca: string): Promise<string> {
  return new Promise((done, fail) => {
    let text = '';
    const socket = tls ? connectTls({ host: A, port, servername: DOMAIN, ca }) : connectTcp({ host: A, port });
    socket.setTimeout(5_000, () => fail(new Error(`no features: ${text}`)));
    socket.on('error', fail);
    socket.on(tls ? 'secureConnect' : 'connect', () =>
      socket.write(
        `<?xml version='1.0'?><stream:stream to='${DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`,
      ),
    );
    socket.on('data', (data: Buffer) => {
      text += data.toString();
      if (!text.includes('</stream:features>')) return;
      socket.destroy();
      done(text);
    });
  });
}

async function login(file: NodeFileInput): Promise<XmppSession> {
  const { service, domain, username, password, ca } = file.signalling;
  if (typeof password !== 'string' || typeof ca !== 'string') throw new Error('secrets stand in the file');
  return openSession(
    { service, domain, username, password, ca, renewal: RENEWAL, signal: AbortSignal.timeout(10_000) },
    { stanza: () => undefined, received: () => undefined, closed: () => undefined },
  );
}

const refused = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'taken',
    (error: Error) => error.message,
  );

const epmds = async (): Promise<string> => (await program('pgrep', '-x', 'epmd')).stdout;

/** What is told apart: everything else is the same of both. */
const KINDS = [
  {
    xmpp: 'prosody',
    config: 'prosody/prosody.cfg.lua',
    program: /prosody/,
    remote: /^not-allowed: Communication with remote/,
  },
  { xmpp: 'ejabberd', config: 'ejabberd/ejabberd.yml', program: /beam/, remote: /^forbidden: Access denied/ },
] as const;

for (const kind of KINDS) {
  describe(`evio server with ${kind.xmpp}, overlay and node`, function () {
    this.timeout(60_000);
    const place = scratch();
    const dir = join(place.dir, 'server');
    const lab = join(place.dir, 'lab');
    const file = (name: string): string => join(place.dir, `${name}.json`);
    let server: RunningServer;
    let epmdsBefore: string;

    const field = join(place.dir, 'field');
    const written = (name: string, change: (old: OldFile) => void): string => {
      const old = json<OldFile>(OLD);
      change(old);
      const path = join(place.dir, `${name}.old.json`);
      writeFileSync(path, JSON.stringify(old));
      return path;
    };

    before(async () => {
      epmdsBefore = await epmds();
      const done = await init(dir, ...(kind.xmpp === 'prosody' ? [] : ['--xmpp', kind.xmpp]));
      expect(done.code, done.stderr).to.equal(0);
      server = new RunningServer(dir, kind.xmpp);
      await server.ready();
    });

    after(async () => {
      await server.end('SIGTERM');
      place.remove();
    });

    it('keeps what is secret for those who need it', () => {
      const mode = (path: string): string => (statSync(join(dir, path)).mode & 0o777).toString(8);
      expect(['server.json', 'admin.json', 'ca/ca.key'].map(mode)).to.deep.equal(['600', '600', '600']);
      expect([kind.config, `${kind.xmpp}/server.key`, 'coturn/turnserver.conf'].map(mode)).to.deep.equal([
        '640',
        '640',
        '640',
      ]);
      for (const pid of children(server.child.pid as number)) {
        const uid = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        expect(uid).not.to.equal('0');
      }
    });

    it('run again keeps every secret, and refuses another domain', async () => {
      const before = [json(join(dir, 'admin.json')), readFileSync(join(dir, 'ca/ca.crt'), 'utf8')];
      expect((await init(dir)).code).to.equal(0);
      expect([json(join(dir, 'admin.json')), readFileSync(join(dir, 'ca/ca.crt'), 'utf8')]).to.deep.equal(before);
      expect(json<{ xmpp: string }>(join(dir, 'server.json')).xmpp).to.equal(kind.xmpp);
      const other = await evio(
        'server',
        'init',
        '--domain',
        'other.example',
        '--address',
        A,
        '--dir',
        dir,
        '--foreground',
      );
      expect([other.code, other.stderr]).to.deep.equal([
        2,
        `evio: --domain: ${dir} is set up for ${DOMAIN}; give another --dir for other.example\n`,
      ]);
      const twice = await init(dir, '--domain', 'other.example');
      expect([twice.code, twice.stderr]).to.deep.equal([2, 'evio: --domain is given 2 times; give it once\n']);
    });

    it('says nothing without TLS, and offers SCRAM alone with it', async () => {
      const { ca } = json<Admin>(join(dir, 'admin.json'));
      const plain = await features(PORTS.starttls, false, ca);
      expect(plain).to.match(/<starttls[^>]*><required\/><\/starttls>/);
      expect(plain).not.to.contain('mechanism');
      const sealed = await features(PORTS.tls, true, ca);
      const mechanisms = [...sealed.matchAll(/<mechanism>([^<]+)/g)].map((m) => m[1]);
      expect(mechanisms).to.include('SCRAM-SHA-256');
      expect(mechanisms.filter((m) => !m?.startsWith('SCRAM-'))).to.deep.equal([]);
      expect(sealed).not.to.contain('register');
    });

    it('opens the ports it was given, and no other', async () => {
      const mine = children(server.child.pid as number);
      const sockets = (await program('ss', '-Hlntup')).stdout
        .split('\n')
        .filter((l) => mine.some((pid) => l.includes(`pid=${pid},`)));
      const tcp = sockets.filter((l) => l.startsWith('tcp')).map((l) => l.trim().split(/\s+/)[4]);
      expect(tcp.sort()).to.deep.equal([A, B].flatMap((a) => [`${a}:${PORTS.starttls}`, `${a}:${PORTS.tls}`]));
      expect(await epmds(), "Erlang's port mapper").to.equal(epmdsBefore);
    });

    it('is found by evio preflight without any account, and what is not there is named', async () => {
      const ca = join(dir, 'preflight-ca.pem');
      writeFileSync(ca, json<Admin>(join(dir, 'admin.json')).ca);
      const { tls, starttls, turn } = PORTS;
      const xmpp = ['--xmpp', `xmpps://${A}:${tls}`, '--domain', DOMAIN, '--ca', ca];
      const well = await evio('preflight', ...xmpp, '--stun', `${A}:${turn}`, '--turn', `${B}:${turn}`, '-o', 'json');
      const seen = (done: typeof well) =>
        (JSON.parse(done.stdout) as PreflightReport).checks
          .filter(({ name }) => ['xmpp', 'xmpp-certificate', 'stun', 'turn'].includes(name))
          .map(({ name, verdict }) => `${name} ${verdict}`);
      expect(seen(well), well.stdout).to.deep.equal(['xmpp pass', 'stun pass', 'turn pass']);
      const other = ['--xmpp', `xmpp://${A}:${starttls}`, '--domain', DOMAIN, '--stun', `${A}:${turn + 7}`];
      const ill = await evio('preflight', ...other, '-o', 'json');
      expect(seen(ill), ill.stdout).to.deep.equal(['xmpp pass', 'stun fail']);
      expect(ill.code).to.equal(1);
      const untrusted = await evio('preflight', ...xmpp.slice(0, 4), '-o', 'json');
      expect(seen(untrusted), untrusted.stdout).to.deep.equal(['xmpp pass', 'xmpp-certificate uncertain']);
    });

    it('refuses to start where a port is taken, and names it', async () => {
      const second = await evio('server', 'run', '--dir', dir);
      expect(second.code).to.equal(1);
      expect(second.stderr).to.match(/^evio: tcp port 15223 of 127\.0\.45\.1 is taken; .*\n$/);
    });

    it('makes an overlay once', async () => {
      const made = await evioJson<{ name: string; room: string }>(
        'overlay',
        'create',
        'lab',
        '--server',
        join(dir, 'admin.json'),
        '--dir',
        lab,
        '--full-mesh',
        'off',
        '--long-distance',
        '0',
      );
      expect(made).to.deep.include({
        name: 'lab',
        room: `lab@conference.${DOMAIN}`,
        subnet4: '10.45.0.0/16',
        mtu: 1400,
      });
      const again = await evio('overlay', 'create', 'lab', '--server', join(dir, 'admin.json'), '--dir', lab);
      expect([again.code, again.stderr]).to.deep.equal([
        1,
        `evio: ${lab} holds overlay lab already; change it with evio overlay update, or give another --dir\n`,
      ]);
      const elsewhere = join(place.dir, 'lab2');
      const taken = await evio('overlay', 'create', 'lab', '--server', join(dir, 'admin.json'), '--dir', elsewhere);
      expect(taken.stderr).to.contain('choose another name');
      expect(existsSync(elsewhere)).to.equal(false);
    });

    it('enrols a node with one complete file', async () => {
      const node = await evioJson<{ id: string; addresses: string[] }>(
        'node',
        'enroll',
        'n1',
        '--overlay',
        lab,
        '--out',
        file('n1'),
      );
      expect(node.addresses[0]).to.equal('10.45.0.1/16');
      expect(node.addresses[1]).to.match(/^fd[0-9a-f:]+::1\/64$/);
      expect(statSync(file('n1')).mode & 0o777).to.equal(0o600);
      const config = loadNodeConfig(file('n1'));
      expect(config.topology).to.deep.include({ fullMesh: 'off', longDistance: 0 });
      expect(config.ice.stun).to.deep.equal(STUN);
      expect(config.identity.certificate.nodeId).to.equal(node.id);
      const checked = await evio('config', 'check', file('n1'));
      expect(checked.code, checked.stderr).to.equal(0);
    });

    it('enrols a name once, and renews it with the same keys', async () => {
      const again = await evio('node', 'enroll', 'n1', '--overlay', lab, '--out', file('x'));
      expect(again.code).to.equal(1);
      expect(again.stderr).to.match(/^evio: node n1 is enrolled already \(id [0-9a-f]{32}\); use --renew .*\n$/);
      const before = loadNodeConfig(file('n1')).identity.certificate;
      const renewed = await evio('node', 'enroll', 'n1', '--overlay', lab, '--out', file('n1'), '--renew');
      expect(renewed.code, renewed.stderr).to.equal(0);
      const after = loadNodeConfig(file('n1')).identity.certificate;
      expect(after.nodeId).to.equal(before.nodeId);
      expect(after.addresses).to.deep.equal(before.addresses);
      expect(after.serial > before.serial).to.equal(true);
      (await login(json(file('n1')))).close();
    });

    it('lets a node in, but gives it no rights: no accounts, no other server, no sight of other overlays', async () => {
      const admin = join(dir, 'admin.json');
      await evioJson('overlay', 'create', 'foreign', '--server', admin, '--dir', join(place.dir, 'foreign'));
      const session = await login(json(file('n1')));
      try {
        const command = xml('command', {
          xmlns: 'http://jabber.org/protocol/commands',
          node: 'http://jabber.org/protocol/admin#add-user',
          action: 'execute',
        });
        expect(await refused(session.iq('set', DOMAIN, command))).to.match(/forbidden|not-allowed|item-not-found/);
        const register = xml('query', { xmlns: 'jabber:iq:register' });
        expect(await refused(session.iq('get', undefined, register))).to.match(/unavailable|not-implemented/);
        const disco = xml('query', { xmlns: 'http://jabber.org/protocol/disco#info' });
        expect(await refused(session.iq('get', 'elsewhere.example', disco))).to.match(kind.remote);
        const rooms = await session.iq(
          'get',
          `conference.${DOMAIN}`,
          xml('query', { xmlns: 'http://jabber.org/protocol/disco#items' }),
        );
        expect(rooms.toString()).not.to.contain('foreign@');
      } finally {
        session.close();
      }
    });

    it('gives a node TURN credentials in its own name, with which coturn relays nothing to this machine', async () => {
      const session = await login(json(file('n1')));
      const answer = await session.iq('get', DOMAIN, xml('services', { xmlns: 'urn:xmpp:extdisco:2' }));
      session.close();
      const turn = answer
        .getChild('services', 'urn:xmpp:extdisco:2')
        ?.getChildren('service')
        .find((s) => s.attrs.type === 'turn')?.attrs as Record<string, string>;
      expect(turn).to.deep.include({ host: A, port: String(PORTS.turn), transport: 'udp' });
      expect(turn.restricted).to.match(/^(1|true)$/);
      expect(turn.username).to.match(/^[0-9]+:n1\.lab$/);
      expect(Number(turn.username?.split(':')[0]) * 1000).to.be.greaterThan(Date.now());

      const client = (user: string, password: string) =>
        program(
          'timeout',
          '8',
          'turnutils_uclient',
          '-v',
          '-X',
          '-n',
          '1',
          '-p',
          String(PORTS.turn),
          '-u',
          user,
          '-w',
          password,
          '-e',
          '127.0.0.1',
          A,
        );
      const good = await client(turn.username as string, turn.password as string);
      expect(good.stdout + good.stderr).to.match(/allocate response received:\s*\n?.*success/s);
      expect(good.stdout + good.stderr).to.match(/403/);
      const bad = await client(turn.username as string, 'wrong');
      expect(bad.stdout + bad.stderr).to.match(/Cannot complete Allocation|401/);
    });

    it('revokes a node: its account ends, its certificate is in the list, its address is free', async () => {
      const victim = await evioJson<{ id: string; addresses: string[] }>(
        'node',
        'enroll',
        'n2',
        '--overlay',
        lab,
        '--out',
        file('n2'),
      );
      const revoked = await evioJson<{ list: string; serial: number }>('overlay', 'revoke', 'n2', '--overlay', lab);
      expect(revoked.serial).to.equal(1);
      expect(await refused(login(json(file('n2'))))).to.match(/password|account|authenti/i);
      const value = json<NodeFileInput>(file('n2'));
      const revocations = readFileSync(revoked.list, 'utf8').trim();
      writeFileSync(file('n2r'), JSON.stringify({ ...value, overlay: { ...value.overlay, revocations } }), {
        mode: 0o600,
      });
      const checked = await evio('config', 'check', file('n2r'));
      expect([checked.code, checked.stderr]).to.deep.equal([
        2,
        `${file('n2r')}: identity.certificate: it is revoked by overlay.revocations; enrol the node again (evio node enroll)\n`,
      ]);
      const again = await evioJson<{ id: string; addresses: string[] }>(
        'node',
        'enroll',
        'n2',
        '--overlay',
        lab,
        '--out',
        file('n2b'),
      );
      expect(again.addresses).to.deep.equal(victim.addresses);
      expect(again.id).not.to.equal(victim.id);
    });

    it('moves a node over from the original EdgeVPN.io: takes name, address, XMPP host, STUN servers, interfaces and topology from its old file', async () => {
      const old = written('moved', ({ Signal: { Overlays } }) =>
        Object.assign(Overlays.A0FB389, { HostAddress: B, Port: String(PORTS.starttls), Username: `pi_3@${DOMAIN}` }),
      );
      const said = await evio('config', 'import', old);
      const [, subnet] = /--subnet4 (\S+),/.exec(said.stderr) ?? [];
      const admin = join(dir, 'admin.json');
      await evioJson('overlay', 'create', 'field', '--server', admin, '--dir', field, '--subnet4', subnet as string);
      const done = await evio('node', 'enroll', '--overlay', field, '--from', old, '--out', file('pi-3'));
      expect(done.code, done.stderr).to.equal(0);
      expect(done.stderr).to.match(
        /^[0-9]+ keys of the old file are not in the new one: evio config import \S+ names them\n$/,
      );
      const config = loadNodeConfig(file('pi-3'));
      expect(config.name).to.equal('pi-3');
      expect(config.identity.certificate.addresses[0]).to.deep.include({ address: '10.10.100.3', length: 24 });
      expect(config.signalling).to.deep.include({ domain: DOMAIN, username: 'pi-3.field' });
      expect(config.signalling.service).to.deep.include({ tls: 'starttls', host: B, port: PORTS.starttls });
      expect(config.ice.stun).to.deep.equal([...STUN, 'stun.l.google.com:19302', 'stun1.l.google.com:19302']);
      expect(config.network).to.deep.include({
        bridge: 'appA0FB389',
        tap: 'appA0FB389-tap',
        excludeInterfaces: ['docker0', 'flannel.1', 'cni0'],
      });
      expect(config.topology).to.deep.include({ successors: 2, longDistance: 3, onDemand: 1 });
      expect(readFileSync(file('pi-3'), 'utf8')).not.to.match(/old-(xmpp|turn)-secret/);
      (await login(json(file('pi-3')))).close();
    });

    it('keeps what it took from an old file when the certificate is renewed', async () => {
      const before = json<NodeFileInput>(file('pi-3'));
      const renewed = await evio('node', 'enroll', 'pi-3', '--overlay', field, '--out', file('pi-3'), '--renew');
      expect(renewed.code, renewed.stderr).to.equal(0);
      const after = json<NodeFileInput>(file('pi-3'));
      for (const key of ['network', 'topology', 'log'] as const) expect(after[key]).to.deep.equal(before[key]);
      expect(after.identity.certificate).not.to.equal(before.identity.certificate);
    });

    it('takes an old file and stays with the new server, and says so, where the old one does not let the new account in', async () => {
      const elsewhere = written('elsewhere', ({ OverlayVisualizer, BridgeController: { Overlays } }) => {
        OverlayVisualizer.NodeName = 'pi4';
        Overlays.A0FB389.NetDevice.AppBridge.IP4 = '10.10.100.4';
      });
      const [admin] = [json<Admin>(join(dir, 'admin.json'))];
      const done = await evio('node', 'enroll', '--overlay', field, '--from', elsewhere, '--out', file('pi4'));
      expect(done.code, done.stderr).to.equal(0);
      expect(done.stderr.split('\n')[1]).to.match(
        /^the XMPP server is xmpps:\/\/127\.0\.45\.1:15223, not xmpps:\/\/xmpp\.evio\.example:5223 of the old file: .+$/,
      );
      expect(json<NodeFileInput>(file('pi4')).signalling.service).to.equal(admin.service);
    });

    it('refuses an old address of another subnet, and an old file that is none, without leaving anything', async () => {
      const outside = written('outside', ({ OverlayVisualizer }) => {
        OverlayVisualizer.NodeName = 'pi5';
      });
      const refused5 = await evio('node', 'enroll', '--overlay', lab, '--from', outside, '--out', file('pi5'));
      expect([refused5.code, refused5.stderr]).to.deep.equal([
        2,
        'evio: --from: the old address 10.10.100.3 cannot be kept (outside 10.45.0.0/16); give --address4, or make the overlay with --subnet4 10.10.100.0/24\n',
      ]);
      expect(existsSync(file('pi5'))).to.equal(false);
      const none = await evio('node', 'enroll', 'pi6', '--overlay', lab, '--from', file('n1'), '--out', file('pi6'));
      expect([none.code, none.stderr]).to.deep.equal([
        2,
        `${file('n1')}: it is a node file of this Evio already; use it as it is\n`,
      ]);
    });

    it('reads an old file from standard input too', async () => {
      const shell = (command: string) => program('sh', '-c', command, process.execPath, MAIN, OLD);
      const piped = await shell('"$0" "$1" config import - -o json <"$2"');
      expect(piped.code, piped.stderr).to.equal(0);
      expect(JSON.parse(piped.stdout)).to.deep.include({ version: '24.1', overlay: 'A0FB389', name: 'pi-3' });
      const empty = await shell('"$0" "$1" config import - </dev/null');
      expect([empty.code, empty.stdout, empty.stderr]).to.deep.equal([
        2,
        '',
        'standard input: not JSON at line 1, column 1: it is empty\n',
      ]);
    });

    it('says what is wrong with the administrator file', async () => {
      const bad = join(place.dir, 'bad.json');
      writeFileSync(bad, JSON.stringify({ ...json<Admin>(join(dir, 'admin.json')), password: 'hunter2' }));
      const wrong = await evio('overlay', 'create', 'other', '--server', bad, '--dir', join(place.dir, 'other'));
      expect(wrong.code).to.equal(1);
      expect(wrong.stderr)
        .to.match(/^evio: [^\n]*password[^\n]*\n$/i)
        .and.not.to.contain('hunter2');
      const nothing = await evio(
        'overlay',
        'create',
        'other',
        '--server',
        '/nowhere',
        '--dir',
        join(place.dir, 'other'),
      );
      expect(nothing.stderr).to.equal(
        'evio: there is no administrator file /nowhere; copy admin.json from the server, or run evio server init there\n',
      );
    });

    it('starts a server that died again', async () => {
      const pid = children(server.child.pid as number).find((p) =>
        readFileSync(`/proc/${p}/cmdline`, 'utf8').includes('turnserver'),
      );
      process.kill(pid as number, 'SIGKILL');
      await server.until('coturn is back', (lines) => lines.filter((l) => l.startsWith('coturn: ready')).length === 2);
    });

    it('lets the nodes in by their old files after it lost its accounts and the room, once the overlay is restored', async () => {
      const pid = children(server.child.pid as number).find((p) =>
        readFileSync(`/proc/${p}/cmdline`, 'utf8').match(kind.program),
      );
      process.kill(pid as number, 'SIGKILL');
      rmSync(join(dir, kind.xmpp, 'data'), { recursive: true });
      // The administrator's account comes back with the server's own set-up.
      expect((await init(dir)).code).to.equal(0);
      await server.until(
        `${kind.xmpp} is back`,
        (lines) => lines.filter((l) => l.startsWith(`${kind.xmpp}: ready`)).length >= 2,
      );
      expect(await refused(login(json(file('n1'))))).to.match(
        /refuses the password of n1.lab@.* \(not-authorized\): renew the node, or .* "evio overlay restore"$/,
      );
      const restored = await evioJson<{ roomMade: boolean; nodes: string[] }>('overlay', 'restore', lab);
      expect(restored).to.deep.include({ roomMade: true, nodes: ['n1', 'n2'] });
      for (const name of ['n1', 'n2b']) (await login(json(file(name)))).close();
      expect(await refused(login(json(file('n2'))))).to.match(/refuses the password/);
      const again = await evioJson<{ roomMade: boolean }>('overlay', 'restore', lab);
      expect(again.roomMade).to.equal(false);
      (await login(json(file('n1')))).close();
    });

    it('takes both servers with it, however it ends', async () => {
      const kept = children(server.child.pid as number);
      expect(kept).to.have.length(2);
      expect(await server.end('SIGINT')).to.equal(0);
      expect(kept.filter((pid) => existsSync(`/proc/${pid}`))).to.deep.equal([]);

      server = new RunningServer(dir, kind.xmpp);
      await server.ready();
      (await login(json(file('n1')))).close();
      const orphans = children(server.child.pid as number);
      await server.end('SIGKILL');
      for (let i = 0; i < 100 && orphans.some((pid) => existsSync(`/proc/${pid}`)); i++) await sleep(50);
      expect(orphans.filter((pid) => existsSync(`/proc/${pid}`))).to.deep.equal([]);
    });

    it('gives way to the other XMPP server: the overlay is restored there, and the nodes keep their files', async () => {
      const other = kind.xmpp === 'prosody' ? 'ejabberd' : 'prosody';
      expect((await init(dir, '--xmpp', other)).code).to.equal(0);
      server = new RunningServer(dir, other);
      await server.ready();
      expect(await refused(login(json(file('n1'))))).to.match(/refuses the password/);
      await evioJson('overlay', 'restore', lab);
      (await login(json(file('n1')))).close();
    });
  });
}
