import { expect } from 'chai';
import { ringSvg } from './ring-svg.ts';
import { holds, type RowName, shown, table, worse } from './rows.ts';
import { standing } from './standing.ts';

/** Set to run another one; every failure names its own. */
const SEED = Number(process.env.EVIO_SEED ?? 7);

describe('an overlay at scale', function () {
  this.timeout(300_000);

  for (const size of [16, 128]) {
    it(`of ${size} nodes has the links, hops, flows, floods and detours of the table, seed ${SEED}`, () => {
      const { column } = standing({ size, seed: SEED, floods: 20 });
      const short = (Object.entries(column) as [RowName, number][]).filter(
        ([name, value]) => !holds(name, size, value),
      );
      expect(short.map(([name, value]) => `${name} ${shown(name, value)}`)).to.deep.equal([]);
    });
  }

  it('is the same again with the same seed, and another one with another', () => {
    const [one, same, other] = [SEED, SEED, SEED + 1].map((seed) => standing({ size: 16, seed, floods: 3 }));
    expect(one).to.deep.equal(same);
    expect(one?.graph).to.not.deep.equal(other?.graph);
  });
});

describe('the table', () => {
  it('shows a figure that falls short with its limit, and never rounds up to all', () => {
    expect(table(new Map([[16, { hops: 2.5, flooded: 99.99999 }]]))).to.deep.equal([
      '| | 16 |',
      '|---|---|',
      '| hops without full mesh and on-demand tunnels, mean | **2.50** (≤ 2) |',
      '| nodes reached by a flood | **99.9999 %** (≥ 100) |',
    ]);
    expect([worse('hops', 2, 3), worse('flooded', 99, 100), worse('hops', undefined, 1)]).to.deep.equal([3, 99, 1]);
  });

  it('has a picture with a chord for each tunnel', () => {
    const graph = { labels: [0n, 1n << 62n, 1n << 63n], tunnels: [[0, 1] as const, [1, 2] as const] };
    const svg = ringSvg(graph, 'seed 1', [1]);
    expect(svg).to.include('M450.0 50.0L850.0 450.0').and.to.include('M850.0 450.0L450.0 850.0');
  });
});
