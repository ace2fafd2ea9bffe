import { expect } from 'chai';
import type { EvioNetworkSpec } from '../../../crds/src/evio-network.ts';
import { EVIO_NETWORK } from '../../../crds/src/kinds.ts';
import { parametersOf } from './parameters.ts';

describe('the overlay that an EvioNetwork asks for', () => {
  it('has the links of each node that the spec says: a number, auto, or auto with a bound', () => {
    const links = (topology: object) =>
      parametersOf(EVIO_NETWORK.spec.parse({ topology }) as EvioNetworkSpec).topology.longDistance;
    expect([{}, { longDistance: 3 }, { longDistance: 'auto' }, { longDistance: 'auto:8' }].map(links)).to.deep.equal([
      'auto',
      3,
      'auto',
      'auto:8',
    ]);
  });
});
