import { expect } from 'chai';
import { ipamOf } from './ipam.ts';

describe('addresses of pods', () => {
  const names = ['10.244.3.2', '10.244.3.3', 'fd00:10:244:3::2', 'last', 'lock', 'new', 'adding', '10.244.4.1'];

  it('are counted in the family that has fewer left', () => {
    expect(ipamOf(['10.244.3.0/24', 'fd00:10:244:3::/64'], names)).to.deep.equal({ used: 2, free: 251 });
    expect(ipamOf(['fd00:10:244:3::/126'], names)).to.deep.equal({ used: 1, free: 1 });
    expect(ipamOf(['10.244.9.0/30'], names)).to.deep.equal({ used: 0, free: 1 });
  });

  it('are none where pods have another network', () => {
    expect(ipamOf([], names)).to.equal(undefined);
  });
});
