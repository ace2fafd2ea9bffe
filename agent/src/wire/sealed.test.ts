import { expect } from 'chai';
import fc from 'fast-check';
import { nodeIdOf } from './ids.ts';
import { privateKey, rawPublicKey } from './keys.ts';
import { DecodeError } from './reader.ts';
import { type Boot, messageKey, openMessage, type Pair, readSealedHeader, sealMessage } from './sealed.ts';

const identity = privateKey('ed25519', Buffer.alloc(32, 1));
const identityKey = rawPublicKey(identity);
const [ephemeralA, ephemeralB] = [privateKey('x25519', Buffer.alloc(32, 2)), privateKey('x25519', Buffer.alloc(32, 3))];
const A: Boot = {
  nodeId: nodeIdOf(identityKey),
  nonce: Buffer.alloc(16, 4),
  ephemeralKey: rawPublicKey(ephemeralA),
};
const B: Boot = {
  nodeId: nodeIdOf(rawPublicKey(privateKey('ed25519', Buffer.alloc(32, 5)))),
  nonce: Buffer.alloc(16, 6),
  ephemeralKey: rawPublicKey(ephemeralB),
};
const PAIR: Pair = { overlayId: '00'.repeat(16), sender: A, recipient: B };
const BODY = Buffer.from('{"type":"bye","tunnel":"0123456789abcdef"}');
const sealKey = messageKey(PAIR, ephemeralA, B.ephemeralKey);
const openKey = messageKey(PAIR, ephemeralB, A.ephemeralKey);
const SEALED = sealMessage(PAIR, sealKey, identity, 7n, BODY);
const open = (bytes: Uint8Array) => openMessage(PAIR, openKey, identityKey, bytes);

describe('sealed messages', () => {
  it('both ends derive one key, and another for the other direction', () => {
    expect(sealKey.equals(openKey)).to.equal(true);
    const back: Pair = { ...PAIR, sender: B, recipient: A };
    expect(messageKey(back, ephemeralA, B.ephemeralKey).equals(sealKey)).to.equal(false);
  });

  it('the recipient reads what the sender wrote', () => {
    expect(open(SEALED).equals(BODY)).to.equal(true);
    expect(readSealedHeader(SEALED).counter).to.equal(7n);
  });

  it('a message with any byte changed is refused', () => {
    for (let i = 0; i < SEALED.length; i++) {
      const bent = Buffer.from(SEALED);
      bent[i] = (bent[i] ?? 0) ^ 0x80;
      expect(() => open(bent), `byte ${i}`).to.throw(DecodeError);
    }
  });

  it('a message cut short is refused at every length', () => {
    for (let n = 0; n < SEALED.length; n++) expect(() => open(SEALED.subarray(0, n))).to.throw(DecodeError);
  });

  it('who holds only the ephemeral key cannot speak for the identity', () => {
    const forged = sealMessage(PAIR, sealKey, privateKey('ed25519', Buffer.alloc(32, 8)), 7n, BODY);
    expect(() => open(forged)).to.throw(DecodeError, /signature/);
  });

  it('a low-order ephemeral key is refused', () => {
    expect(() => messageKey(PAIR, ephemeralA, Buffer.alloc(32))).to.throw(DecodeError);
  });

  it('nothing but a DecodeError comes of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(SEALED.length), (noise, at) => {
        try {
          open(Buffer.concat([SEALED.subarray(0, at), noise]));
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
      }),
    );
  });
});
