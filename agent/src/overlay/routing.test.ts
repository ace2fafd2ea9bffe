import { expect } from 'chai';
import fc from 'fast-check';
import { compareLabels, type Label, labelHex, RING_SIZE } from './label.ts';
import { coreFlows, firstHops, lookup, type Neighbour, routes } from './routing.ts';

type Graph = ReadonlyMap<Label, ReadonlySet<Label>>;

const arbitraryLabel = fc.bigInt({ min: 0n, max: RING_SIZE - 1n });
const arbitraryRing = (min: number, max: number) =>
  fc.uniqueArray(arbitraryLabel, { minLength: min, maxLength: max }).map((labels) => labels.sort(compareLabels));

/** Each node with its ring neighbours, and the given further edges by place. */
function graph(ring: readonly Label[], further: readonly (readonly [number, number])[] = []): Graph {
  const edges = new Map(ring.map((label) => [label, new Set<Label>()]));
  const join = (i: number, j: number) => {
    const [a, b] = [ring[i % ring.length]!, ring[j % ring.length]!];
    if (a === b) return;
    edges.get(a)!.add(b);
    edges.get(b)!.add(a);
  };
  for (let i = 0; i < ring.length; i++) join(i, i + 1);
  for (const [i, j] of further) join(i, j);
  return edges;
}

function neighboursOf(g: Graph, self: Label): readonly Neighbour[] {
  return [...g.get(self)!].map((label, i) => ({ label, port: 16 + i, adjacent: [...g.get(label)!] }));
}

/** The nodes a record passes from `from` on, as the flow tables send it. */
function walk(g: Graph, from: Label, to: Label, members: readonly Label[]): readonly Label[] {
  const path = [from];
  let at = from;
  while (at !== to && path.length <= members.length) {
    const neighbours = neighboursOf(g, at);
    const port = lookup(coreFlows(at, neighbours, members), to);
    const next = neighbours.find((n) => n.port === port);
    if (next === undefined) break;
    at = next.label;
    path.push(at);
  }
  return path;
}

describe('core flows', () => {
  it('reach every pair of a whole ring without passing a node twice', () => {
    const further = fc.array(fc.tuple(fc.nat(63), fc.nat(63)), { maxLength: 20 });
    fc.assert(
      fc.property(arbitraryRing(2, 20), further, (ring, edges) => {
        const g = graph(ring, edges);
        for (const from of ring) {
          for (const to of ring) {
            const path = walk(g, from, to, ring);
            expect(path.at(-1)).to.equal(to);
            expect(new Set(path).size).to.equal(path.length);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('reach any pair of a ring of 64 with Symphony’s number of links', () => {
    const further = fc.array(fc.tuple(fc.nat(63), fc.nat(63)), { minLength: 64, maxLength: 128 });
    fc.assert(
      fc.property(arbitraryRing(64, 64), further, fc.nat(63), (ring, edges, i) => {
        const g = graph(ring, edges);
        for (const to of ring) expect(walk(g, ring[i]!, to, ring).at(-1)).to.equal(to);
      }),
      { numRuns: 10 },
    );
  });

  it('need at most three hops among seven nodes that know only their ring neighbours, however unevenly they lie', () => {
    fc.assert(
      fc.property(arbitraryRing(7, 7), (ring) => {
        const g = graph(ring);
        for (const from of ring) {
          for (const to of ring) expect(walk(g, from, to, ring).length - 1).to.be.at.most(3);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('say for each known label what the naive choice per label says', () => {
    const edges = fc.array(fc.tuple(fc.nat(63), fc.nat(63)), { maxLength: 60 });
    fc.assert(
      fc.property(arbitraryRing(2, 64), edges, (ring, further) => {
        const self = ring[0]!;
        const neighbours = neighboursOf(graph(ring, further), self);
        const flows = coreFlows(self, neighbours, ring);
        for (const label of ring) expect(lookup(flows, label)).to.equal(naive(self, neighbours, ring, label));
      }),
      { numRuns: 100 },
    );
  });

  it('send a label nobody is known to own to one of the two members it lies between', () => {
    fc.assert(
      fc.property(arbitraryRing(2, 40), arbitraryLabel, (ring, label) => {
        const self = ring[0]!;
        const neighbours = neighboursOf(graph(ring), self);
        const wanted = routes(self, neighbours, ring);
        const above = ring.findIndex((l) => l >= label);
        const beside = above === -1 ? [ring.at(-1)!] : above === 0 ? [ring[0]!] : [ring[above - 1]!, ring[above]!];
        const port = lookup(coreFlows(self, neighbours, ring), label);
        expect(beside.map((l) => wanted.get(l))).to.include(port);
      }),
    );
  });

  it('are disjoint or nested prefixes, few of them where labels lie as hashes do', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.noBias(arbitraryLabel), { minLength: 2, maxLength: 64 }), (labels) => {
        const ring = labels.sort(compareLabels);
        const flows = coreFlows(ring[0]!, neighboursOf(graph(ring), ring[0]!), ring);
        expect(flows.length).to.be.at.most(40);
        expect(new Set(flows.map((f) => `${f.value}/${f.mask}`)).size).to.equal(flows.length);
        for (const f of flows) expect(f.value & ~f.mask).to.equal(0n);
      }),
    );
  });

  it('never loop while the ring is broken, whatever they then fail to reach', () => {
    const lost = fc.uniqueArray(fc.nat(19), { maxLength: 4 });
    const further = fc.array(fc.tuple(fc.nat(19), fc.nat(19)), { maxLength: 10 });
    fc.assert(
      fc.property(arbitraryRing(20, 20), further, lost, (ring, edges, broken) => {
        const g = graph(ring, edges);
        for (const i of broken) {
          const [a, b] = [ring[i]!, ring[(i + 1) % ring.length]!];
          (g.get(a) as Set<Label>).delete(b);
          (g.get(b) as Set<Label>).delete(a);
        }
        for (const from of ring) {
          for (const to of ring) {
            const path = walk(g, from, to, ring);
            expect(new Set(path).size, path.map(labelHex).join(' ')).to.equal(path.length);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('go round by a common neighbour when the tunnel to a ring neighbour is down', () => {
    const ring = [0n, 1n << 60n, 2n << 60n];
    const neighbours: Neighbour[] = [
      { label: ring[1]!, port: 16, adjacent: [], up: false },
      { label: ring[2]!, port: 17, adjacent: [ring[0]!, ring[1]!] },
    ];
    expect(lookup(coreFlows(ring[0]!, neighbours, ring), ring[1]!)).to.equal(17);
  });

  it('name a tunnel that is down where nothing else leads on, so that tincan can detour', () => {
    const ring = [0n, 1n << 60n, 2n << 60n, 3n << 60n, 4n << 60n];
    const neighbours: Neighbour[] = [
      { label: ring[1]!, port: 16, adjacent: [], up: false },
      { label: ring[4]!, port: 17, adjacent: [] },
    ];
    expect(lookup(coreFlows(ring[0]!, neighbours, ring), ring[1]!)).to.equal(16);
  });

  it('give a node that is alone nothing to do', () => {
    expect(coreFlows(5n, [], [])).to.deep.equal([]);
  });

  it('stay within a few dozen flows a tunnel and some milliseconds for a thousand nodes', () => {
    const ring = Array.from({ length: 1_000 }, (_, i) => (BigInt(i) * 0x9e3779b97f4a7c15n) % RING_SIZE).sort(
      compareLabels,
    );
    const edges = Array.from({ length: 10_000 }, (_, i) => [i % 1_000, (i * 7_919) % 1_000] as const);
    const g = graph(ring, edges);
    const neighbours = neighboursOf(g, ring[500]!);
    const flows = coreFlows(ring[500]!, neighbours, ring);
    expect(flows.length / neighbours.length).to.be.below(60);
  });
});

/** The rule in its own words, target by target, with nothing shared with the production code. */
function naive(
  self: Label,
  neighbours: readonly Neighbour[],
  ring: readonly Label[],
  target: Label,
): number | undefined {
  if (target === self) return undefined;
  const places = (a: Label, b: Label) => {
    const k = Math.abs(ring.indexOf(a) - ring.indexOf(b));
    return Math.min(k, ring.length - k);
  };
  const distance = (a: Label) => {
    const k = a > target ? a - target : target - a;
    return k > RING_SIZE / 2n ? RING_SIZE - k : k;
  };
  const ranked = neighbours
    .map((n) => {
      const beyond = n.adjacent.filter((a) => a !== self);
      const exact = n.label === target || beyond.includes(target);
      return { ...n, exact, cost: 1 + Math.min(places(n.label, target), ...beyond.map((a) => 1 + places(a, target))) };
    })
    .filter((n) => n.exact || n.cost <= places(self, target))
    .sort(
      (a, b) =>
        a.cost - b.cost ||
        Number(b.exact) - Number(a.exact) ||
        compareLabels(distance(a.label), distance(b.label)) ||
        compareLabels(a.label, b.label),
    );
  return ranked[0]?.port;
}

describe('first hops', () => {
  it('begin with the one the core flows name, and have every neighbour once', () => {
    const further = fc.array(fc.tuple(fc.nat(63), fc.nat(63)), { maxLength: 20 });
    fc.assert(
      fc.property(arbitraryRing(2, 20), further, fc.nat(7), (ring, edges, down) => {
        const self = ring[0]!;
        const neighbours = neighboursOf(graph(ring, edges), self).map((n, i) => ({ ...n, up: i !== down }));
        const chosen = routes(self, neighbours, ring);
        const hops = firstHops(self, neighbours, ring);
        expect([...hops.keys()]).to.have.members(ring.slice(1));
        for (const [target, order] of hops) {
          expect(order).to.have.members(neighbours.map((n) => n.label));
          const first = neighbours.find((n) => n.label === order[0]);
          expect(first?.port).to.equal(chosen.get(target));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('name a neighbour without a way of its own last, and one whose tunnel is down behind others like it', () => {
    const [self, a, b, c] = [0n, 1n << 62n, 2n << 62n, 3n << 62n];
    const to = (label: Label, adjacent: readonly Label[], up = true) => ({ label, port: 16, adjacent, up });
    const ring = [self, a, b, c];
    const hops = (...neighbours: readonly Neighbour[]) => firstHops(self, neighbours, ring).get(b);
    expect(hops(to(a, [self, b]), to(c, [self]))).to.deep.equal([a, c]);
    expect(hops(to(a, [self, b], false), to(c, [self, b]))).to.deep.equal([c, a]);
  });
});
