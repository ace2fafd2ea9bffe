import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Accounts, accountPassword } from '../../../agent/src/io/xmpp-accounts.ts';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { addToken } from '../../../agent/src/join/tokens.ts';
import { parsePrefix } from '../../../agent/src/wire/address.ts';
import { verifyCertificate } from '../../../agent/src/wire/certificate.ts';
import { nodeIdOf } from '../../../agent/src/wire/ids.ts';
import {
  type AnswerBody,
  type JoinedBody,
  NO_SECRET,
  openRequest,
  type RenewedBody,
  type RequestBody,
  sealRequest,
} from '../../../agent/src/wire/join-message.ts';
import { tokenAccountName } from '../../../agent/src/wire/join-token.ts';
import { generatePrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { encodeParameters, MTU_AUTO } from '../../../agent/src/wire/parameters.ts';
import { fromBase64 } from '../../../agent/src/wire/reader.ts';
import { isRevoked } from '../../../agent/src/wire/revocations.ts';
import { type NodeEntry, OverlayDirectory } from '../overlay/book.ts';
import { OverlayDesk } from './desk.ts';

const NOW = Math.floor(Date.now() / 1000);
const ROOM = 'lab@conference.evio.test';

/** The server's accounts, and whether it is there. */
class FakeServer implements Accounts {
  readonly users = new Map<string, string>();
  readonly members = new Set<string>();
  away = false;

  readonly asAdmin = async (work: (accounts: Accounts) => Promise<void>): Promise<void> => {
    if (this.away) throw new XmppError('server-away', 'cannot reach it');
    await work(this);
  };

  async addMember(_room: string, username: string): Promise<void> {
    this.members.add(username);
  }
  async removeMember(_room: string, username: string): Promise<void> {
    this.members.delete(username);
  }
  async addUser(username: string, password: string): Promise<boolean> {
    if (this.users.has(username)) return false;
    this.users.set(username, password);
    return true;
  }
  async changePassword(username: string, password: string): Promise<void> {
    this.users.set(username, password);
  }
  async deleteUser(username: string): Promise<void> {
    if (!this.users.delete(username)) throw new XmppError('refused', 'no such account');
  }
}

class Machine {
  readonly identity = generatePrivateKey('ed25519');
  readonly session = generatePrivateKey('x25519');
  readonly id = nodeIdOf(rawPublicKey(this.identity));
}

describe('the authority at its desk', () => {
  const authority = generatePrivateKey('ed25519');
  const authorityKey = rawPublicKey(authority);
  const secret = Buffer.alloc(16, 5);
  let dir: string;
  let directory: OverlayDirectory;
  let server: FakeServer;
  let desk: OverlayDesk;

  const newDesk = (): OverlayDesk =>
    new OverlayDesk({
      directory: new OverlayDirectory(dir),
      server: { service: 'xmpps://192.0.2.1:5223', domain: 'evio.test', ca: undefined, stun: ['192.0.2.1:3478'] },
      asAdmin: server.asAdmin,
      validSeconds: 3_600,
    });

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'evio-desk-'));
    directory = new OverlayDirectory(dir);
    writeFileSync(
      join(dir, 'authority.key'),
      `${authority.export({ format: 'der', type: 'pkcs8' }).subarray(-32).toString('base64')}\n`,
      { mode: 0o600 },
    );
    const parameters = encodeParameters(
      {
        name: 'lab',
        serial: 1n,
        issued: NOW,
        mtu: MTU_AUTO,
        ciphers: ['aes-128-gcm'],
        subnet4: parsePrefix('10.45.0.0/29'),
        topology: { successors: 2, longDistance: 'auto', onDemand: 8, fullMesh: 'auto' },
      },
      authority,
    );
    directory.writeBook({
      apiVersion: 'evio-overlay/1',
      name: 'lab',
      server: '/nowhere/admin.json',
      room: ROOM,
      parameters: parameters.toString('base64'),
      nextSerial: 1,
      nodes: {},
    });
    server = new FakeServer();
    desk = newDesk();
    offer(1);
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  function offer(uses: number, of: Buffer = secret): string {
    const { book, token } = addToken(directory.readTokens(), of, { uses, lifeSeconds: 3_600 }, NOW);
    directory.writeTokens(book);
    server.users.set(tokenAccountName(token.id), '');
    return token.id;
  }

  const ask = async (
    machine: Machine,
    more: Partial<RequestBody> = {},
    of: Uint8Array = secret,
  ): Promise<AnswerBody> => {
    const body = {
      type: 'join',
      name: 'pi1',
      identityKey: rawPublicKey(machine.identity).toString('base64'),
      sessionKey: rawPublicKey(machine.session).toString('base64'),
      ...more,
    } as RequestBody;
    const request = openRequest(sealRequest(body, authorityKey, machine.identity, of).bytes, authority);
    return (await desk.answer(request, NOW)).answer;
  };
  const joins = async (...of: Parameters<typeof ask>): Promise<JoinedBody> => {
    const answer = await ask(...of);
    if (answer.type !== 'joined') throw new Error(JSON.stringify(answer));
    return answer;
  };
  const leaves = (machine: Machine, { certificate }: JoinedBody): Promise<AnswerBody> => {
    const asked = sealRequest({ type: 'leave', certificate }, authorityKey, machine.identity, NO_SECRET);
    return desk.answer(openRequest(asked.bytes, authority), NOW).then(({ answer }) => answer);
  };
  const renews = (machine: Machine, certificate: string, now: number, has = { parameters: 1, revocations: 0 }) => {
    const asked = sealRequest({ type: 'renew', certificate, ...has }, authorityKey, machine.identity, NO_SECRET);
    return desk.answer(openRequest(asked.bytes, authority), now);
  };
  const certificateOf = ({ certificate }: JoinedBody) => verifyCertificate(fromBase64(certificate), authorityKey, NOW);

  it('admits a machine: address, certificate for its own keys, account, member of the room', async () => {
    const machine = new Machine();
    const answer = await joins(machine);
    const certificate = certificateOf(answer);
    expect(certificate).to.deep.include({ name: 'pi1', nodeId: machine.id, notAfter: NOW + 3_600 });
    expect(certificate.addresses).to.deep.equal([parsePrefix('10.45.0.1/29')]);
    expect(Buffer.from(certificate.sessionKey).equals(rawPublicKey(machine.session))).to.equal(true);
    const password = accountPassword(authority, machine.id);
    expect(answer.account).to.deep.include({ username: 'pi1.lab', password, room: ROOM, domain: 'evio.test' });
    expect([server.users.get('pi1.lab'), server.members.has('pi1.lab')]).to.deep.equal([password, true]);
    expect(directory.readBook().nodes.pi1).to.deep.include({ id: machine.id, state: 'enrolled', serial: 1 });
  });

  it('keeps no secret of a token, in a file for its owner alone', async () => {
    await joins(new Machine());
    expect(statSync(directory.tokensPath).mode & 0o777).to.equal(0o600);
    const text = readFileSync(directory.tokensPath, 'utf8');
    for (const form of ['hex', 'base64', 'base64url'] as const) expect(text).not.to.include(secret.toString(form));
  });

  it('of many machines that join at one moment by a single-use token admits one', async () => {
    const machines = Array.from({ length: 8 }, () => new Machine());
    // Two services over one directory, as if one had been started twice.
    const desks = [desk, newDesk()];
    const answers = await Promise.all(
      machines.map((machine, i) => {
        const body = {
          type: 'join',
          name: `pi${i}`,
          identityKey: rawPublicKey(machine.identity).toString('base64'),
          sessionKey: rawPublicKey(machine.session).toString('base64'),
        } as const;
        const asked = sealRequest(body, authorityKey, machine.identity, secret);
        return desks[i % 2]?.answer(openRequest(asked.bytes, authority), NOW).then(({ answer }) => answer.type);
      }),
    );
    expect(answers.filter((one) => one === 'joined')).to.have.length(1);
    expect(answers.filter((one) => one === 'refused')).to.have.length(7);
    expect(Object.keys(directory.readBook().nodes)).to.have.length(1);
  });

  it('answers the same machine once more with the same certificate, also after a restart', async () => {
    const machine = new Machine();
    const first = await joins(machine);
    desk = newDesk();
    expect(await joins(machine)).to.deep.equal(first);
    expect(directory.readBook().nextSerial).to.equal(2);
    expect(await ask(new Machine(), { name: 'pi2' })).to.deep.include({ type: 'refused', reason: 'token' });
  });

  it('admits the same machine, and no other, once the server is back that was away', async () => {
    const machine = new Machine();
    server.away = true;
    expect(await ask(machine)).to.deep.include({ type: 'refused', reason: 'unavailable' });
    expect(directory.readBook().nodes.pi1?.state).to.equal('pending');
    server.away = false;
    expect(await ask(new Machine(), { name: 'pi2' })).to.deep.include({ type: 'refused', reason: 'token' });
    expect(certificateOf(await joins(machine)).nodeId).to.equal(machine.id);
    expect(directory.readBook().nodes.pi1?.state).to.equal('enrolled');
  });

  it('keeps the account of a token for a machine whose own could not be made, until that machine has joined', async () => {
    const machine = new Machine();
    const account = tokenAccountName(directory.readTokens().tokens[0]?.id ?? '');
    server.away = true;
    expect(await ask(machine)).to.deep.include({ type: 'refused', reason: 'unavailable' });
    server.away = false;
    await desk.tidy(NOW + 600);
    expect(server.users.has(account)).to.equal(true);
    await joins(machine);
    await desk.tidy(NOW + 600);
    expect(server.users.has(account)).to.equal(false);
  });

  it('refuses an address that is taken or outside, and none is left, without spending the token', async () => {
    const uses = Buffer.alloc(16, 6);
    offer(10, uses);
    const taken = { name: 'other', address4: '10.45.0.3' };
    await joins(new Machine(), taken, uses);
    expect(await ask(new Machine(), { address4: '10.45.0.3' })).to.deep.equal({
      type: 'refused',
      reason: 'address',
      message: '--address: 10.45.0.3 belongs to another node; give another address',
    });
    expect(await ask(new Machine(), { address4: '10.46.0.3' })).to.deep.include({ reason: 'address' });
    expect(await ask(new Machine(), { address6: 'fd00::1' })).to.deep.include({ reason: 'address' });
    for (const name of ['a', 'b', 'c', 'd', 'e']) await joins(new Machine(), { name }, uses);
    expect(await ask(new Machine())).to.deep.include({ reason: 'full' });
    expect(directory.readTokens().tokens[0]?.claims).to.deep.equal([]);
  });

  it('refuses a name that is taken, without spending the token', async () => {
    await joins(new Machine());
    const other = Buffer.alloc(16, 7);
    offer(1, other);
    expect(await ask(new Machine(), {}, other)).to.deep.include({ type: 'refused', reason: 'name' });
    expect((await joins(new Machine(), { name: 'pi2' }, other)).type).to.equal('joined');
  });

  it('ends the account of a token when its machine says that it has its answer, and else when the time is over', async () => {
    const id = directory.readTokens().tokens[0]?.id ?? '';
    await joins(new Machine());
    expect(await desk.tidy(NOW)).to.be.above(NOW);
    expect(server.users.has(tokenAccountName(id))).to.equal(true);
    expect(['stranger', 'pi1.lab', tokenAccountName(id)].map((one) => desk.awaits(one))).to.deep.equal([
      ...[false, false],
      true,
    ]);
    await desk.confirm(tokenAccountName(id), NOW);
    expect(server.users.has(tokenAccountName(id))).to.equal(false);
    expect(desk.awaits(tokenAccountName(id))).to.equal(false);

    const late = offer(1, Buffer.alloc(16, 8));
    await joins(new Machine(), { name: 'pi2' }, Buffer.alloc(16, 8));
    await desk.tidy(NOW + 61);
    expect(server.users.has(tokenAccountName(late))).to.equal(false);

    const unused = offer(1, Buffer.alloc(16, 9));
    await desk.tidy(NOW + 3_601);
    expect(server.users.has(tokenAccountName(unused))).to.equal(false);
    expect(directory.readTokens()).to.deep.include({ tokens: [], ending: [] });
  });

  it('forgets no account that it could not end while the server was away', async () => {
    const id = offer(1, Buffer.alloc(16, 9));
    server.away = true;
    await desk.tidy(NOW + 3_601).then(
      () => expect.fail('it went'),
      (error) => expect(error).to.be.instanceOf(XmppError),
    );
    server.away = false;
    desk = newDesk();
    await desk.tidy(NOW + 3_601);
    expect(server.users.has(tokenAccountName(id))).to.equal(false);
  });

  it('revokes a node that leaves: its certificate, its name and address are free, its account ends with its answer', async () => {
    const machine = new Machine();
    const joined = await joins(machine);
    expect(await leaves(machine, joined)).to.deep.equal({ type: 'left', serial: 1 });
    expect(isRevoked(directory.revocations(), machine.id, 1n)).to.equal(true);
    expect(directory.readBook().nodes.pi1?.state).to.equal('revoked');
    expect(server.users.has('pi1.lab')).to.equal(true);
    await desk.confirm('pi1.lab', NOW);
    expect([server.users.has('pi1.lab'), server.members.has('pi1.lab')]).to.deep.equal([false, false]);
    expect(await leaves(machine, joined)).to.deep.equal({ type: 'left', serial: 1 });
    // Its old token does not bring it back.
    expect(await ask(machine)).to.deep.include({ type: 'refused', reason: 'token' });
    const again = Buffer.alloc(16, 7);
    offer(1, again);
    expect(certificateOf(await joins(new Machine(), {}, again)).addresses).to.deep.equal([parsePrefix('10.45.0.1/29')]);
  });

  it('does not end the account of a node that has come back under the name of one that left', async () => {
    const machine = new Machine();
    await leaves(machine, await joins(machine));
    const again = Buffer.alloc(16, 7);
    offer(1, again);
    const back = new Machine();
    await joins(back, {}, again);
    await desk.tidy(NOW + 120);
    expect(server.users.get('pi1.lab')).to.equal(accountPassword(authority, back.id));
  });

  it('renews a certificate whose life is mostly over: keys, address and account stay, and it is the only one that is new', async () => {
    const machine = new Machine();
    const first = await joins(machine, { address4: '10.45.0.3' });
    expect((await renews(machine, first.certificate, NOW + 2_000)).answer).to.deep.equal({ type: 'renewed' });
    const { answer } = await renews(machine, first.certificate, NOW + 2_500);
    expect(Object.keys(answer)).to.deep.equal(['type', 'certificate']);
    const { certificate = '' } = answer as RenewedBody;
    const renewed = verifyCertificate(fromBase64(certificate), authorityKey, NOW + 2_500);
    expect(renewed).to.deep.include({ name: 'pi1', nodeId: machine.id, serial: 2n, notAfter: NOW + 2_500 + 3_600 });
    expect(renewed.addresses).to.deep.equal(certificateOf(first).addresses);
    expect(Buffer.from(renewed.sessionKey).equals(rawPublicKey(machine.session))).to.equal(true);
    expect(directory.readBook().nodes.pi1).to.deep.include({ serial: 2, state: 'enrolled', username: 'pi1.lab' });
    expect((await renews(machine, certificate, NOW + 2_502)).answer).to.deep.equal({ type: 'renewed' });
    // Its life is mostly over in its turn.
    const third = await renews(machine, certificate, NOW + 5_000);
    expect(third.told).to.match(/^node pi1 has certificate 3 until /);
  });

  it('answers a request to renew that comes again with the certificate it has signed, so that the node can still leave', async () => {
    const machine = new Machine();
    const first = await joins(machine);
    const { answer } = await renews(machine, first.certificate, NOW + 2_500);
    // Its answer was lost, or the server sends the request once more.
    for (const seconds of [2_501, 4_000]) {
      const again = await renews(machine, first.certificate, NOW + seconds);
      expect(again).to.deep.equal({ answer, told: 'node pi1 has certificate 2 once more' });
    }
    expect(directory.readBook().nextSerial).to.equal(3);
    const { certificate = '' } = answer as RenewedBody;
    expect(await leaves(machine, { ...first, certificate })).to.deep.include({ type: 'left' });
  });

  it('signs another for a node whose newest certificate nears its end itself, or is not in the book', async () => {
    const machine = new Machine();
    const first = await joins(machine);
    await renews(machine, first.certificate, NOW + 2_500);
    expect((await renews(machine, first.certificate, NOW + 5_000)).told).to.match(/^node pi1 has certificate 3 until /);
    const book = directory.readBook();
    const { certificate: _, ...entry } = book.nodes.pi1 as NodeEntry;
    directory.writeBook({ ...book, nodes: { pi1: entry } });
    expect((await renews(machine, first.certificate, NOW + 5_001)).told).to.match(/^node pi1 has certificate 4 until /);
  });

  it('tells a node that asks of who was revoked and of parameters, once it has not got them', async () => {
    const [one, other] = [new Machine(), new Machine()];
    const uses = Buffer.alloc(16, 6);
    offer(2, uses);
    const { certificate } = await joins(one, {}, uses);
    const before = desk.news();
    await leaves(other, await joins(other, { name: 'pi2' }, uses));
    expect(desk.news()).to.deep.equal({ mark: '1,1', usernames: ['pi1.lab'] });
    expect(before.mark).to.equal('1,0');
    const { answer } = await renews(one, certificate, NOW);
    expect(answer).to.deep.equal({ type: 'renewed', revocations: directory.readRevocations() });
    const up = await renews(one, certificate, NOW, { parameters: 1, revocations: 1 });
    expect(up).to.deep.equal({ answer: { type: 'renewed' }, told: undefined });
    const { parameters } = directory.readBook();
    const behind = await renews(one, certificate, NOW, { parameters: 0, revocations: 1 });
    expect(behind.answer).to.deep.equal({ type: 'renewed', parameters });
  });
});
