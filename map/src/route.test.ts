import { expect } from 'chai';
import { seeded } from '../../test/sim/random.ts';
import { modelOf } from './evio-nodes.ts';
import type { MapModel } from './model.ts';
import { routeOf } from './route.ts';
import { clusterOf } from './testing/cluster.ts';

const model = modelOf('default', clusterOf(60, seeded(5)));
const names = model.nodes.map(({ name }) => name);
const [first = '', second = ''] = names;
const opposite = names[30] ?? '';

describe('the way on the map', () => {
  it('leads from every node to every other by tunnels that are up, in a few hops', () => {
    const up = new Set(
      model.edges.filter(({ state }) => state === 'up').flatMap(({ a, b }) => [`${a} ${b}`, `${b} ${a}`]),
    );
    for (const to of names.slice(1)) {
      const route = routeOf(model, first, to);
      expect(route?.reach, to).to.equal('whole');
      expect([route?.hops[0]?.from, route?.hops.at(-1)?.to]).to.deep.equal([first, to]);
      expect(route?.hops.every(({ from, to: next }) => up.has(`${from} ${next}`))).to.equal(true);
      expect(route?.hops.length).to.be.within(1, 5);
    }
  });

  it('is one hop between neighbours, with the round trip of their tunnel', () => {
    const edge = model.edges.find(({ a, b }) => [a, b].includes(first) && [a, b].includes(second));
    expect(routeOf(model, first, second)).to.deep.include({ reach: 'whole', rttMs: edge?.rttMs });
  });

  it('goes round tunnels that are down', () => {
    const cut: MapModel = {
      ...model,
      edges: model.edges.map((edge) =>
        [edge.a, edge.b].includes(first) && [edge.a, edge.b].includes(second)
          ? { ...edge, state: 'down' as const }
          : edge,
      ),
    };
    const route = routeOf(cut, first, second);
    expect(route?.reach).to.equal('whole');
    expect(route?.hops.length).to.be.greaterThan(1);
  });

  it('says that there is none when a node has no tunnel', () => {
    const alone: MapModel = { ...model, edges: model.edges.filter(({ a, b }) => a !== first && b !== first) };
    expect(routeOf(alone, first, opposite)).to.deep.include({
      reach: 'none',
      hops: [],
      text: `no way is known from ${first} on to ${opposite}`,
    });
  });

  it('ends at what one node cannot know', () => {
    const own: MapModel = {
      ...model,
      self: first,
      edges: model.edges.filter(({ a, b }) => a === first || b === first),
    };
    const route = routeOf(own, first, opposite);
    if (route?.hops.length !== 1 || route.hops[0]?.to !== opposite) expect(route?.reach).to.equal('partial');
    expect(routeOf(own, first, second)?.reach).to.equal('whole');
    expect(routeOf(own, second, first)?.hops).to.deep.include({
      from: second,
      to: first,
      path: route === undefined ? '' : (routeOf(own, first, second)?.hops[0]?.path ?? 'none'),
      rttMs: routeOf(own, first, second)?.rttMs ?? null,
    });
    expect(routeOf(own, second, opposite)?.text).to.equal(
      `${first} knows its own tunnels only: choose it as one of the two`,
    );
  });

  it('is none for who is no member, and itself for one node', () => {
    expect(routeOf(model, first, 'nobody')).to.equal(undefined);
    expect(routeOf(model, first, first)).to.deep.include({ reach: 'whole', hops: [] });
  });
});
