import { expect } from 'chai';
import { DecodeError } from '../wire/reader.ts';
import {
  offerOf,
  offerTexts,
  overlayText,
  readOffer,
  readOverlay,
  readStanding,
  tokenSecretName,
} from './cluster-token.ts';

const SECRET = Buffer.alloc(16, 9);
const OVERLAY = { service: 'xmpps://192.0.2.1:5223', domain: 'evio.test', authorityKey: Buffer.alloc(32, 1) };

describe('a token of a cluster', () => {
  it('is told to the operator without what one joins by', () => {
    const offer = offerOf(SECRET, { expires: 1_800_000_000, uses: 3 });
    const texts = offerTexts(offer);
    for (const form of ['hex', 'base64', 'base64url'] as const)
      expect(JSON.stringify(texts)).not.to.include(SECRET.toString(form));
    expect(readOffer(tokenSecretName(offer.id), (key) => texts[key])).to.deep.equal(offer);
    const peer = offerOf(SECRET, { expires: 1_800_000_000, uses: 1, peer: 'camera' });
    expect(readOffer(tokenSecretName(peer.id), (key) => offerTexts(peer)[key])).to.deep.equal(peer);
  });

  it('is composed of what the operator says of the overlay, with each way to trust its server', () => {
    const ways = [
      { kind: 'public' },
      { kind: 'fingerprint', sha256: Buffer.alloc(32, 2) },
      { kind: 'certificates', certificates: [Buffer.from('one'), Buffer.from('two')] },
    ] as const;
    for (const trusted of ways)
      expect(readOverlay(overlayText({ ...OVERLAY, trusted }))).to.deep.equal({ ...OVERLAY, trusted });
  });

  it('that another version tells of in another way is an error of one kind', () => {
    for (const text of ['', 'null', '[]', '{}', '{"trusted":{"kind":"other"}}', '{"service":5}']) {
      expect(() => readOverlay(text), text).to.throw(DecodeError);
      expect(() => readStanding(text), text).to.throw(DecodeError);
    }
  });
});
