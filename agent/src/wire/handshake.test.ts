/** tincan's handshake and sealed records by their vectors, against a Noise of our own. */
import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { verifyCertificate } from './certificate.ts';
import {
  decodeCookie,
  decodeInitiation,
  decodeInitiationPayload,
  decodeResponse,
  decodeResponsePayload,
  encodeCookie,
  encodeInitiation,
  encodeInitiationPayload,
  encodeResponse,
  encodeResponsePayload,
} from './handshake.ts';
import { privateKey, rawPublicKey } from './keys.ts';
import { Initiator, Responder } from './noise.testing.ts';
import type { Cipher } from './parameters.ts';
import { DecodeError } from './reader.ts';
import { dataKey, decodeSessionHeader, encodeSessionHeader, openRecord, sealRecord } from './record.ts';
import { hostile, unhex, vectors } from './vectors.ts';

const cipherOf = (code: number): Cipher => (code === 1 ? 'aes-128-gcm' : 'chacha20-poly1305');

describe('vectors: handshake', () => {
  interface DataKey {
    readonly cipher: number;
    readonly key: string;
  }
  interface Case {
    readonly overlayId: string;
    readonly initiatorPrivate: string;
    readonly initiatorEphemeral: string;
    readonly initiatorIndex: number;
    readonly responderPrivate: string;
    readonly responderPublic: string;
    readonly responderEphemeral: string;
    readonly responderIndex: number;
    readonly payload1: string;
    readonly payload2: string;
    readonly message1: string;
    readonly message2: string;
    readonly initiation: string;
    readonly initiationWithCookie: string;
    readonly response: string;
    readonly cookie: string;
    readonly cookieSecret: string;
    readonly cookieSource: string;
    readonly k1: string;
    readonly k2: string;
    readonly dataKeys1: readonly DataKey[];
    readonly dataKeys2: readonly DataKey[];
  }
  const { cases, refused } = vectors<Case>('handshake');
  const { authorityKey } = vectors<unknown, { authorityKey: string }>('certificate');
  const x25519 = (hex: string) => privateKey('x25519', unhex(hex));

  for (const c of cases) {
    const prologue = Buffer.concat([Buffer.from('evio/1'), unhex(c.overlayId)]);
    const responderKey = unhex(c.responderPublic);

    it(`${c.name}: both ends of our Noise make tincan's messages and keys`, () => {
      const own = x25519(c.initiatorPrivate);
      const initiator = new Initiator(prologue, own, x25519(c.initiatorEphemeral), responderKey);
      const responder = new Responder(prologue, x25519(c.responderPrivate), x25519(c.responderEphemeral));
      expect(initiator.write(unhex(c.payload1)).toString('hex')).to.equal(c.message1);
      const first = responder.read(unhex(c.message1));
      expect(first.payload.toString('hex')).to.equal(c.payload1);
      expect(first.peer.equals(rawPublicKey(own))).to.equal(true);
      const second = responder.write(unhex(c.payload2));
      expect(second.message.toString('hex')).to.equal(c.message2);
      const end = initiator.read(unhex(c.message2));
      expect(end.payload.toString('hex')).to.equal(c.payload2);
      for (const keys of [second.keys, end.keys])
        expect(keys.map((k) => k.toString('hex'))).to.deep.equal([c.k1, c.k2]);
    });

    it(`${c.name}: the data keys follow from the split`, () => {
      for (const [split, keys] of [
        [c.k1, c.dataKeys1],
        [c.k2, c.dataKeys2],
      ] as const)
        for (const { cipher, key } of keys)
          expect(dataKey(unhex(split), cipherOf(cipher)).toString('hex')).to.equal(key);
    });

    it(`${c.name}: the packets around the messages`, () => {
      const noise = unhex(c.message1);
      expect(encodeInitiation(c.initiatorIndex, noise, responderKey).toString('hex')).to.equal(c.initiation);
      expect(decodeInitiation(unhex(c.initiation), responderKey)).to.deep.include({ sender: c.initiatorIndex, noise });
      const response = { sender: c.responderIndex, receiver: c.initiatorIndex, noise: unhex(c.message2) };
      expect(encodeResponse(response).toString('hex')).to.equal(c.response);
      expect(decodeResponse(unhex(c.response))).to.deep.equal(response);
    });

    it(`${c.name}: the cookie, and the initiation that brings it back`, () => {
      const mac = createHmac('sha256', unhex(c.cookieSecret)).update(unhex(c.cookieSource)).digest().subarray(0, 16);
      expect(decodeCookie(unhex(c.cookie))).to.deep.equal({ receiver: c.initiatorIndex, cookie: mac });
      expect(encodeCookie({ receiver: c.initiatorIndex, cookie: mac }).toString('hex')).to.equal(c.cookie);
      const again = encodeInitiation(c.initiatorIndex, unhex(c.message1), responderKey, mac);
      expect(again.toString('hex')).to.equal(c.initiationWithCookie);
    });

    it(`${c.name}: the payloads carry certificates of the overlay`, () => {
      const first = decodeInitiationPayload(unhex(c.payload1));
      expect(encodeInitiationPayload(first).toString('hex')).to.equal(c.payload1);
      const second = decodeResponsePayload(unhex(c.payload2));
      expect(encodeResponsePayload(second).toString('hex')).to.equal(c.payload2);
      const certificate = verifyCertificate(first.certificate, unhex(authorityKey));
      expect(certificate.sessionKey).to.deep.equal(rawPublicKey(x25519(c.initiatorPrivate)));
      verifyCertificate(second.certificate, unhex(authorityKey));
    });

    it(`${c.name}: a Noise message with any byte changed is refused`, () => {
      const message = unhex(c.message1);
      for (let i = 0; i < message.length; i++) {
        const bent = Buffer.from(message);
        bent[i] = (bent[i] ?? 0) ^ 1;
        const responder = new Responder(prologue, x25519(c.responderPrivate), x25519(c.responderEphemeral));
        // The top bit of an X25519 key is ignored (RFC 7748 §5), but not by the transcript's hash.
        expect(() => responder.read(bent), `byte ${i}`).to.throw(DecodeError);
      }
    });
  }

  const any = (bytes: Uint8Array) => {
    const parsers = [
      (b: Uint8Array) => decodeInitiation(b, unhex(cases[0]!.responderPublic)),
      decodeResponse,
      decodeCookie,
    ];
    for (const [i, parse] of parsers.entries())
      try {
        return parse(bytes);
      } catch (error) {
        if (!(error instanceof DecodeError) || i === parsers.length - 1) throw error;
      }
    return undefined;
  };
  const initiations = cases.flatMap((c) => [
    { name: 'initiation', bytes: unhex(c.initiation) },
    { name: 'cookie', bytes: unhex(c.cookie) },
    // Its length is judged by Noise: here only the header can be cut.
    { name: 'response', bytes: unhex(c.response), shortest: 12 },
  ]);
  hostile(any, initiations, refused);
  hostile(decodeInitiationPayload, [{ name: 'payload 1', bytes: unhex(cases[0]!.payload1) }], []);
  hostile(decodeResponsePayload, [{ name: 'payload 2', bytes: unhex(cases[0]!.payload2) }], []);
});

describe('vectors: session', () => {
  interface Case {
    readonly cipher: number;
    readonly key: string;
    readonly type: number;
    readonly receiver: number;
    readonly counter: string;
    readonly header: string;
    readonly plaintext: string;
    readonly record: string;
  }
  const { cases, refused, refusedKey } = vectors<Case, { refusedKey: string }>('session');
  const opener = (c: Case) => (bytes: Uint8Array) => openRecord(cipherOf(c.cipher), unhex(c.key), bytes);
  for (const c of cases) {
    it(c.name, () => {
      const header = { type: c.type, receiver: c.receiver, counter: BigInt(c.counter) };
      expect(encodeSessionHeader(header).toString('hex')).to.equal(c.header);
      expect(decodeSessionHeader(unhex(c.record))).to.deep.equal(header);
      const sealed = sealRecord(cipherOf(c.cipher), unhex(c.key), header, unhex(c.plaintext));
      expect(sealed.toString('hex')).to.equal(c.record);
      expect(opener(c)(sealed).toString('hex')).to.equal(c.plaintext);
    });
    hostile(opener(c), [{ name: c.name, bytes: unhex(c.record) }], []);
  }
  const refuser = (bytes: Uint8Array) => openRecord('aes-128-gcm', unhex(refusedKey), bytes);
  hostile(refuser, [], refused);
});
