import { expect } from 'chai';
import fc from 'fast-check';
import {
  decodeToken,
  encodeToken,
  type JoinToken,
  tokenAccountName,
  tokenHash,
  tokenId,
  tokenPassword,
} from './join-token.ts';
import { agreementPrivateKey, agreementPublicKey, generatePrivateKey, privateKey, rawPublicKey } from './keys.ts';
import { DecodeError } from './reader.ts';
import { unhex, vectors } from './vectors.ts';

interface Case {
  readonly service: string;
  readonly domain: string;
  readonly authorityKey: string;
  readonly secret: string;
  readonly expires: number;
  readonly trust: JoinToken['trusted']['kind'];
  readonly certificates: readonly string[];
  readonly fingerprint: string;
  readonly token: string;
  readonly id: string;
  readonly hash: string;
  readonly account: string;
  readonly password: string;
}

function trustedOf({ trust, certificates, fingerprint }: Case): JoinToken['trusted'] {
  switch (trust) {
    case 'public':
      return { kind: trust };
    case 'certificates':
      return { kind: trust, certificates: certificates.map(unhex) };
    case 'fingerprint':
      return { kind: trust, sha256: unhex(fingerprint) };
  }
}

const tokenOf = (c: Case): JoinToken => ({
  service: c.service,
  domain: c.domain,
  authorityKey: unhex(c.authorityKey),
  secret: unhex(c.secret),
  expires: c.expires,
  trusted: trustedOf(c),
});

describe('vectors: join tokens', () => {
  const { cases, refused } = vectors<Case>('join-token');
  for (const c of cases)
    it(c.name, () => {
      expect(encodeToken(tokenOf(c))).to.equal(c.token);
      expect(decodeToken(c.token)).to.deep.equal(tokenOf(c));
      const secret = unhex(c.secret);
      expect([
        tokenId(secret),
        tokenHash(secret),
        tokenAccountName(tokenId(secret)),
        tokenPassword(secret),
      ]).to.deep.equal([c.id, c.hash, c.account, c.password]);
    });
  for (const { name, reason, input } of refused)
    it(`refuses ${name} (${reason})`, () => expect(() => decodeToken(input)).to.throw(DecodeError));
});

describe('a join token', () => {
  const token: JoinToken = {
    service: 'xmpps://203.0.113.10:5223',
    domain: 'evio.example.org',
    authorityKey: rawPublicKey(generatePrivateKey('ed25519')),
    secret: Buffer.alloc(16, 7),
    expires: 1_800_000_000,
    trusted: { kind: 'fingerprint', sha256: Buffer.alloc(32, 9) },
  };
  const text = encodeToken(token);

  it('is one line of less than 200 characters where the server shows its authority', () => {
    expect(text).to.match(/^evio1\.[-_A-Za-z0-9]+$/);
    expect(text.length).to.be.below(200);
  });

  it('may be broken over lines and indented, as terminals paste it', () => {
    const broken = text.replace(/(.{20})/g, '$1 \r\n\t');
    expect(decodeToken(`  ${broken}\n`)).to.deep.equal(token);
  });

  it('with any character changed, left out or put in is told to be altered', () => {
    for (let i = 'evio1.'.length; i < text.length; i++) {
      const other = text[i] === 'A' ? 'B' : 'A';
      for (const bent of [
        text.slice(0, i) + other + text.slice(i + 1),
        text.slice(0, i) + text.slice(i + 1),
        `${text.slice(0, i)}A${text.slice(i)}`,
      ])
        expect(() => decodeToken(bent), `character ${i}`).to.throw(DecodeError, 'altered or cut short');
    }
  });

  it('cut short is refused at every length', () => {
    for (let n = 0; n < text.length; n++) expect(() => decodeToken(text.slice(0, n))).to.throw(DecodeError);
  });

  it('of another version, or none at all, is told apart, and never quoted', () => {
    expect(() => decodeToken('evio2.c2VjcmV0')).to.throw(DecodeError, /^it is of another version of Evio$/);
    expect(() => decodeToken('hunter2')).to.throw(DecodeError, /^it is no join token: .*$/);
    fc.assert(
      fc.property(fc.string({ minLength: 8 }), fc.constantFrom('', 'evio1.'), (noise, prefix) => {
        try {
          decodeToken(prefix + noise);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
          expect((error as Error).message).not.to.include(noise);
        }
      }),
    );
  });

  it('says what went in, whatever that is', () => {
    const host = fc.oneof(
      fc.domain().filter((d) => d.length < 200),
      fc.ipV4(),
      fc.constantFrom('[2001:db8::1]', '[::1]'),
    );
    const trusted: fc.Arbitrary<JoinToken['trusted']> = fc.oneof(
      fc.constant({ kind: 'public' as const }),
      fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .map((b) => ({ kind: 'fingerprint' as const, sha256: Buffer.from(b) })),
    );
    fc.assert(
      fc.property(
        fc.constantFrom('xmpps', 'xmpp'),
        host,
        fc.integer({ min: 1, max: 65_535 }),
        fc.domain().filter((d) => d.length < 200),
        fc.nat(0xffff_ffff),
        trusted,
        (scheme, at, port, domain, expires, trust) => {
          const made = { ...token, service: `${scheme}://${at}:${port}`, domain, expires, trusted: trust };
          expect(decodeToken(encodeToken(made as JoinToken))).to.deep.equal(made);
        },
      ),
    );
  });
});

describe('a signing key to seal to', () => {
  it('has one public half, computed from either side', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
        const key = privateKey('ed25519', seed);
        const agreement = rawPublicKey(agreementPrivateKey(key));
        expect(agreementPublicKey(rawPublicKey(key)).equals(agreement)).to.equal(true);
      }),
      { numRuns: 30 },
    );
  });

  it('that is the base point of Edwards25519 has u = 9 (RFC 7748 §4.1)', () => {
    const base = Buffer.alloc(32, 0x66);
    base[0] = 0x58;
    const nine = Buffer.alloc(32);
    nine[0] = 9;
    expect(agreementPublicKey(base).equals(nine)).to.equal(true);
  });

  it('that is none is refused', () => {
    const one = Buffer.alloc(32);
    one[0] = 1;
    for (const bad of [one, Buffer.alloc(31, 1), Buffer.alloc(32, 0xff)])
      expect(() => agreementPublicKey(bad)).to.throw(DecodeError);
  });
});
