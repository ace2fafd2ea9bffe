import { expect } from 'chai';
import type { FlowLine, Flows } from '../../agent/src/api.ts';
import { flowsText, since } from './flows-text.ts';

const flow = (match: string, packets: number): FlowLine => ({
  table: 3,
  tableName: 'edge',
  priority: 148,
  match,
  actions: 'goto_table:4',
  packets,
  bytes: packets * 100,
  ageS: 90,
  ours: true,
});

function flows(packets: Readonly<Record<string, number>>, bytes: Readonly<Record<string, number>>): Flows {
  return {
    switches: [{ name: 'tincan', flows: Object.entries(packets).map(([match, n]) => flow(match, n)), error: null }],
    pairs: Object.entries(bytes).map(([name, n]) => ({ id: name, name, bytes: n, viaBytes: 0, path: 'direct' })),
  };
}

describe('flows between two readings', () => {
  it('are what was counted in between, the busiest pair first', () => {
    const more = since(
      flows({ x: 10, y: 5 }, { a: 9_000, b: 100 }),
      flows({ x: 13, y: 5, z: 2 }, { a: 9_500, b: 3_100 }),
    );
    expect(more.switches[0]?.flows.map(({ match, packets, bytes }) => `${match} ${packets} ${bytes}`)).to.deep.equal([
      'x 3 300',
      'y 0 0',
      'z 2 200',
    ]);
    expect(more.pairs.map(({ name, bytes }) => `${name} ${bytes}`)).to.deep.equal(['b 3000', 'a 500']);
  });

  it('begin at nothing where a flow or tincan is another one', () => {
    const more = since(flows({ x: 10 }, { a: 9_000 }), flows({ x: 4 }, { a: 200 }));
    expect(more.switches[0]?.flows[0]?.packets).to.equal(4);
    expect(more.pairs[0]?.bytes).to.equal(200);
  });
});

describe('the text of flows', () => {
  it('leaves out what counted nothing, says so, and gives rates where the time is known', () => {
    const both = flows({ x: 10, y: 0 }, { a: 9_000, b: 0 });
    const text = flowsText(both, { all: false });
    expect(text).to.contain("tincan's switch: 2 flows; 1 counted nothing (--all shows them)\n");
    expect(text).to.match(/^edge +148 +x +goto_table:4 +10 +1\.0 kB +1m 30s$/m);
    expect(text).not.to.match(/^edge +148 +y/m);
    expect(text).to.match(/^a +direct +9\.0 kB +-$/m);
    expect(flowsText(both, { all: true })).to.match(/^edge +148 +y/m);
    expect(flowsText(both, { all: false, seconds: 2 })).to.match(/^a +direct +4\.5 kB\/s +-$/m);
  });

  it('says why the flows of a switch are not known', () => {
    const away: Flows = { switches: [{ name: 'ovs', flows: [], error: 'nothing answers' }], pairs: [] };
    expect(flowsText(away, { all: false })).to.equal(
      'Open vSwitch: nothing answers\n\nno frames to or from other nodes\n',
    );
  });
});
