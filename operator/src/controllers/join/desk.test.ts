import { expect } from 'chai';
import type { Reply } from '../../../../agent/src/join/desk.ts';
import { parsePrefix } from '../../../../agent/src/wire/address.ts';
import { encodeCertificate } from '../../../../agent/src/wire/certificate.ts';
import { nodeIdOf, overlayIdOf } from '../../../../agent/src/wire/ids.ts';
import { NO_SECRET, type OpenedRequest } from '../../../../agent/src/wire/join-message.ts';
import { tokenAccountName } from '../../../../agent/src/wire/join-token.ts';
import { rawPublicKey } from '../../../../agent/src/wire/keys.ts';
import { macRulesOf } from '../../../../agent/src/wire/mac.ts';
import { fromBase64 } from '../../../../agent/src/wire/reader.ts';
import { keysHashOf } from '../../desired/enrolment.ts';
import { someKeys } from '../../desired/testing.ts';
import { ClusterDesk } from './desk.ts';
import { JoinWorld, KEY, NOW, PLACE } from './testing.ts';

const secretOf = (n: number): Buffer => Buffer.alloc(16, n);

function requestOf(machine: string, name: string, secret: Buffer): OpenedRequest {
  const keys = someKeys(machine);
  return {
    ...{ identityKey: fromBase64(keys.identityKey), sessionKey: fromBase64(keys.sessionKey), secret },
    body: { type: 'join', name, ...keys },
  } as unknown as OpenedRequest;
}

/** Of a node that has the certificate that `enrol` has given it. */
function renewalOf(machine: string, name: string): OpenedRequest {
  const keys = someKeys(machine);
  const [identityKey, sessionKey] = [fromBase64(keys.identityKey), fromBase64(keys.sessionKey)];
  const addresses = [parsePrefix('10.45.0.1/16')];
  const serial = 7n;
  const certificate = encodeCertificate(
    {
      ...{ overlayId: overlayIdOf(rawPublicKey(KEY)), identityKey, sessionKey, name, serial },
      ...{ addresses, routes: [], macs: macRulesOf(addresses, [], serial) },
      ...{ notBefore: NOW - 60, notAfter: NOW + 86_400 },
    },
    KEY,
  );
  const body = { type: 'renew', certificate: certificate.toString('base64'), parameters: 1, revocations: 0 };
  return { identityKey, sessionKey, secret: NO_SECRET, body } as unknown as OpenedRequest;
}

describe('the authority of a cluster at its desk', () => {
  let of: JoinWorld;
  let desk: ClusterDesk;
  beforeEach(async () => {
    of = new JoinWorld();
    desk = new ClusterDesk(of.world);
    for (const n of [1, 2]) of.offer(secretOf(n));
    await desk.tidy(NOW);
  });

  /** As the node controller does it. */
  function enrol(name: string, request: OpenedRequest): void {
    const member = of.members.get(name);
    if (member === undefined) throw new Error(`there is no EvioNode ${name}`);
    const { parameters } = of.book.read().authority?.ledger ?? { parameters: '' };
    const enrolment = {
      ...{ overlayParameters: parameters, certificate: 'AAAA', serial: '7', notAfter: '', credentials: '' },
      keysHash: keysHashOf(request),
    };
    of.members.set(name, { ...member, spec: { ...member.spec, enrolment } });
  }
  const answered = (reply: Reply): string =>
    reply.answer.type === 'refused' ? reply.answer.message : reply.answer.type;

  it('goes on with the same machine after minutes, by the account of its token, when it was not enrolled at once', async () => {
    const request = requestOf('a', 'edge1', secretOf(1));
    const account = tokenAccountName(of.tokens.tokens[0]?.id ?? '');
    const first = await desk.answer(request, NOW);
    expect(first).to.have.property('later');
    expect(of.tokens.tokens[0]?.claims).to.deep.include({
      ...{ node: nodeIdOf(request.identityKey), name: 'edge1', serial: 0 },
      ...{ certificate: '', at: NOW },
    });
    // The operator dies; another one leads.
    desk = new ClusterDesk(of.world);
    await desk.tidy(NOW + 300);
    expect(of.users.has(account)).to.equal(true);
    const again = await desk.answer(request, NOW + 300);
    enrol('edge1', request);
    expect('later' in again && answered(await again.later())).to.equal('joined');
    expect(of.tokens.tokens[0]?.claims.map(({ serial }) => serial)).to.deep.equal([7]);
    await desk.tidy(NOW + 400);
    expect(of.users.has(account)).to.equal(false);
  });

  it('answers others while a machine waits to be enrolled', async () => {
    const [slow, other] = [requestOf('a', 'edge1', secretOf(1)), requestOf('b', 'edge2', secretOf(2))];
    const first = await desk.answer(slow, NOW);
    if (!('later' in first)) throw new Error(answered(first));
    let over = false;
    const waiting = first.later().finally(() => {
      over = true;
    });
    const second = await desk.answer(other, NOW);
    enrol('edge2', other);
    expect('later' in second && answered(await second.later())).to.equal('joined');
    expect(over).to.equal(false);
    enrol('edge1', slow);
    expect(answered(await waiting)).to.equal('joined');
  });

  it('tells a node that joined where the XMPP server is, whenever it asks; and there is news when that changes', async () => {
    const request = requestOf('a', 'edge1', secretOf(1));
    const first = await desk.answer(request, NOW);
    if (!('later' in first)) throw new Error(answered(first));
    enrol('edge1', request);
    const { answer } = await first.later();
    if (answer.type !== 'joined') throw new Error(answer.type);
    const before = desk.news();
    of.place = { ...PLACE, service: 'xmpps://127.0.0.9:5223', excludeRoutes: ['10.96.0.0/12'] };
    const renewal = await desk.answer(renewalOf('a', 'edge1'), NOW);
    if ('later' in renewal || renewal.answer.type !== 'renewed') throw new Error('it was not renewed');
    expect(renewal.answer.account).to.deep.equal({ ...answer.account, service: 'xmpps://127.0.0.9:5223' });
    expect(renewal.answer.excludeRoutes).to.deep.equal(['10.96.0.0/12']);
    expect(desk.news().mark).not.to.equal(before.mark);
  });

  it('refuses the keys of a machine under a second name, by another token, without spending that', async () => {
    const first = await desk.answer(requestOf('a', 'edge1', secretOf(1)), NOW);
    expect(first).to.have.property('later');
    for (let n = 0; n < 2; n++) {
      const second = await desk.answer(requestOf('a', 'edge2', secretOf(2)), NOW);
      expect('later' in second || answered(second)).to.match(/^its keys are those of node edge1/);
    }
    expect(of.tokens.tokens.map(({ claims }) => claims.length)).to.deep.equal([1, 0]);
    expect([...of.members.keys()]).to.deep.equal(['edge1']);
  });

  it('refuses a machine that has a use already, whose keys have become those of another', async () => {
    const request = requestOf('a', 'edge1', secretOf(1));
    await desk.answer(request, NOW);
    const id = nodeIdOf(request.identityKey);
    const issued = { edge9: { uid: 'u', id, serial: 1, notAfter: NOW + 9, account: 'edge9.x', sealed: '' } };
    await of.book.change(({ ledger }) => ({ ...ledger, issued }));
    const again = await desk.answer(request, NOW);
    expect('later' in again || answered(again)).to.match(/^its keys are those of node edge9/);
  });
});
