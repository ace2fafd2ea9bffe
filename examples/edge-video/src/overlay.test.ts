import { expect } from 'chai';
import { samePlace } from './overlay.ts';

const PLACE = { address: '10.45.0.2', index: '7', cidr: '10.45.0.2/16' };
const ADDRESS = { address: '10.45.0.2', cidr: '10.45.0.2/16' };

describe("the overlay's interface", () => {
  it('is the same one while it has its address', () => {
    expect(samePlace(PLACE, { index: '7', address: ADDRESS, carrier: true })).to.equal(true);
  });

  it('is the same one while it has no carrier, when nobody tells its address', () => {
    expect(samePlace(PLACE, { index: '7', address: undefined, carrier: false })).to.equal(true);
  });

  it('is another one that came under the same name, with the same address or none yet', () => {
    expect(samePlace(PLACE, { index: '8', address: ADDRESS, carrier: true })).to.equal(false);
    expect(samePlace(PLACE, { index: '8', address: undefined, carrier: false })).to.equal(false);
  });

  it('is not the same one without its address, or not there', () => {
    expect(samePlace(PLACE, { index: '7', address: undefined, carrier: true })).to.equal(false);
    expect(samePlace(PLACE, { index: '7', address: { ...ADDRESS, address: '10.45.0.9' }, carrier: true })).to.equal(
      false,
    );
    expect(samePlace(PLACE, undefined)).to.equal(false);
  });
});
