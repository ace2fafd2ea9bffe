/** The XMPP adapters against real servers: Prosody, ejabberd. */
import { expect } from 'chai';
import type { XmppRoomOptions } from '../../agent/src/io/xmpp.ts';
import { XmppAdmin } from '../../agent/src/io/xmpp-admin.ts';
import { startEjabberd } from '../servers/ejabberd.ts';
import { startProsody } from '../servers/prosody.ts';
import { CONFERENCE, type XmppServer, type XmppServerOptions } from '../servers/xmpp-server.ts';
import { accountOf, adminOf, Interceptor, nickOf, Occupant, ROOM, roomOfOne, until } from './room.ts';

const SERVERS: readonly (readonly [string, (options?: XmppServerOptions) => Promise<XmppServer>])[] = [
  ['Prosody', startProsody],
  ['ejabberd', startEjabberd],
];

for (const [name, startXmpp] of SERVERS) {
  describe(`XMPP with a real ${name}`, () => {
    let server: XmppServer;
    let admin: XmppAdmin;
    const occupants: Occupant[] = [];
    const proxies: Interceptor[] = [];

    const enter = (options: XmppRoomOptions, hello?: string): Occupant => {
      const occupant = new Occupant(options, hello);
      occupants.push(occupant);
      return occupant;
    };
    const proxy = async (port: number, change?: (text: string) => string): Promise<Interceptor> => {
      const started = await Interceptor.start(port, change);
      proxies.push(started);
      return started;
    };
    const node = (n: number): XmppRoomOptions => accountOf(server, n);

    before(async () => {
      server = await startXmpp();
      admin = await adminOf(server);
      await admin.createRoom(ROOM);
      for (const n of [1, 2, 3]) {
        await admin.addUser(`node${n}`, `password ${n}`);
        if (n < 3) await admin.addMember(ROOM, `node${n}`);
      }
    });

    afterEach(() => {
      for (const occupant of occupants.splice(0)) occupant.room.stop();
      for (const p of proxies.splice(0)) p.stop();
    });

    after(async () => {
      admin?.close();
      await server?.stop();
    });

    describe('the room', () => {
      it('two nodes see each other with their hellos, and messages go from one to the other only', async () => {
        const a = enter(node(1), 'aGVsbG8gYQ==');
        await a.online();
        const b = enter({ ...node(2), service: server.starttlsService }, 'aGVsbG8gYg==');
        await b.online();
        const seen = (o: Occupant, n: number) =>
          o.events.find((e) => e.kind === 'presence' && e.nick === nickOf(n) && e.available);
        await until(
          () => seen(a, 2) !== undefined && seen(b, 1) !== undefined,
          () => 'they do not see each other',
        );
        expect(seen(a, 2)).to.include({ hello: 'aGVsbG8gYg==' });
        expect(seen(b, 1)).to.include({ hello: 'aGVsbG8gYQ==' });
        a.room.perform({ kind: 'send-message', nick: nickOf(2), payload: 'c2VhbGVk' });
        await until(
          () => b.events.some((e) => e.kind === 'message'),
          () => 'no message',
        );
        expect(b.events.at(-1)).to.deep.equal({ kind: 'message', nick: nickOf(1), payload: 'c2VhbGVk' });
        expect(a.events.some((e) => e.kind === 'message')).to.equal(false);
      });

      it('a node that leaves is seen to leave, and a message to it comes back', async () => {
        const [a, b] = [enter(node(1)), enter(node(2))];
        await Promise.all([a.online(), b.online()]);
        b.room.stop();
        await until(
          () => a.events.some((e) => e.kind === 'presence' && !e.available),
          () => 'not seen to leave',
        );
        a.room.perform({ kind: 'send-message', nick: nickOf(2), payload: 'c2VhbGVk' });
        await until(
          () => a.events.some((e) => e.kind === 'undeliverable'),
          () => 'the message did not come back',
        );
      });

      it('services come with credentials and an end', async () => {
        const a = enter(node(1));
        await until(
          () => a.services !== undefined,
          () => 'no services',
        );
        const turn = a.services?.find((s) => s.type === 'turn');
        expect(turn).to.include({ host: '192.0.2.9', port: 3478, transport: 'udp' });
        expect(turn?.username).to.match(/^[0-9]+/);
        expect(turn?.password).to.be.a('string');
        expect(turn!.expires! - Date.now()).to.be.within(500_000, 700_000);
      });

      it('a second connection of one node takes the place of the first', async () => {
        const [first, watcher] = [enter(node(1), 'b25l'), enter(node(2))];
        await Promise.all([first.online(), watcher.online()]);
        first.room.perform({ kind: 'send-presence', hello: 'b25lIG1vcmU=' });
        enter(node(1), 'dHdv');
        await until(
          () => watcher.events.some((e) => e.kind === 'presence' && e.hello === 'dHdv'),
          () => 'the second is not seen',
        );
        expect(await first.failure()).to.match(/used elsewhere/);
      });

      it('a node that is no member is told so', async () => {
        expect(await enter(node(3)).failure()).to.equal(
          `node3@evio.test is not a member of ${ROOM}: enrol the node again`,
        );
      });

      it('a membership that ends, ends the presence', async () => {
        await admin.addMember(ROOM, 'node3');
        const c = enter(node(3));
        await c.online();
        await admin.removeMember(ROOM, 'node3');
        expect(await c.failure()).to.match(/is not a member of .* any more/);
      });

      it('a room that does not exist is reported, not made', async () => {
        const room = `nobody@${CONFERENCE}`;
        expect(await enter({ ...node(1), room }).failure()).to.match(/the room nobody@.* does not exist/);
        // An administrator may make rooms: an agent with such an account undoes it.
        const asAdmin = { ...node(1), ...server.admin, room };
        expect(await enter(asAdmin).failure()).to.match(/does not exist: make it/);
        expect(await admin.createRoom(room)).to.equal(true);
        await admin.destroyRoom(room);
      });

      it('a room service that does not exist is reported', async () => {
        expect(await enter({ ...node(1), room: 'lab@rooms.evio.test' }).failure()).to.match(
          /does not exist|cannot join|Access denied by service policy/,
        );
      });
    });

    describe('administration', () => {
      it('everything can be done twice', async () => {
        expect(await admin.createRoom(ROOM)).to.equal(false);
        expect(await admin.addUser('node1', 'another')).to.equal(false);
        await admin.addMember(ROOM, 'node1');
        expect(await admin.members(ROOM)).to.include('node1@evio.test');
        await enter(node(1)).online();
      });

      it('a changed password is the one that counts, and a deleted account is gone', async () => {
        await admin.addUser('node9', 'old');
        await admin.addMember(ROOM, 'node9');
        await admin.changePassword('node9', 'new');
        const options = { ...node(9), password: 'new' };
        await enter(options).online();
        await admin.deleteUser('node9');
        expect(await enter(options).failure()).to.match(/refuses the password of node9@evio.test/);
      });

      it('who is no administrator is told so', async () => {
        const { service, domain, ca } = server;
        const other = await XmppAdmin.connect({ service, domain, ca, username: 'node2', password: 'password 2' });
        try {
          await other.addUser('x', 'y').then(
            () => expect.fail('it was allowed'),
            (error) => expect(String(error)).to.match(/cannot make the account x@evio.test: .*administrator/),
          );
        } finally {
          other.close();
        }
      });
    });

    describe('what goes wrong', () => {
      it('a wrong password is one clear line without the password', async () => {
        const line = await enter({ ...node(1), password: 'a wrong secret' }).failure();
        expect(line).to.match(/refuses the password of node1@evio.test .*renew the node/);
        expect(line).not.to.include('a wrong secret');
      });

      it('a server that is away', async () => {
        expect(await enter({ ...node(1), service: 'xmpps://127.0.0.1:1' }).failure()).to.equal(
          'cannot reach xmpps://127.0.0.1:1: nothing listens there',
        );
      });

      it('a certificate by an authority that is not ours', async () => {
        const { ca: _, ...withoutCa } = node(1);
        expect(await enter(withoutCa).failure()).to.match(/unknown authority: set "ca"/);
        expect(await enter({ ...withoutCa, service: server.starttlsService }).failure()).to.match(/unknown authority/);
      });

      it('a domain that the server does not serve', async () => {
        for (const service of [server.service, server.starttlsService])
          expect(await enter({ ...node(1), service, domain: 'other.test' }).failure()).to.match(
            // ejabberd shows a certificate all the same.
            service === server.service && name === 'ejabberd'
              ? /certificate of .* is not for the domain "other.test"/
              : /does not serve the domain "other.test": look at "domain"/,
          );
      });

      it('a proxy that strips STARTTLS learns nothing', async () => {
        const stripping = await proxy(server.port, (text) => text.replace(/<starttls.*?<\/starttls>/s, ''));
        const options = { ...node(1), service: `xmpp://127.0.0.1:${stripping.port}` };
        expect(await enter(options).failure()).to.match(/offers no STARTTLS: nothing was sent/);
        expect(stripping.heard).to.match(/^<\?xml[^>]*><stream:stream[^>]*>$/);
        expect(stripping.heard).not.to.match(/node1|auth|presence/);
      });

      it('a proxy that adds words to the start of TLS is found out', async () => {
        const adding = await proxy(server.port, (text) => text.replace(/<proceed[^>]*>/, '$&<presence from="x"/>'));
        expect(await enter({ ...node(1), service: `xmpp://127.0.0.1:${adding.port}` }).failure()).to.match(
          /refused STARTTLS: nothing was sent/,
        );
      });

      it('a proxy that offers PLAIN only cannot be, because it cannot read the stream', async () => {
        const reading = await proxy(server.port, (text) => text.replace(/SCRAM-SHA-1/g, 'PLAIN'));
        await enter({ ...node(1), service: `xmpp://127.0.0.1:${reading.port}` }).online();
        expect(reading.heard).not.to.match(/node1|password/);
      });

      it('a server without TLS is refused on the direct port too', async () => {
        const service = `xmpps://127.0.0.1:${server.port}`;
        expect(await enter({ ...node(1), service }).failure()).to.match(/no TLS with|closed the connection/);
      });
    });
  });

  describe(`XMPP when ${name} goes away`, () => {
    it('a killed server is noticed at once and found again when it is back', async () => {
      const server = await startXmpp();
      const occupants: Occupant[] = [];
      try {
        await roomOfOne(server);
        const a = new Occupant(accountOf(server, 1));
        occupants.push(a);
        await a.online();
        await server.kill();
        await until(
          () => a.events.some((e) => e.kind === 'disconnected'),
          () => 'not noticed',
          1_000,
        );
        await server.start();
        await a.online();
        expect(a.events.filter((e) => e.kind === 'connected').length).to.be.at.least(2);
      } finally {
        for (const occupant of occupants) occupant.room.stop();
        await server.stop();
      }
    });

    it('a server that falls silent is left within 12 s of the next message', async function () {
      this.timeout(30_000);
      const server = await startXmpp();
      const frozen = await Interceptor.start(server.directPort);
      let a: Occupant | undefined;
      try {
        await roomOfOne(server);
        a = new Occupant({ ...accountOf(server, 1), service: `xmpps://127.0.0.1:${frozen.port}` });
        await a.online();
        await frozen.quiet();
        frozen.frozen = true;
        a.room.perform({ kind: 'send-message', nick: nickOf(2), payload: 'c2VhbGVk' });
        await until(
          () => a!.events.some((e) => e.kind === 'disconnected'),
          () => 'not noticed',
          14_000,
        );
        frozen.frozen = false;
        await a.online();
      } finally {
        a?.room.stop();
        frozen.stop();
        await server.stop();
      }
    });

    for (const [why, options, line] of [
      ['an expired certificate', { expired: true }, /certificate of .* has expired: renew it/],
      ['a certificate for another name', { names: ['a.test'] }, /certificate of .* is not for the domain "evio.test"/],
    ] as const)
      it(`${why} is one clear line`, async () => {
        const server = await startXmpp(options);
        const a = new Occupant(accountOf(server, 1));
        try {
          expect(await a.failure()).to.match(line);
        } finally {
          a.room.stop();
          await server.stop();
        }
      });
  });
}
