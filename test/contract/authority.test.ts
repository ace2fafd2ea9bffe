/** `evio authority serve` at real servers, and who asks it something else than it is for. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import xml from '@xmpp/xml';
import { expect } from 'chai';
import { loadNodeConfig } from '../../agent/src/config/load.ts';
import { JoinService } from '../../agent/src/io/join-service.ts';
import { answerIn, questionOf } from '../../agent/src/io/join-stanza.ts';
import { XmppRoom } from '../../agent/src/io/xmpp.ts';
import type { XmppAdmin } from '../../agent/src/io/xmpp-admin.ts';
import { StanzaError } from '../../agent/src/io/xmpp-error.ts';
import { openSession, type XmppSession } from '../../agent/src/io/xmpp-session.ts';
import { authorityJid, NS_JOIN } from '../../agent/src/join/address.ts';
import { papersOf } from '../../agent/src/join/papers.ts';
import { overlayIdOf } from '../../agent/src/wire/ids.ts';
import { authorityAccountName, NO_SECRET, sealRequest } from '../../agent/src/wire/join-message.ts';
import { generatePrivateKey, privateKey, rawPublicKey } from '../../agent/src/wire/keys.ts';
import { AuthorityService } from '../../cli/src/authority/serve.ts';
import { createToken } from '../../cli/src/authority/tokens.ts';
import { askAuthority } from '../../cli/src/join/ask.ts';
import { join as joinOverlay } from '../../cli/src/join/join.ts';
import { leave } from '../../cli/src/join/leave.ts';
import { OverlayDirectory } from '../../cli/src/overlay/book.ts';
import { createOverlay, parseSubnet } from '../../cli/src/overlay/create.ts';
import { startEjabberd } from '../servers/ejabberd.ts';
import { startProsody } from '../servers/prosody.ts';
import { CONFERENCE, DOMAIN, type XmppServer } from '../servers/xmpp-server.ts';
import { adminOf, until } from './room.ts';

const SERVERS: readonly (readonly [string, () => Promise<XmppServer>])[] = [
  ['Prosody', startProsody],
  ['ejabberd', startEjabberd],
];

for (const [title, startXmpp] of SERVERS)
  describe(`the authority of an overlay, with a real ${title}`, function () {
    this.timeout(60_000);
    let server: XmppServer;
    let admin: XmppAdmin;
    let dir: string;
    let overlay: string;
    let service: AuthorityService;
    let log: string[] = [];
    let strangers: XmppSession[] = [];

    before(async () => {
      server = await startXmpp();
      admin = await adminOf(server);
      dir = mkdtempSync(join(tmpdir(), 'evio-authority-'));
      overlay = join(dir, 'lab');
      const { domain, ca, admin: account } = server;
      // STARTTLS, which a token has a flag for.
      const file = { apiVersion: 'evio-admin/1', service: server.starttlsService, domain, ca, ...account };
      writeFileSync(join(dir, 'admin.json'), JSON.stringify({ ...file, conference: CONFERENCE, stun: [] }), {
        mode: 0o600,
      });
      await createOverlay({
        name: 'lab',
        dir: overlay,
        server: join(dir, 'admin.json'),
        subnet4: parseSubnet('--subnet4', '10.45.0.0/16', 4),
        subnet6: undefined,
        mtu: 1400,
        topology: { successors: 2, longDistance: 'auto', onDemand: 8, fullMesh: 'auto' },
      });
      await admin.addUser('stranger', 'password of a stranger');
    });
    beforeEach(async () => {
      log = [];
      service = serving(3_600);
      await said(/^answers for overlay/);
    });
    afterEach(async () => {
      for (const stranger of strangers) stranger.close();
      strangers = [];
      await service.stop();
    });
    after(async () => {
      admin?.close();
      await server?.stop();
      if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
    });

    function serving(validSeconds: number): AuthorityService {
      const say = (message: string): void => void log.push(message);
      const made = new AuthorityService(overlay, validSeconds, { error: say, warn: say, info: say, debug: say });
      made.start();
      return made;
    }
    async function said(words: RegExp, times = 1): Promise<void> {
      const end = performance.now() + 25_000;
      while (log.filter((line) => words.test(line)).length < times) {
        if (performance.now() > end) throw new Error(`it did not say ${words}: ${log.join('\n')}`);
        await sleep(20);
      }
    }
    const overlayId = (): string => overlayIdOf(rawPublicKey(new OverlayDirectory(overlay).authority()));
    const joins = async (name: string): Promise<string> => {
      const { token } = await createToken(overlay, { uses: 1, lifeSeconds: 600 });
      const config = join(dir, `${name}.json`);
      const place = { runDir: undefined, stateDir: undefined, config, start: false, nodeIp: undefined };
      await joinOverlay({ token, name, addresses: [], ...place });
      return loadNodeConfig(config).identity.certificate.name;
    };
    const leaves = async (name: string): Promise<void> => {
      const { identity, signalling, overlay: papers } = loadNodeConfig(join(dir, `${name}.json`));
      const { authorityKey } = papers.parameters;
      const certificate = identity.certificate.bytes.toString('base64');
      const key = privateKey('ed25519', identity.seed.reveal());
      const asked = sealRequest({ type: 'leave', certificate }, authorityKey, key, NO_SECRET);
      const sessionKey = privateKey('x25519', identity.sessionKey.reveal());
      const account = { ...signalling, service: signalling.service.url, password: signalling.password.reveal() };
      const answer = await askAuthority({ account, authorityKey, asked, sessionKey }, ({ type }) => type);
      expect(answer).to.equal('left');
    };
    const stranger = async (): Promise<XmppSession> => {
      const account = { username: 'stranger', password: 'password of a stranger', ca: server.ca, domain: DOMAIN };
      const session = await openSession(
        { ...account, service: server.service, renewal: '', signal: AbortSignal.timeout(10_000) },
        { stanza: () => undefined, received: () => undefined, closed: () => undefined },
      );
      strangers.push(session);
      return session;
    };
    const asked = (session: XmppSession, child: ReturnType<typeof xml>): Promise<string> =>
      session.iq('set', authorityJid(overlayId(), DOMAIN), child).then(
        () => 'answered',
        (error) => (error instanceof StanzaError ? error.condition : String(error)),
      );

    it('answers by STARTTLS as well', async () => {
      expect(await joins('one')).to.equal('one');
    });

    it('has its account again when the server has lost it', async () => {
      await admin.deleteUser(authorityAccountName(overlayId()));
      await said(/^answers for overlay/, 2);
      expect(await joins('two')).to.equal('two');
    });

    it('says no to rubbish, and to an account without a token that says it has its answer, and goes on', async () => {
      const session = await stranger();
      const evio = (text: string) => xml('evio', { xmlns: NS_JOIN }, text);
      for (const text of ['', 'x', 'RVZKMQ==', Buffer.alloc(200, 1).toString('base64')])
        expect(await asked(session, evio(text)), text).to.equal('bad-request');
      expect(await asked(session, xml('query', { xmlns: 'jabber:iq:roster' }))).to.equal('service-unavailable');
      expect(await asked(session, xml('done', { xmlns: NS_JOIN }))).to.equal('answered');
      expect(await joins('three')).to.equal('three');
    });

    it('troubles its desk with the word of nobody but who has an account that is to end', async () => {
      const confirmed: string[] = [];
      const authority = generatePrivateKey('ed25519');
      const own = new JoinService({
        ...{ service: server.service, domain: DOMAIN, ca: server.ca, authority },
        log: { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined },
        makeAccount: async (username, password) => void (await admin.addUser(username, password)),
        desk: {
          answer: () => Promise.reject(new Error('nobody asks')),
          awaits: (username) => username === awaited,
          confirm: async (username) => void confirmed.push(username),
          tidy: async () => undefined,
          news: () => ({ mark: '', usernames: [] }),
        },
      });
      let awaited = '';
      own.start();
      try {
        const session = await stranger();
        const to = authorityJid(overlayIdOf(rawPublicKey(authority)), DOMAIN);
        const says = () =>
          session.iq('set', to, xml('done', { xmlns: NS_JOIN })).then(
            () => true,
            () => false,
          );
        while (!(await says())) await sleep(50);
        expect(confirmed).to.deep.equal([]);
        awaited = 'stranger';
        expect(await says()).to.equal(true);
        await sleep(0);
        expect(confirmed).to.deep.equal(['stranger']);
      } finally {
        await own.stop();
      }
    });

    it('renews a certificate for the node itself, over its own connection to the room, and tells it of who left', async () => {
      await service.stop();
      // Two thirds of it are over when the node asks.
      service = serving(3);
      await said(/^answers for overlay/, 2);
      await joins('renewing');
      await joins('leaving');
      const config = loadNodeConfig(join(dir, 'renewing.json'));
      const { identity, signalling, overlay: papers } = config;
      const { authorityKey, overlayId } = papers.parameters;
      let news = 0;
      const account = { ...signalling, service: signalling.service.url, password: signalling.password.reveal() };
      const authority = authorityJid(overlayId, DOMAIN);
      const room = new XmppRoom(
        { ...account, nickname: identity.certificate.nodeId, authority },
        {
          event: (event) => event.kind === 'connected' && room.perform({ kind: 'send-presence', hello: 'hello' }),
          services: () => undefined,
          state: () => undefined,
          news: () => news++,
        },
      );
      room.start();
      try {
        await until(
          () => room.state.state === 'online',
          () => `the room: ${room.state.error}`,
        );
        await sleep(Math.max(0, identity.certificate.notBefore * 1000 + 2_000 - Date.now()));
        const before = news;
        await leaves('leaving');
        await until(
          () => news > before,
          () => 'nobody told the node that there is news',
        );
        const { bytes } = identity.certificate;
        const body = { type: 'renew', certificate: bytes.toString('base64'), parameters: 1, revocations: 0 } as const;
        const key = privateKey('ed25519', identity.seed.reveal());
        const asked = sealRequest(body, authorityKey, key, NO_SECRET);
        const session = privateKey('x25519', identity.sessionKey.reveal());
        const answer = answerIn(await room.askAuthority(questionOf(asked), 10_000), asked, authorityKey, session);
        if (answer.type !== 'renewed') throw new Error(JSON.stringify(answer));
        const { certificate, revocations, parameters } = papersOf(answer, config);
        expect(certificate?.serial).to.equal(identity.certificate.serial + 2n);
        expect([revocations?.revoked.length, parameters]).to.deep.equal([1, undefined]);
      } finally {
        room.stop();
      }
      await service.stop();
      const asked = room.askAuthority(xml('evio', { xmlns: NS_JOIN }), 1_000);
      expect(await asked.then(String, (error) => error.message)).to.include('not connected');
    });

    it('lets a node leave whose newest certificate never arrived, also when the server sent its request once more', async () => {
      await service.stop();
      service = serving(3);
      await said(/^answers for overlay/, 2);
      await joins('behind');
      const file = join(dir, 'behind.json');
      const { identity, signalling, overlay: papers } = loadNodeConfig(file);
      const { authorityKey } = papers.parameters;
      await sleep(Math.max(0, identity.certificate.notBefore * 1000 + 2_000 - Date.now()));
      const certificate = identity.certificate.bytes.toString('base64');
      const key = privateKey('ed25519', identity.seed.reveal());
      const body = { type: 'renew', certificate, parameters: 1, revocations: 0 } as const;
      const asked = sealRequest(body, authorityKey, key, NO_SECRET);
      const sessionKey = privateKey('x25519', identity.sessionKey.reveal());
      const account = { ...signalling, service: signalling.service.url, password: signalling.password.reveal() };
      // The same bytes twice; neither answer is written down.
      for (let times = 0; times < 2; times++)
        expect(await askAuthority({ account, authorityKey, asked, sessionKey }, ({ type }) => type)).to.equal(
          'renewed',
        );
      expect(log.filter((line) => /^behind\.lab: node behind has certificate \d+ until/.test(line))).to.have.length(1);
      expect(await leave(file)).to.deep.include({ name: 'behind', why: null });
    });

    it('gives one account its share, and answers others meanwhile', async () => {
      const session = await stranger();
      const answers = await Promise.all(
        Array.from({ length: 80 }, () => asked(session, xml('evio', { xmlns: NS_JOIN }, 'x'))),
      );
      expect(answers.filter((one) => one === 'bad-request').length).to.be.within(40, 75);
      expect(answers.filter((one) => one === 'resource-constraint').length).to.be.above(4);
      expect(await joins('four')).to.equal('four');
    });
  });
