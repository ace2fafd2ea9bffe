import { expect } from 'chai';
import fc from 'fast-check';
import { privateKey, rawPublicKey } from './keys.ts';
import { DecodeError } from './reader.ts';
import { type Credentials, openCredentials, type Recipient, sealCredentials } from './sealed-credentials.ts';
import { hostile, unhex, vectors } from './vectors.ts';

interface Case {
  readonly overlayId: string;
  readonly nodeId: string;
  readonly sessionSeed: string;
  readonly sessionKey: string;
  readonly ephemeralSeed: string;
  readonly plaintext: string;
  readonly sealed: string;
}

describe('vectors: sealed credentials', () => {
  const { cases, refused } = vectors<Case>('credentials');
  for (const c of cases)
    it(c.name, () => {
      const credentials = JSON.parse(unhex(c.plaintext).toString()) as Credentials;
      const ephemeral = privateKey('x25519', unhex(c.ephemeralSeed));
      expect(sealCredentials(credentials, c, unhex(c.sessionKey), ephemeral).toString('hex')).to.equal(c.sealed);
      expect(openCredentials(unhex(c.sealed), c, privateKey('x25519', unhex(c.sessionSeed)))).to.deep.equal(
        credentials,
      );
    });
  const first = cases[0] as Case;
  const own = privateKey('x25519', unhex(first.sessionSeed));
  hostile(
    (bytes) => openCredentials(bytes, first, own),
    cases.map((c) => ({ name: c.name, bytes: unhex(c.sealed) })),
    refused,
  );
});

describe('sealed credentials', () => {
  const session = privateKey('x25519', Buffer.alloc(32, 2));
  const recipient: Recipient = { overlayId: '0a'.repeat(16), nodeId: '0b'.repeat(16) };
  const credentials: Credentials = {
    service: 'xmpps://192.0.2.1:5223',
    domain: 'evio.internal',
    username: 'a.default',
    password: 'secret',
    room: 'default@rooms.evio.internal',
    stun: [],
  };
  const sealed = sealCredentials(credentials, recipient, rawPublicKey(session));

  it('are sealed with another key each time', () => {
    const again = sealCredentials(credentials, recipient, rawPublicKey(session));
    expect(again.equals(sealed)).to.equal(false);
    expect(openCredentials(again, recipient, session)).to.deep.equal(credentials);
  });

  it('open for that node of that overlay alone', () => {
    for (const other of [
      { ...recipient, overlayId: '0b'.repeat(16) },
      { ...recipient, nodeId: '0a'.repeat(16) },
    ])
      expect(() => openCredentials(sealed, other, session)).to.throw(DecodeError, /another node, or changed/);
    expect(() => openCredentials(sealed, recipient, privateKey('x25519', Buffer.alloc(32, 3)))).to.throw(DecodeError);
  });

  it('with any byte changed are refused', () => {
    for (let i = 0; i < sealed.length; i++) {
      const bent = Buffer.from(sealed);
      // The highest bit of an X25519 key means nothing (RFC 7748 §5); it is bound as associated data all the same.
      bent[i] = (bent[i] ?? 0) ^ 0x80;
      expect(() => openCredentials(bent, recipient, session), `byte ${i}`).to.throw(DecodeError);
    }
  });

  it('a session key of low order is refused by who seals', () => {
    expect(() => sealCredentials(credentials, recipient, Buffer.alloc(32))).to.throw(DecodeError);
  });

  it('longer than 64 KiB are neither made nor taken', () => {
    const long = { ...credentials, ca: 'x'.repeat(64 * 1024) };
    expect(() => sealCredentials(long, recipient, rawPublicKey(session))).to.throw(RangeError);
    expect(() => openCredentials(Buffer.concat([sealed, Buffer.alloc(64 * 1024)]), recipient, session)).to.throw(
      DecodeError,
      /bytes/,
    );
  });

  it('what is no credentials is refused in words that do not quote it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(...Object.keys(credentials)), (value, key) => {
        const wrong = { ...credentials, [key]: value } as unknown as Credentials;
        try {
          openCredentials(sealCredentials(wrong, recipient, rawPublicKey(session)), recipient, session);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
          expect((error as Error).message).to.not.include('secret');
        }
      }),
    );
  });
});
