import { expect } from 'chai';
import { filteringOf, lifetimeOf, type Mapping, mappingOf, type Sight } from './behaviour.ts';

const at = (text: string) => {
  const [address = '', port] = text.split(':');
  return { address, port: Number(port) };
};
const sight = (by: string, mapped: string): Sight => ({ by: at(by), mapped: at(mapped) });
const LOCAL = [at('192.168.1.10:5000')];

describe('what a NAT does', () => {
  const rows: readonly (readonly [string, Mapping, readonly Sight[]])[] = [
    ['nothing was seen', 'unknown', []],
    ['it is seen as it is', 'none', [sight('1.1.1.1:1', '192.168.1.10:5000')]],
    ['one server alone sees it', 'unknown', [sight('1.1.1.1:1', '9.9.9.9:5000')]],
    [
      'two ports of one server see one mapping',
      'unknown',
      [sight('1.1.1.1:1', '9.9.9.9:5'), sight('1.1.1.1:2', '9.9.9.9:5')],
    ],
    [
      'two addresses see one mapping',
      'endpoint-independent',
      [sight('1.1.1.1:1', '9.9.9.9:5'), sight('2.2.2.2:1', '9.9.9.9:5')],
    ],
    [
      'two addresses see two, of which nothing more is known',
      'dependent',
      [sight('1.1.1.1:1', '9.9.9.9:5'), sight('2.2.2.2:1', '9.9.9.9:6')],
    ],
    [
      'two addresses see two, and two ports of one the same',
      'address-dependent',
      [sight('1.1.1.1:1', '9.9.9.9:5'), sight('2.2.2.2:1', '9.9.9.9:6'), sight('2.2.2.2:2', '9.9.9.9:6')],
    ],
    [
      'two ports of one server see two',
      'address-and-port-dependent',
      [sight('1.1.1.1:1', '9.9.9.9:5'), sight('1.1.1.1:2', '9.9.9.9:6')],
    ],
    [
      'another address is seen each time',
      'dependent',
      [sight('1.1.1.1:1', '9.9.9.9:5'), sight('2.2.2.2:1', '9.9.9.8:5')],
    ],
  ];
  for (const [what, mapping, sights] of rows)
    it(`is told as ${mapping} where ${what}`, () => expect(mappingOf(sights, LOCAL)).to.equal(mapping));

  it('lets in whom its answers came from', () => {
    const answers = (fromOtherAddress: boolean, fromOtherPort: boolean) => ({ fromOtherAddress, fromOtherPort });
    expect(filteringOf('none', answers(true, true))).to.equal('none');
    expect(filteringOf('none', answers(false, false))).to.equal('address-and-port-dependent');
    expect(filteringOf('endpoint-independent', answers(true, true))).to.equal('endpoint-independent');
    expect(filteringOf('endpoint-independent', answers(false, true))).to.equal('address-dependent');
    expect(filteringOf('endpoint-independent', undefined)).to.equal('unknown');
  });

  it('keeps a mapping between the longest idle time it survived and the shortest it did not', () => {
    const idle = (...list: (readonly [number, boolean])[]) =>
      lifetimeOf(list.map(([idleS, alive]) => ({ idleS, alive })));
    expect(idle([5, true], [10, true], [15, false])).to.deep.equal({ atLeastS: 10, lessThanS: 15 });
    expect(idle([5, false])).to.deep.equal({ atLeastS: undefined, lessThanS: 5 });
    expect(idle([5, true])).to.deep.equal({ atLeastS: 5, lessThanS: undefined });
    // A lost answer in between is no proof of the longer one.
    expect(idle([5, true], [10, false], [15, true])).to.deep.equal({ atLeastS: 5, lessThanS: 10 });
  });
});
