import { expect } from 'chai';
import fc from 'fast-check';
import {
  type AnswerBody,
  type JoinBody,
  NO_SECRET,
  openAnswer,
  openRequest,
  type RequestBody,
  sealAnswer,
  sealRequest,
} from './join-message.ts';
import { generatePrivateKey, privateKey, rawPublicKey } from './keys.ts';
import { DecodeError } from './reader.ts';
import { hostile, type Refused, unhex, vectors } from './vectors.ts';

interface Case {
  readonly name: string;
  readonly authoritySeed: string;
  readonly identitySeed: string;
  readonly sessionSeed: string;
  readonly secret: string;
  readonly requestEphemeralSeed: string;
  readonly answerEphemeralSeed: string;
  readonly request: string;
  readonly requestBody: string;
  readonly answer: string;
  readonly answerBody: string;
}

const json = <T>(hex: string): T => JSON.parse(unhex(hex).toString()) as T;

describe('vectors: joining', () => {
  const { cases, refused, refusedAnswers } = vectors<Case, { readonly refusedAnswers: readonly Refused[] }>('join');
  const askedOf = (c: Case) =>
    sealRequest(
      json<RequestBody>(c.requestBody),
      rawPublicKey(privateKey('ed25519', unhex(c.authoritySeed))),
      privateKey('ed25519', unhex(c.identitySeed)),
      unhex(c.secret),
      privateKey('x25519', unhex(c.requestEphemeralSeed)),
    );
  for (const c of cases)
    it(c.name, () => {
      const authority = privateKey('ed25519', unhex(c.authoritySeed));
      const asked = askedOf(c);
      expect(asked.bytes.toString('hex')).to.equal(c.request);
      const opened = openRequest(unhex(c.request), authority);
      expect(opened.body).to.deep.equal(json(c.requestBody));
      const ephemeral = privateKey('x25519', unhex(c.answerEphemeralSeed));
      const answer = sealAnswer(json<AnswerBody>(c.answerBody), opened, authority, ephemeral);
      expect(answer.toString('hex')).to.equal(c.answer);
      const session = privateKey('x25519', unhex(c.sessionSeed));
      expect(openAnswer(answer, asked, rawPublicKey(authority), session)).to.deep.equal(json(c.answerBody));
    });
  const first = cases[0] as Case;
  const authority = privateKey('ed25519', unhex(first.authoritySeed));
  describe('a request', () =>
    hostile(
      (bytes) => openRequest(bytes, authority),
      cases.map((c) => ({ name: c.name, bytes: unhex(c.request) })),
      refused,
    ));
  describe('an answer', () =>
    hostile(
      (bytes) =>
        openAnswer(bytes, askedOf(first), rawPublicKey(authority), privateKey('x25519', unhex(first.sessionSeed))),
      [{ name: first.name, bytes: unhex(first.answer) }],
      refusedAnswers,
    ));
});

describe('what a machine that joins and the authority say to each other', () => {
  const authority = privateKey('ed25519', Buffer.alloc(32, 1));
  const authorityKey = rawPublicKey(authority);
  const [identity, session] = [privateKey('ed25519', Buffer.alloc(32, 2)), privateKey('x25519', Buffer.alloc(32, 3))];
  const secret = Buffer.alloc(16, 4);
  const body: JoinBody = {
    type: 'join',
    name: 'pi1',
    identityKey: rawPublicKey(identity).toString('base64'),
    sessionKey: rawPublicKey(session).toString('base64'),
  };
  const asked = sealRequest(body, authorityKey, identity, secret);
  const opened = openRequest(asked.bytes, authority);
  const answer: AnswerBody = { type: 'refused', reason: 'token', message: 'used' };
  const sealed = sealAnswer(answer, opened, authority);

  it('is read by the other one, and by nobody else', () => {
    expect(opened.body).to.deep.equal(body);
    expect(opened.secret.equals(secret)).to.equal(true);
    expect(openAnswer(sealed, asked, authorityKey, session)).to.deep.equal(answer);
    expect(() => openRequest(asked.bytes, privateKey('ed25519', Buffer.alloc(32, 9)))).to.throw(DecodeError, 'seal');
    for (const bytes of [asked.bytes, sealed])
      for (const word of ['pi1', 'used', secret.toString('latin1')])
        expect(bytes.toString('latin1')).not.to.include(word);
  });

  it('with any byte changed is refused, either way', () => {
    for (const [bytes, open] of [
      [asked.bytes, (b: Buffer) => openRequest(b, authority)],
      [sealed, (b: Buffer) => openAnswer(b, asked, authorityKey, session)],
    ] as const)
      for (let i = 0; i < bytes.length; i++) {
        const bent = Buffer.from(bytes);
        bent[i] = (bent[i] ?? 0) ^ 0x80;
        expect(() => open(bent), `byte ${i}`).to.throw(DecodeError);
      }
  });

  it('an answer is for this request, this token and this session key alone', () => {
    const again = sealRequest(body, authorityKey, identity, secret);
    expect(() => openAnswer(sealed, again, authorityKey, session)).to.throw(DecodeError, 'seal');
    expect(() => openAnswer(sealed, { ...asked, secret: NO_SECRET }, authorityKey, session)).to.throw(DecodeError);
    expect(() => openAnswer(sealed, asked, authorityKey, generatePrivateKey('x25519'))).to.throw(DecodeError, 'seal');
    // Sealed as it should be, to another request: the signature is over that one.
    const other = { ...asked, bytes: again.bytes };
    expect(() => openAnswer(sealed, other, authorityKey, session)).to.throw(DecodeError, 'signature');
  });

  it('who has the token but not the authority’s key answers nothing', () => {
    const forger = privateKey('ed25519', Buffer.alloc(32, 8));
    const forged = sealAnswer(answer, opened, forger);
    expect(() => openAnswer(forged, asked, authorityKey, session)).to.throw(DecodeError, 'seal');
  });

  it('a request for keys that its sender does not have is refused', () => {
    const stolen = sealRequest(body, authorityKey, privateKey('ed25519', Buffer.alloc(32, 7)), secret);
    expect(() => openRequest(stolen.bytes, authority)).to.throw(DecodeError, 'signature');
    const weak = { ...body, sessionKey: Buffer.alloc(32).toString('base64') };
    expect(() => openRequest(sealRequest(weak, authorityKey, identity, secret).bytes, authority)).to.throw(DecodeError);
  });

  it('a request that asks for more than a name and addresses is refused', () => {
    for (const wrong of [
      { ...body, name: 'Pi1' },
      { ...body, name: '__proto__' },
      { ...body, routes: ['10.244.0.0/16'] },
      { ...body, address4: 'x' },
      { ...body, identityKey: 'AAAA' },
      { ...body, type: 'give' },
    ])
      expect(
        () => openRequest(sealRequest(wrong as RequestBody, authorityKey, identity, secret).bytes, authority),
        JSON.stringify(wrong),
      ).to.throw(DecodeError);
  });

  it('what is no body is refused in words that do not quote it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('reason', 'message', 'type'), (value, key) => {
        const wrong = { ...answer, message: 'hunter2', [key]: value } as unknown as AnswerBody;
        try {
          openAnswer(sealAnswer(wrong, opened, authority), asked, authorityKey, session);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
          expect((error as Error).message).not.to.include('hunter2');
        }
      }),
    );
  });
});
