/** A room with greeters on real servers: an overlay of a few nodes that takes itself for a large one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { isSeat } from '../../agent/src/signal/lobby.ts';
import { startEjabberd } from '../servers/ejabberd.ts';
import { startProsody } from '../servers/prosody.ts';
import type { XmppServer, XmppServerOptions } from '../servers/xmpp-server.ts';
import { Lab } from './greeters/member.ts';
import { accountOf, adminOf, Occupant, ROOM, until } from './room.ts';

const SERVERS: readonly (readonly [string, (options?: XmppServerOptions) => Promise<XmppServer>])[] = [
  ['Prosody', startProsody],
  ['ejabberd', startEjabberd],
];
const SIZE = 7;
const GREETING = { above: 4, greeters: 2 };
const WITHIN_MS = 30_000;

for (const [name, start] of SERVERS) {
  describe(`greeters in a room of a real ${name}`, function () {
    this.timeout(60_000);
    let server: XmppServer;
    let lab: Lab;
    let watcher: Occupant | undefined;

    before(async () => {
      server = await start();
      const admin = await adminOf(server);
      await admin.createRoom(ROOM);
      for (let n = 1; n <= SIZE + 2; n++) {
        await admin.addUser(`node${n}`, `password ${n}`);
        await admin.addMember(ROOM, `node${n}`);
      }
      admin.close();
      lab = new Lab(server, GREETING);
    });

    after(async () => {
      watcher?.room.stop();
      lab?.stop();
      await server?.stop();
    });

    /** Who is in the room, as one sees who comes into it. */
    const occupants = async (): Promise<readonly string[]> => {
      watcher = new Occupant(accountOf(server, SIZE + 2));
      await watcher.online();
      await sleep(300);
      watcher.room.stop();
      const there = new Set<string>();
      for (const event of watcher.events) {
        // ejabberd has a presence of the room itself.
        if (event.kind !== 'presence' || event.nick === '') continue;
        if (event.available) there.add(event.nick);
        else there.delete(event.nick);
      }
      return [...there].filter((nick) => nick !== accountOf(server, SIZE + 2).nickname);
    };
    const reports = () => lab.members.flatMap((member) => member.reports).join('; ');

    it('all find each other, and the room is left to the greeters', async () => {
      for (let n = 1; n <= SIZE; n++) lab.add(n);
      await until(
        () => lab.ringClosed && lab.members.every((member) => member.knows === SIZE - 1),
        () => `no closed ring; ${lab.members.map((m) => `${m.tunnels.size}/${m.knows}`).join(' ')} ${reports()}`,
        WITHIN_MS,
      );
      let there = await occupants();
      for (const end = Date.now() + WITHIN_MS; there.length > GREETING.greeters && Date.now() < end; )
        there = await occupants();
      expect(there.filter(isSeat)).to.deep.equal([]);
      expect(there).to.have.length.within(1, GREETING.greeters);
      for (const nick of there) expect(lab.member(nick)).to.not.equal(undefined);
      expect(reports()).to.equal('');
    });

    it('a newcomer is made known to those beside it, who write to its account, and leaves', async () => {
      const before = lab.members.map((member) => member.directs);
      const newcomer = lab.add(SIZE + 1);
      await until(
        () => lab.ringClosed && newcomer.knows === SIZE,
        () =>
          `no closed ring; the newcomer has ${newcomer.tunnels.size} tunnels and knows ${newcomer.knows}; ${reports()}`,
        WITHIN_MS,
      );
      const after = lab.members.map((member) => member.directs);
      expect(after.filter((count, i) => count > (before[i] ?? 0))).to.not.deep.equal([]);
      let there = await occupants();
      for (const end = Date.now() + WITHIN_MS; there.length > GREETING.greeters && Date.now() < end; )
        there = await occupants();
      expect(there).to.have.length.within(1, GREETING.greeters);
      expect(reports()).to.equal('');
    });
  });
}
