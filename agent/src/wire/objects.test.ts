import { createPublicKey } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { parsePrefix } from './address.ts';
import {
  type CertificateFields,
  encodeCertificate,
  isValidAt,
  parseCertificate,
  verifyCertificate,
} from './certificate.ts';
import { encodeHello, parseHello, verifyHello } from './hello.ts';
import { nodeIdOf, overlayIdOf } from './ids.ts';
import { privateKey, rawPublicKey, signWith } from './keys.ts';
import { macRulesOf } from './mac.ts';
import { encodeParameters, type ParametersFields, verifyParameters } from './parameters.ts';
import { DecodeError } from './reader.ts';
import { encodeRevocations, isRevoked, verifyRevocations } from './revocations.ts';

const authority = privateKey('ed25519', Buffer.alloc(32, 1));
const authorityKey = rawPublicKey(authority);
const stranger = privateKey('ed25519', Buffer.alloc(32, 9));
const identity = privateKey('ed25519', Buffer.alloc(32, 2));
const addresses = [parsePrefix('10.1.0.7/16'), parsePrefix('fd00:e::7/64')];
const routes = [parsePrefix('10.244.7.0/24'), parsePrefix('fd00:f:7::/64')];

const FIELDS: CertificateFields = {
  overlayId: overlayIdOf(authorityKey),
  identityKey: rawPublicKey(identity),
  sessionKey: rawPublicKey(privateKey('x25519', Buffer.alloc(32, 3))),
  name: 'home1',
  addresses,
  routes,
  macs: macRulesOf(addresses, routes, 7n),
  serial: 7n,
  notBefore: 1_700_000_000,
  notAfter: 1_731_536_000,
};
const CERTIFICATE = encodeCertificate(FIELDS, authority);

const PARAMETERS: ParametersFields = {
  name: 'lab',
  serial: 1n,
  issued: 1_700_000_000,
  mtu: 1400,
  ciphers: ['aes-128-gcm', 'chacha20-poly1305'],
  subnet4: parsePrefix('10.1.0.0/16'),
  subnet6: parsePrefix('fd00:e::/64'),
  topology: { successors: 2, longDistance: 'auto', onDemand: 8, fullMesh: 'auto' },
};

const HELLO = encodeHello(
  {
    certificate: CERTIFICATE,
    bootNonce: Buffer.alloc(16, 4),
    ephemeralKey: rawPublicKey(privateKey('x25519', Buffer.alloc(32, 5))),
    sequence: 1n,
    candidates: [
      { family: 4, address: '192.168.1.7', port: 20001 },
      { family: 6, address: '2001:db8::7', port: 20001 },
    ],
  },
  identity,
);
const REVOCATIONS = encodeRevocations(
  { serial: 3n, issued: 1_700_000_001, revoked: [{ nodeId: nodeIdOf(FIELDS.identityKey), serial: 7n }] },
  authority,
);

const OBJECTS = [
  { name: 'certificate', bytes: CERTIFICATE, read: (b: Uint8Array) => verifyCertificate(b, authorityKey) },
  { name: 'parameters', bytes: encodeParameters(PARAMETERS, authority), read: (b: Uint8Array) => verifyParameters(b) },
  { name: 'revocations', bytes: REVOCATIONS, read: (b: Uint8Array) => verifyRevocations(b, authorityKey) },
  { name: 'hello', bytes: HELLO, read: (b: Uint8Array) => verifyHello(b, authorityKey) },
];

/** A certificate with other TLVs, rightly signed: for what `encodeCertificate` would not make. */
function signed(magic: string, domain: string, body: Buffer): Buffer {
  const unsigned = Buffer.concat([Buffer.from(magic), body]);
  return Buffer.concat([unsigned, signWith(authority, Buffer.concat([Buffer.from(`${domain}\0`), unsigned]))]);
}

describe('signed objects', () => {
  for (const { name, bytes, read } of OBJECTS) {
    it(`a ${name} is read as it was written`, () => {
      expect(read(bytes).bytes.equals(bytes)).to.equal(true);
    });

    it(`a ${name} cut short is refused at every length`, () => {
      for (let n = 0; n < bytes.length; n++) expect(() => read(bytes.subarray(0, n))).to.throw(DecodeError);
    });

    it(`a ${name} with any byte changed is refused`, () => {
      for (let i = 0; i < bytes.length; i++) {
        const bent = Buffer.from(bytes);
        bent[i] = (bent[i] ?? 0) ^ 0x01;
        expect(() => read(bent), `byte ${i}`).to.throw(DecodeError);
      }
    });

    it(`nothing but a DecodeError comes of other bytes read as a ${name}`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(bytes.length), fc.boolean(), (noise, at, insert) => {
          const tail = insert ? bytes.subarray(at) : Buffer.alloc(0);
          try {
            read(Buffer.concat([bytes.subarray(0, at), noise, tail]));
          } catch (error) {
            expect(error).to.be.instanceOf(DecodeError);
          }
        }),
      );
    });
  }

  it('a certificate gives its fields back', () => {
    const { bytes, nodeId, label, role, mac, ...fields } = parseCertificate(CERTIFICATE);
    expect(fields).to.deep.equal(FIELDS);
    expect(nodeId).to.equal(nodeIdOf(FIELDS.identityKey));
    expect(label.toString(16)).to.equal(nodeId.slice(0, 16).replace(/^0+/, ''));
    expect([role, mac, bytes.length]).to.deep.equal([0, '02:45:0a:01:00:07', CERTIFICATE.length]);
  });

  it('parameters give their fields back', () => {
    const {
      bytes,
      overlayId,
      authorityKey: key,
      ...fields
    } = verifyParameters(encodeParameters(PARAMETERS, authority));
    expect(fields).to.deep.equal(PARAMETERS);
    expect([overlayId, key.equals(authorityKey), bytes.length > 0]).to.deep.equal([FIELDS.overlayId, true, true]);
  });

  it('a hello carries the certificate and the candidates', () => {
    const hello = parseHello(HELLO);
    expect(hello.certificate.bytes.equals(CERTIFICATE)).to.equal(true);
    expect(hello.candidates.map((c) => c.address)).to.deep.equal(['192.168.1.7', '2001:db8::7']);
  });

  it('a certificate by another authority, or for another overlay, is refused', () => {
    const other = rawPublicKey(createPublicKey(stranger));
    expect(() => verifyCertificate(CERTIFICATE, other)).to.throw(DecodeError, /another overlay/);
    expect(() => encodeCertificate({ ...FIELDS, overlayId: overlayIdOf(other) }, authority)).to.throw(DecodeError);
  });

  it('a certificate holds from ten minutes before its start until its end', () => {
    const certificate = parseCertificate(CERTIFICATE);
    const { notBefore, notAfter } = FIELDS;
    const times = [notBefore - 601, notBefore - 600, notBefore, notAfter, notAfter + 1];
    expect(times.map((t) => isValidAt(certificate, t))).to.deep.equal([false, true, true, true, false]);
    expect(() => verifyCertificate(CERTIFICATE, authorityKey, notAfter + 1)).to.throw(DecodeError, /expired/);
    expect(() => verifyCertificate(CERTIFICATE, authorityKey, notBefore - 601)).to.throw(DecodeError, /not valid yet/);
  });

  it('a revocation voids the certificates up to its serial', () => {
    const list = verifyRevocations(REVOCATIONS, authorityKey);
    const nodeId = nodeIdOf(FIELDS.identityKey);
    expect([isRevoked(list, nodeId, 7n), isRevoked(list, nodeId, 8n), isRevoked(undefined, nodeId, 1n)]).to.deep.equal([
      true,
      false,
      false,
    ]);
  });

  it('unknown TLVs from 128 up are ignored, below they are refused', () => {
    const body = CERTIFICATE.subarray(4, -64);
    const withTlv = (type: number) =>
      signed('EVC1', 'evio/1 certificate', Buffer.concat([body, Buffer.of(type, 0, 1, 0)]));
    expect(verifyCertificate(withTlv(128), authorityKey).name).to.equal('home1');
    expect(() => verifyCertificate(withTlv(127), authorityKey)).to.throw(DecodeError, /unknown TLV 127/);
  });

  it('a signature under another domain is none', () => {
    const body = CERTIFICATE.subarray(4, -64);
    expect(() => verifyCertificate(signed('EVC1', 'evio/1 hello', body), authorityKey)).to.throw(
      DecodeError,
      /signature/,
    );
  });

  for (const [why, change] of [
    ['a name that is no DNS label', { name: 'a.b' }],
    ['a route with host bits', { routes: [parsePrefix('10.244.7.1/24')] }],
    ['no address', { addresses: [] }],
    ['a MAC with masked-out bits', { macs: [{ mac: '02:46:0a:f4:07:01', mask: 'ff:ff:ff:ff:ff:00' }] }],
  ] as const)
    it(`a certificate with ${why} cannot be made`, () => {
      expect(() => encodeCertificate({ ...FIELDS, ...change }, authority)).to.throw();
    });

  it('a certificate of more than 640 bytes cannot be made', () => {
    const many = Array.from({ length: 70 }, (_, i) => parsePrefix(`10.244.${i}.0/24`));
    expect(() => encodeCertificate({ ...FIELDS, routes: many }, authority)).to.throw(RangeError, /at most 640/);
  });

  for (const [why, change] of [
    ['an MTU below 1280', { mtu: 1279 }],
    ['an MTU above 9000', { mtu: 9001 }],
    ['no cipher', { ciphers: [] }],
    ['a cipher twice', { ciphers: ['aes-128-gcm', 'aes-128-gcm'] }],
    ['a subnet with host bits', { subnet4: parsePrefix('10.1.0.1/16') }],
  ] as const)
    it(`parameters with ${why} cannot be made`, () => {
      expect(() => encodeParameters({ ...PARAMETERS, ...change }, authority)).to.throw(DecodeError);
    });
});
