/** Identifiers, signed objects and sealed messages by the vectors of docs/wire.md, which tincan's tests run too. */
import { expect } from 'chai';
import { decodeLongDistance } from '../long-distance.ts';
import { formatEndpoint, formatPrefix, parseEndpoint, parsePrefix } from './address.ts';
import { encodeCertificate, verifyCertificate } from './certificate.ts';
import { inArc } from './flood.ts';
import { encodeHello, verifyHello } from './hello.ts';
import { isNodeId, labelHex, labelOf, nodeIdOf, overlayIdOf, parseLabel, ringDistance } from './ids.ts';
import { privateKey, rawPublicKey } from './keys.ts';
import { allottedMac, allows, isGroup, isRuled, linkLocalOf, nodeMac4, podMac4 } from './mac.ts';
import { CIPHERS, type Cipher, encodeParameters, verifyParameters } from './parameters.ts';
import { encodeRevocations, verifyRevocations } from './revocations.ts';
import { messageKey, openMessage, sealMessage } from './sealed.ts';
import { hostile, unhex, vectors } from './vectors.ts';

describe('vectors: identifiers', () => {
  const { cases, overlay, distances, arcs, refused } = vectors<
    { identityKey: string; nodeId: string; label: string },
    {
      overlay: { authorityKey: string; overlayId: string };
      distances: { from: string; to: string; clockwise: string }[];
      arcs: { position: string; start: string; bound: string; inside: boolean }[];
    }
  >('identifiers');
  for (const c of cases)
    it(c.name, () => {
      expect(nodeIdOf(unhex(c.identityKey))).to.equal(c.nodeId);
      expect(labelHex(labelOf(c.nodeId))).to.equal(c.label);
    });
  it('the overlay id', () => {
    expect(overlayIdOf(unhex(overlay.authorityKey))).to.equal(overlay.overlayId);
  });
  it('ring distances', () => {
    for (const d of distances)
      expect(labelHex(ringDistance(parseLabel(d.from), parseLabel(d.to)))).to.equal(d.clockwise);
  });
  it('arcs', () => {
    for (const a of arcs)
      expect(inArc(parseLabel(a.position), parseLabel(a.start), parseLabel(a.bound)), JSON.stringify(a)).to.equal(
        a.inside,
      );
  });
  for (const { name, input } of refused)
    it(`refuses ${name}`, () => {
      expect(isNodeId(input)).to.equal(false);
    });
});

describe('vectors: mac', () => {
  const { cases, matches } = vectors<
    {
      mac: string;
      linkLocal: string;
      ruled: boolean;
      group: boolean;
      of: { node?: string; pod?: string; serial?: string } | null;
    },
    { matches: { mac: string; entry: string; mask: string; matches: boolean }[] }
  >('mac');
  for (const c of cases)
    it(c.name, () => {
      expect([isRuled(c.mac), isGroup(c.mac), linkLocalOf(c.mac)]).to.deep.equal([c.ruled, c.group, c.linkLocal]);
      if (c.of?.node !== undefined) expect(nodeMac4(c.of.node)).to.equal(c.mac);
      if (c.of?.pod !== undefined) expect(podMac4(c.of.pod)).to.equal(c.mac);
      if (c.of?.serial !== undefined) expect(allottedMac(BigInt(c.of.serial))).to.equal(c.mac);
    });
  it('matches of entries', () => {
    for (const m of matches) expect(allows([{ mac: m.entry, mask: m.mask }], m.mac)).to.equal(m.matches);
  });
});

describe('vectors: certificate', () => {
  interface Case {
    readonly object: string;
    readonly nodeName: string;
    readonly identityKey: string;
    readonly sessionKey: string;
    readonly overlayId: string;
    readonly ipv4: string[];
    readonly ipv6: string[];
    readonly routedIpv4: string[];
    readonly routedIpv6: string[];
    readonly macs: string[];
    readonly mac: string;
    readonly serial: string;
    readonly notBefore: number;
    readonly notAfter: number;
    readonly nodeId: string;
  }
  const { cases, refused, authorityKey, authoritySeed, alsoAccepted } = vectors<
    Case,
    { authorityKey: string; authoritySeed: string; alsoAccepted: { object: string }[] }
  >('certificate');
  const verify = (bytes: Uint8Array) => verifyCertificate(bytes, unhex(authorityKey));
  for (const c of cases)
    it(c.name, () => {
      const read = verify(unhex(c.object));
      expect([...read.addresses, ...read.routes].map(formatPrefix)).to.deep.equal(
        [c.ipv4, c.ipv6, c.routedIpv4, c.routedIpv6].flat(),
      );
      expect(read.macs.map((m) => `${m.mac}/${m.mask}`)).to.deep.equal(c.macs);
      expect([read.nodeId, read.mac]).to.deep.equal([c.nodeId, c.mac]);
      const made = encodeCertificate(
        {
          overlayId: c.overlayId,
          identityKey: unhex(c.identityKey),
          sessionKey: unhex(c.sessionKey),
          name: c.nodeName,
          addresses: [...c.ipv4, ...c.ipv6].map(parsePrefix),
          routes: [...c.routedIpv4, ...c.routedIpv6].map(parsePrefix),
          macs: read.macs,
          serial: BigInt(c.serial),
          notBefore: c.notBefore,
          notAfter: c.notAfter,
        },
        privateKey('ed25519', unhex(authoritySeed)),
      );
      expect(made.toString('hex')).to.equal(c.object);
    });
  it('types from 128 up are ignored', () => {
    for (const { object } of alsoAccepted) verify(unhex(object));
  });
  hostile(
    verify,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.object) })),
    refused,
  );
});

describe('vectors: parameters', () => {
  interface Case {
    readonly object: string;
    readonly overlayName: string;
    readonly serial: string;
    readonly issued: number;
    readonly mtu: number;
    readonly ciphers: number[];
    readonly ipv4: string | null;
    readonly ipv6: string | null;
    readonly successors: number;
    readonly longDistance: number;
    readonly onDemand: number;
    readonly fullMesh: number;
  }
  const { cases, refused, authoritySeed } = vectors<Case, { authoritySeed: string }>('parameters');
  const nameOf = (code: number) => (Object.keys(CIPHERS) as Cipher[]).find((c) => CIPHERS[c] === code)!;
  for (const c of cases)
    it(c.name, () => {
      verifyParameters(unhex(c.object));
      const made = encodeParameters(
        {
          name: c.overlayName,
          serial: BigInt(c.serial),
          issued: c.issued,
          mtu: c.mtu,
          ciphers: c.ciphers.map(nameOf),
          subnet4: c.ipv4 === null ? undefined : parsePrefix(c.ipv4),
          subnet6: c.ipv6 === null ? undefined : parsePrefix(c.ipv6),
          topology: {
            successors: c.successors,
            longDistance: decodeLongDistance(c.longDistance)!,
            onDemand: c.onDemand,
            fullMesh: c.fullMesh === 1 ? 'auto' : 'off',
          },
        },
        privateKey('ed25519', unhex(authoritySeed)),
      );
      expect(made.toString('hex')).to.equal(c.object);
    });
  hostile(
    verifyParameters,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.object) })),
    refused,
  );
});

describe('vectors: revocations', () => {
  const { cases, refused, authorityKey, authoritySeed } = vectors<
    { object: string; serial: string; issued: number; entries: { nodeId: string; serial: string }[] },
    { authorityKey: string; authoritySeed: string }
  >('revocations');
  const verify = (bytes: Uint8Array) => verifyRevocations(bytes, unhex(authorityKey));
  for (const c of cases)
    it(c.name, () => {
      const revoked = c.entries.map((e) => ({ nodeId: e.nodeId, serial: BigInt(e.serial) }));
      expect(verify(unhex(c.object)).revoked).to.deep.equal(revoked);
      const fields = { serial: BigInt(c.serial), issued: c.issued, revoked };
      const made = encodeRevocations(fields, privateKey('ed25519', unhex(authoritySeed)));
      expect(made.toString('hex')).to.equal(c.object);
    });
  hostile(
    verify,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.object) })),
    refused,
  );
});

describe('vectors: hello', () => {
  const { cases, refused, authorityKey } = vectors<
    {
      object: string;
      identitySeed: string;
      certificate: string;
      nodeId: string;
      bootNonce: string;
      ephemeralKey: string;
      sequence: string;
      candidates: string[];
      time?: string;
    },
    { authorityKey: string }
  >('hello');
  const verify = (bytes: Uint8Array) => verifyHello(bytes, unhex(authorityKey));
  for (const c of cases)
    it(c.name, () => {
      const read = verify(unhex(c.object));
      expect(read.certificate.nodeId).to.equal(c.nodeId);
      expect(read.candidates.map(formatEndpoint)).to.deep.equal(c.candidates);
      const time = c.time === undefined ? undefined : Number(c.time);
      expect(read.time).to.equal(time);
      const made = encodeHello(
        {
          certificate: unhex(c.certificate),
          bootNonce: unhex(c.bootNonce),
          ephemeralKey: unhex(c.ephemeralKey),
          sequence: BigInt(c.sequence),
          candidates: c.candidates.map(parseEndpoint),
          time,
        },
        privateKey('ed25519', unhex(c.identitySeed)),
      );
      expect(made.toString('hex')).to.equal(c.object);
    });
  hostile(
    verify,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.object) })),
    refused,
  );
});

describe('vectors: signal', () => {
  interface Side {
    readonly identitySeed: string;
    readonly nodeId: string;
    readonly nonce: string;
    readonly ephemeralSeed: string;
    readonly ephemeralKey: string;
  }
  interface Case {
    readonly overlayId: string;
    readonly sender: Side;
    readonly recipient: Side;
    readonly counter: string;
    readonly key: string;
    readonly body: string;
    readonly message: string;
  }
  const { cases, refused } = vectors<Case>('signal');
  const boot = (s: Side) => ({ nodeId: s.nodeId, nonce: unhex(s.nonce), ephemeralKey: unhex(s.ephemeralKey) });
  const pairOf = (c: Case) => ({ overlayId: c.overlayId, sender: boot(c.sender), recipient: boot(c.recipient) });
  const opener = (c: Case) => (bytes: Uint8Array) => {
    const ephemeral = privateKey('x25519', unhex(c.recipient.ephemeralSeed));
    const key = messageKey(pairOf(c), ephemeral, unhex(c.sender.ephemeralKey));
    const identity = rawPublicKey(privateKey('ed25519', unhex(c.sender.identitySeed)));
    return openMessage(pairOf(c), key, identity, bytes);
  };
  for (const c of cases) {
    it(c.name, () => {
      const key = messageKey(
        pairOf(c),
        privateKey('x25519', unhex(c.sender.ephemeralSeed)),
        unhex(c.recipient.ephemeralKey),
      );
      expect(key.toString('hex')).to.equal(c.key);
      const identity = privateKey('ed25519', unhex(c.sender.identitySeed));
      const made = sealMessage(pairOf(c), key, identity, BigInt(c.counter), unhex(c.body));
      expect(made.toString('hex')).to.equal(c.message);
      expect(opener(c)(made).toString('hex')).to.equal(c.body);
    });
  }
  hostile(opener(cases[0]!), [{ name: cases[0]!.name, bytes: unhex(cases[0]!.message) }], refused);
});
