import { expect } from 'chai';
import * as fc from 'fast-check';
import { seeded } from '../../test/sim/random.ts';
import { applied, changesOf, eventsOf } from './changes.ts';
import { modelOf } from './evio-nodes.ts';
import { EMPTY, type MapModel } from './model.ts';
import { changed, clusterOf, readiness } from './testing/cluster.ts';

const cluster = clusterOf(10, seeded(3), { relayed: 0 });
const model = modelOf('default', cluster);
const name = cluster[4]?.spec.memberName ?? '';
const texts = (before: MapModel, after: MapModel): readonly string[] => eventsOf(before, after).map(({ text }) => text);

describe('changes of the map', () => {
  it('are none between equal states', () => {
    expect(changesOf(model, modelOf('default', clusterOf(10, seeded(3), { relayed: 0 })))).to.equal(undefined);
    expect(eventsOf(model, model)).to.deep.equal([]);
  });

  it('lead from any state to any other', () => {
    const any = fc
      .record({
        seed: fc.integer({ min: 0, max: 50 }),
        size: fc.integer({ min: 0, max: 14 }),
        relayed: fc.constantFrom(0, 0.5),
        down: fc.constantFrom(0, 0.4),
      })
      .map(({ seed, size, relayed, down }) => modelOf(`n${size}`, clusterOf(size, seeded(seed), { relayed, down })));
    fc.assert(
      fc.property(any, any, (before, after) => {
        const changes = changesOf(before, after);
        expect(changes === undefined ? before : applied(before, changes)).to.deep.equal(after);
      }),
      { numRuns: 60 },
    );
  });

  it('name what is different only', () => {
    const after = modelOf(
      'default',
      changed(cluster, name, (status) => ({ ...status, nat: { mapping: 'Unknown' } })),
    );
    const changes = changesOf(model, after);
    expect(changes?.nodes.length).to.be.at.most(1);
    expect([changes?.edges, changes?.goneEdges, changes?.goneNodes]).to.deep.equal([[], [], []]);
  });

  it('are sentences about nodes and tunnels', () => {
    const ill = modelOf(
      'default',
      changed(cluster, name, (status) => ({
        ...status,
        conditions: [readiness(false, 'SignallingLost', 'no answer')],
      })),
    );
    expect(texts(model, ill)).to.deep.equal([`${name} is not ready (SignallingLost: no answer)`]);
    expect(texts(ill, model)).to.deep.equal([`${name} is ready`]);
    const [edge] = model.edges;
    if (edge === undefined) throw new Error('no edge');
    const { a, b } = edge;
    const having = (state: 'up' | 'down', path: 'direct' | 'relayed' | 'via'): MapModel => ({
      ...model,
      edges: [{ ...edge, state, path }, ...model.edges.slice(1)],
    });
    expect(texts(model, having('down', 'via'))).to.deep.equal([`The tunnel ${a} – ${b} is down`]);
    expect(texts(having('down', 'via'), model)).to.deep.equal([`The tunnel ${a} – ${b} is up, direct`]);
    expect(texts(model, having('up', 'relayed'))).to.deep.equal([`The tunnel ${a} – ${b} is relayed now, was direct`]);
    expect(texts(model, { ...model, edges: model.edges.slice(1) })).to.deep.equal([
      `The tunnel ${a} – ${b} is no longer kept`,
    ]);
    expect(texts(model, { ...model, edges: [{ ...edge, rttMs: 999 }, ...model.edges.slice(1)] })).to.deep.equal([]);
  });

  it('of a node that left are one sentence, whatever tunnels it had', () => {
    const without = modelOf(
      'default',
      cluster.filter(({ spec }) => spec.memberName !== name),
    );
    expect(texts(model, without)).to.deep.equal([`${name} left`]);
    expect(texts(without, model)).to.deep.equal([`${name} joined`]);
  });

  it('are a hundred sentences at most', () => {
    const many = eventsOf(EMPTY, modelOf('default', clusterOf(130, seeded(1))));
    expect(many.length).to.equal(101);
    expect(many.at(-1)?.text).to.equal('and 30 more changes at the same time');
  });
});
