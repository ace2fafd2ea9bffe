import { expect } from 'chai';
import { Way, type Ways } from './way.ts';

const open = (...names: readonly string[]): Ways => ({
  room: names.includes('room'),
  account: names.includes('account'),
  overlay: names.includes('overlay'),
});

describe('the way to a peer', () => {
  it('is the room where both are in it, else what there is', () => {
    const way = new Way();
    expect(way.choose('other', open('room', 'account', 'overlay'), true)).to.equal('room');
    expect(way.choose('other', open('account'), true)).to.equal('account');
    expect(way.choose('other', open('overlay'), true)).to.equal('overlay');
    expect(way.choose('other', open(), true)).to.equal(undefined);
  });

  it('is the overlay once it was heard by it or there is a tunnel, and the account when it was made known anew', () => {
    const way = new Way();
    const both = open('account', 'overlay');
    expect(way.choose('other', both, true)).to.equal('account');
    way.heard('overlay');
    expect(way.choose('other', both, true)).to.equal('overlay');
    way.madeKnown();
    expect(way.choose('other', both, true)).to.equal('account');
    way.adjacent();
    expect(way.choose('other', both, true)).to.equal('overlay');
  });

  it('is the other one for an offer after one that was not answered', () => {
    const way = new Way();
    const both = open('account', 'overlay');
    way.heard('overlay');
    expect([1, 2, 3].map(() => way.choose('offer', both, true))).to.deep.equal(['overlay', 'account', 'overlay']);
    expect(way.choose('other', both, true)).to.equal('overlay');
    way.heard('overlay');
    expect(way.choose('offer', both, true)).to.equal('overlay');
  });

  it('is the account for offers and answers while our own ring has gaps, but not twice in a row', () => {
    const way = new Way();
    const both = open('account', 'overlay');
    way.heard('overlay');
    expect(way.choose('answer', both, false)).to.equal('account');
    expect(way.choose('other', both, false)).to.equal('overlay');
    expect(way.choose('offer', both, false)).to.equal('account');
    way.heard('account');
    way.choose('offer', both, false);
    expect(way.choose('offer', both, false)).to.equal('overlay');
  });
});
