import { expect } from 'chai';
import { nodeFileValue } from '../config/testing/fixture.ts';
import { parseCertificate } from '../wire/certificate.ts';
import { nodeIdOf } from '../wire/ids.ts';
import { NO_SECRET, type OpenedRequest, openRequest, type RequestBody, sealRequest } from '../wire/join-message.ts';
import { generatePrivateKey, privateKey, rawPublicKey } from '../wire/keys.ts';
import { judge, type Registered, type Verdict } from './judge.ts';
import { addToken, NO_TOKENS, type TokenBook, withClaim } from './tokens.ts';

const NOW = 1_800_000_000;
const SECRET = Buffer.alloc(16, 1);
const authority = generatePrivateKey('ed25519');
const authorityKey = rawPublicKey(authority);
const { book: TOKENS, token: TOKEN } = addToken(NO_TOKENS, SECRET, { uses: 1, lifeSeconds: 60 }, NOW);

const joining = (
  name = 'pi1',
  secret: Uint8Array = SECRET,
  identity = generatePrivateKey('ed25519'),
): OpenedRequest => {
  const body: RequestBody = {
    type: 'join',
    name,
    identityKey: rawPublicKey(identity).toString('base64'),
    sessionKey: rawPublicKey(generatePrivateKey('x25519')).toString('base64'),
  };
  return openRequest(sealRequest(body, authorityKey, identity, secret).bytes, authority);
};

const nobody = (): undefined => undefined;
const verdict = (
  request: OpenedRequest,
  tokens: TokenBook = TOKENS,
  registered: (name: string) => Registered | undefined = nobody,
  now = NOW,
): Verdict => judge(request, tokens, registered, authorityKey, now);

const refusalOf = (found: Verdict): string =>
  found.kind === 'refuse' ? `${found.answer.reason}: ${found.answer.message}` : found.kind;

describe('the authority, asked by a machine that joins', () => {
  it('admits it by a token that holds', () => {
    const request = joining();
    expect(verdict(request)).to.deep.include({ kind: 'admit', token: TOKEN, node: nodeIdOf(request.identityKey) });
  });

  it('refuses a token that is unknown, has expired, or was used by another, each in words of its own', () => {
    expect(refusalOf(verdict(joining('pi1', Buffer.alloc(16, 2))))).to.match(/^token: the token is not known here/);
    expect(refusalOf(verdict(joining(), TOKENS, nobody, NOW + 61))).to.match(/^token: the token expired at 20/);
    const claim = { node: '00'.repeat(16), name: 'pi0', serial: 1, certificate: '', at: NOW };
    expect(refusalOf(verdict(joining(), withClaim(TOKENS, TOKEN.id, claim)))).to.match(/^token: the token was used/);
  });

  it('refuses a name that an enrolled node has, and takes one whose node was revoked or never finished', () => {
    const of =
      (state: Registered['state']) =>
      (name: string): Registered | undefined =>
        name === 'pi1' ? { id: '00'.repeat(16), serial: 1, state } : undefined;
    expect(refusalOf(verdict(joining(), TOKENS, of('enrolled')))).to.match(/^name: the overlay has a node pi1 already/);
    for (const state of ['revoked', 'pending'] as const)
      expect(verdict(joining(), TOKENS, of(state)).kind).to.equal('admit');
    expect(verdict(joining('pi2'), TOKENS, of('enrolled')).kind).to.equal('admit');
  });

  it('tells the same node the same again, also when the token has ended, as long as that is in force', () => {
    const request = joining();
    const node = nodeIdOf(request.identityKey);
    const claim = { node, name: 'pi1', serial: 4, certificate: 'AAAA', at: NOW };
    const tokens = withClaim(TOKENS, TOKEN.id, claim);
    const of = (serial: number, state: Registered['state']) => () => ({ id: node, serial, state });
    for (const state of ['enrolled', 'pending'] as const)
      expect(verdict(request, tokens, of(4, state), NOW + 3_600)).to.deep.equal({ kind: 'repeat', claim });
    // Renewed since.
    expect(verdict(request, tokens, of(5, 'enrolled')).kind).to.equal('repeat');
    for (const registered of [of(4, 'revoked'), nobody])
      expect(refusalOf(verdict(request, tokens, registered))).to.match(/^token: the token was used/);
  });
});

describe('the authority, asked by a node that leaves', () => {
  const value = nodeFileValue({ authority, name: 'pi1', serial: 7n });
  const leaving = (certificate = value.identity.certificate, key = value.identity.key) => {
    const identity = privateKey('ed25519', Buffer.from(key, 'base64'));
    return openRequest(sealRequest({ type: 'leave', certificate }, authorityKey, identity, NO_SECRET).bytes, authority);
  };
  const id = parseCertificate(Buffer.from(value.identity.certificate, 'base64')).nodeId;
  const registered =
    (serial: number, state: Registered['state'] = 'enrolled', who = id) =>
    () => ({ id: who, serial, state });

  it('revokes it, once', () => {
    const found = verdict(leaving(), NO_TOKENS, registered(7));
    expect(found).to.deep.equal({ kind: 'revoke', name: 'pi1', node: id, done: false });
    expect(verdict(leaving(), NO_TOKENS, registered(7, 'revoked'))).to.deep.include({ kind: 'revoke', done: true });
  });

  it('does not revoke a node that is here again, by a request that somebody kept', () => {
    expect(refusalOf(verdict(leaving(), NO_TOKENS, registered(8)))).to.match(
      /^member: node pi1 has a newer certificate/,
    );
    expect(refusalOf(verdict(leaving(), NO_TOKENS, registered(7, 'enrolled', '00'.repeat(16))))).to.match(/^member: /);
    expect(refusalOf(verdict(leaving(), NO_TOKENS, nobody))).to.match(/^member: /);
  });

  it('believes no certificate of another authority, and nobody without the node’s key', () => {
    const foreign = nodeFileValue({ name: 'pi1' });
    expect(
      refusalOf(verdict(leaving(foreign.identity.certificate, foreign.identity.key), NO_TOKENS, registered(1))),
    ).to.match(/^member: /);
    expect(() => leaving(value.identity.certificate, foreign.identity.key)).to.throw('signature');
  });
});

describe('the authority, asked by a node that renews', () => {
  const value = nodeFileValue({ authority, name: 'pi1', serial: 7n, notBefore: NOW, notAfter: NOW + 3_000 });
  const { certificate, key } = value.identity;
  const id = parseCertificate(Buffer.from(certificate, 'base64')).nodeId;
  const renewing = (text = certificate): OpenedRequest => {
    const body: RequestBody = { type: 'renew', certificate: text, parameters: 1, revocations: 0 };
    const identity = privateKey('ed25519', Buffer.from(key, 'base64'));
    return openRequest(sealRequest(body, authorityKey, identity, NO_SECRET).bytes, authority);
  };
  const registered =
    (serial = 7, state: Registered['state'] = 'enrolled', who = id) =>
    () => ({ id: who, serial, state });
  const due = (found: Verdict): boolean | string => (found.kind === 'renew' ? found.due : refusalOf(found));

  it('gives it another certificate when two thirds of its life are over, also after its end', () => {
    expect(due(verdict(renewing(), NO_TOKENS, registered(), NOW + 1_999))).to.equal(false);
    for (const now of [NOW + 2_000, NOW + 3_001, NOW + 1_000_000])
      expect(due(verdict(renewing(), NO_TOKENS, registered(), now)), String(now)).to.equal(true);
  });

  it('gives it another one sooner when it has not got its newest', () => {
    expect(due(verdict(renewing(), NO_TOKENS, registered(8), NOW))).to.equal(true);
  });

  it('gives nothing to a node that was revoked, is unknown, or has the name of another', () => {
    for (const other of [registered(7, 'revoked'), nobody, registered(7, 'enrolled', '00'.repeat(16))])
      expect(due(verdict(renewing(), NO_TOKENS, other, NOW + 2_500))).to.match(/^member: /);
    const foreign = nodeFileValue({ name: 'pi1' }).identity;
    expect(() => renewing(foreign.certificate)).to.throw('signature');
  });
});
