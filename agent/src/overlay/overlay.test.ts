import { expect } from 'chai';
import type { EdgeKind } from '../api.ts';
import type { Random } from '../machine.ts';
import { HIGH_BYTES_PER_S, IDLE_MS } from './demand.ts';
import { type PresentEdge, planEdges, type Wanted } from './edges.ts';
import { labelOf, type NodeId } from './label.ts';
import { DRAIN_MS, Overlay, type OverlayAction, type Topology } from './overlay.ts';
import { harmonicLength } from './symphony.ts';

const RING_ONLY: Topology = { successors: 1, longDistance: 0, onDemand: 0, fullMesh: 'off' };
const DEFAULTS: Topology = { successors: 2, longDistance: 'auto', onDemand: 4, fullMesh: 'auto' };

/** Node `i` of `n`, evenly on the ring. */
function node(i: number, n = 16): NodeId {
  return ((BigInt(((i % n) + n) % n) * (1n << 64n)) / BigInt(n)).toString(16).padStart(16, '0') + '0'.repeat(16);
}

function nodes(n: number): readonly NodeId[] {
  return Array.from({ length: n }, (_, i) => node(i, n));
}

function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

function wants(actions: readonly OverlayAction[]): readonly NodeId[] {
  return actions.flatMap((a) => (a.kind === 'want-tunnel' ? [a.peer] : []));
}

function drains(actions: readonly OverlayAction[]): readonly NodeId[] {
  return actions.flatMap((a) => (a.kind === 'drain-tunnel' ? [a.peer] : []));
}

function drops(actions: readonly OverlayAction[]): readonly NodeId[] {
  return actions.flatMap((a) => (a.kind === 'drop-tunnel' ? [a.peer] : []));
}

/** An overlay that knows `n` nodes and has a tunnel to every one it wanted. */
function joined(n: number, topology: Topology, self = 0) {
  const overlay = new Overlay(node(self, n), topology, seeded(7));
  const first = overlay.handle({ kind: 'members', members: nodes(n), settled: true }, 0);
  for (const peer of wants(first)) overlay.handle({ kind: 'tunnel', peer, up: true }, 100);
  return { overlay, first, peers: wants(first) };
}

describe('an overlay', () => {
  it('of seven nodes is a full mesh by default', () => {
    const { peers } = joined(7, DEFAULTS);
    expect(peers).to.have.members(nodes(7).slice(1));
  });

  it('without mesh and links joins each node to its successor and predecessor only', () => {
    const { first, overlay } = joined(7, RING_ONLY);
    const edges = first.filter((a) => a.kind === 'want-tunnel').map(({ peer, kinds }) => ({ peer, kinds }));
    expect(edges).to.deep.equal([
      { peer: node(1, 7), kinds: ['successor'] },
      { peer: node(6, 7), kinds: ['predecessor'] },
    ]);
    expect(overlay.ringComplete).to.equal(true);
  });

  it('of two nodes makes them each other’s successor and predecessor over one tunnel', () => {
    const { first } = joined(2, RING_ONLY);
    expect(first[0]).to.deep.include({ peer: node(1, 2), kinds: ['successor', 'predecessor'] });
  });

  it('draws ceil(log2 n) links beside two neighbours on each side once a mesh is too much', () => {
    const { first } = joined(64, DEFAULTS);
    const links = first.filter((a) => a.kind === 'want-tunnel' && a.kinds.includes('long-distance'));
    expect(links).to.have.length(6);
    expect(wants(first)).to.have.length(10);
  });

  it('keeps its links when one node comes, and exchanges them one after the other when the overlay doubled', () => {
    const { overlay } = joined(60, DEFAULTS);
    const more = [...nodes(60), node(61, 120)];
    expect(wants(overlay.handle({ kind: 'members', members: more, settled: true }, 200))).to.have.length(0);
    let actions = overlay.handle({ kind: 'members', members: nodes(120), settled: true }, 300);
    const first = wants(actions);
    const all: NodeId[] = [];
    for (let now = 400; wants(actions).length > 0; now += 100) {
      all.push(...wants(actions));
      actions = wants(actions).flatMap((peer) => overlay.handle({ kind: 'tunnel', peer, up: true }, now));
    }
    // Two nearer ring neighbours, the link more that it may have now, and the first replacement; then the others.
    expect(first.length).to.be.within(3, 4);
    expect(all.length - first.length).to.be.within(2, 6);
  });

  it('removes nothing on the strength of an unsettled picture', () => {
    const overlay = new Overlay(node(0), RING_ONLY, seeded(1));
    overlay.handle({ kind: 'adopted', peer: node(5), kinds: ['on-demand'], up: true }, 0);
    expect(drains(overlay.handle({ kind: 'members', members: [], settled: false }, 0))).to.deep.equal([]);
    const some = overlay.handle({ kind: 'members', members: [node(1), node(15)], settled: false }, 0);
    expect(drains(some)).to.deep.equal([]);
    for (const peer of wants(some)) overlay.handle({ kind: 'tunnel', peer, up: true }, 0);
    const whole = overlay.handle({ kind: 'members', members: [1, 5, 15].map((i) => node(i)), settled: true }, 1);
    expect(drains(whole)).to.deep.equal([node(5)]);
  });

  it('lets go of what only the peer wanted although the picture is not whole', () => {
    const overlay = new Overlay(node(0), RING_ONLY, seeded(1));
    overlay.handle({ kind: 'members', members: [1, 5, 15].map((i) => node(i)), settled: false }, 0);
    for (const peer of [1, 5, 15]) overlay.handle({ kind: 'peer-edge', peer: node(peer), kinds: ['successor'] }, 0);
    const given = [1, 5, 15].map((i) => overlay.handle({ kind: 'peer-edge', peer: node(i), kinds: [] }, 1));
    expect(given.map(drains)).to.deep.equal([[], [node(5)], []]);
  });

  it('counts what it gives up as no neighbour, and removes it two seconds later', () => {
    const { overlay } = joined(7, RING_ONLY);
    overlay.handle({ kind: 'peer-edge', peer: node(3, 7), kinds: ['on-demand'] }, 200);
    overlay.handle({ kind: 'tunnel', peer: node(3, 7), up: true }, 300);
    const given = overlay.handle({ kind: 'peer-edge', peer: node(3, 7), kinds: [] }, 400);
    expect(drains(given)).to.deep.equal([node(3, 7)]);
    expect(overlay.neighbours.map((n) => n.peer)).to.deep.equal([node(1, 7), node(6, 7)]);
    expect(overlay.deadline()).to.equal(400 + DRAIN_MS);
    expect(drops(overlay.handle({ kind: 'deadline' }, 399 + DRAIN_MS))).to.deep.equal([]);
    expect(drops(overlay.handle({ kind: 'deadline' }, 400 + DRAIN_MS))).to.deep.equal([node(3, 7)]);
    expect(overlay.handle({ kind: 'deadline' }, 60_000)).to.deep.equal([]);
  });

  it('keeps what it was about to remove when it is wanted again', () => {
    const { overlay } = joined(7, RING_ONLY);
    const asks = (kinds: readonly EdgeKind[], at: number) =>
      overlay.handle({ kind: 'peer-edge', peer: node(3, 7), kinds }, at);
    asks(['on-demand'], 200);
    overlay.handle({ kind: 'tunnel', peer: node(3, 7), up: true }, 300);
    asks([], 400);
    const again = asks(['on-demand'], 500);
    expect(again[0]).to.deep.equal({ kind: 'set-kinds', peer: node(3, 7), kinds: [], seen: ['on-demand'] });
    expect(overlay.neighbours.map((n) => n.peer)).to.include(node(3, 7));
    expect(drops(overlay.handle({ kind: 'deadline' }, 60_000))).to.deep.equal([]);
  });

  it('takes the end of what it gave up for no death', () => {
    const { overlay } = joined(7, RING_ONLY);
    overlay.handle({ kind: 'peer-edge', peer: node(2, 7), kinds: ['on-demand'] }, 200);
    overlay.handle({ kind: 'tunnel', peer: node(2, 7), up: true }, 300);
    overlay.handle({ kind: 'peer-edge', peer: node(2, 7), kinds: [] }, 400);
    overlay.handle({ kind: 'tunnel', peer: node(2, 7), up: false }, 500);
    overlay.handle({ kind: 'deadline' }, 400 + DRAIN_MS);
    // Its turn comes when the ring has to be closed.
    const closing = overlay.handle({ kind: 'tunnel', peer: node(1, 7), up: false }, 5_000);
    expect(wants(closing)).to.deep.equal([node(2, 7)]);
  });

  it('removes the tunnel to one that is no member any more at once', () => {
    const { overlay } = joined(7, RING_ONLY);
    const members = nodes(7).filter((id) => id !== node(1, 7));
    const actions = overlay.handle({ kind: 'members', members, settled: true }, 200);
    expect(wants(actions)).to.deep.equal([node(2, 7)]);
    const up = overlay.handle({ kind: 'tunnel', peer: node(2, 7), up: true }, 300);
    expect(drops(up)).to.deep.equal([node(1, 7)]);
  });

  it('keeps an old successor until the new ring is up', () => {
    const overlay = new Overlay(node(0), RING_ONLY, seeded(1));
    const members = [node(4), node(12)];
    for (const peer of wants(overlay.handle({ kind: 'members', members, settled: true }, 0))) {
      overlay.handle({ kind: 'tunnel', peer, up: true }, 0);
    }
    const closer = overlay.handle({ kind: 'members', members: [...members, node(2)], settled: true }, 1);
    expect(wants(closer)).to.deep.equal([node(2)]);
    expect(drains(closer)).to.deep.equal([]);
    expect(drains(overlay.handle({ kind: 'tunnel', peer: node(2), up: true }, 2))).to.deep.equal([node(4)]);
  });

  it('closes the ring over a successor whose tunnel broke, at once, and goes on wanting it', () => {
    const { overlay } = joined(7, RING_ONLY);
    const actions = overlay.handle({ kind: 'tunnel', peer: node(1, 7), up: false }, 1_000);
    expect(wants(actions)).to.deep.equal([node(2, 7)]);
    expect(drains(actions)).to.deep.equal([]);
  });

  it('closes the ring over a member that cannot be reached after five seconds', () => {
    const overlay = new Overlay(node(0), RING_ONLY, seeded(1));
    overlay.handle({ kind: 'members', members: [node(1), node(2), node(15)], settled: true }, 0);
    overlay.handle({ kind: 'tunnel', peer: node(15), up: true }, 10);
    expect(overlay.deadline()).to.equal(5_000);
    expect(wants(overlay.handle({ kind: 'deadline' }, 5_000))).to.deep.equal([node(2)]);
    expect(overlay.deadline() ?? Infinity).to.be.greaterThan(5_000);
  });

  it('keeps a tunnel while the peer wants it, and drops it when neither does', () => {
    const { overlay } = joined(7, RING_ONLY);
    const taken = overlay.handle({ kind: 'peer-edge', peer: node(3, 7), kinds: ['on-demand'] }, 200);
    expect(taken[0]).to.deep.equal({ kind: 'want-tunnel', peer: node(3, 7), kinds: [], seen: ['on-demand'] });
    const over = overlay.handle({ kind: 'peer-edge', peer: node(3, 7), kinds: [] }, 300);
    expect(drains(over)).to.deep.equal([node(3, 7)]);
  });

  it('shows a peer’s successor as our predecessor', () => {
    const { overlay } = joined(7, RING_ONLY);
    const taken = overlay.handle({ kind: 'peer-edge', peer: node(3, 7), kinds: ['successor'] }, 200);
    expect(taken[0]).to.deep.include({ kinds: [], seen: ['predecessor'] });
  });

  it('tells the peer that it no longer wants an edge the peer still wants', () => {
    const overlay = new Overlay(node(0), { ...RING_ONLY, static: [node(8)] }, seeded(1));
    const members = [1, 8, 15].map((i) => node(i));
    for (const peer of wants(overlay.handle({ kind: 'members', members, settled: true }, 0))) {
      overlay.handle({ kind: 'tunnel', peer, up: true }, 0);
    }
    overlay.handle({ kind: 'peer-edge', peer: node(8), kinds: ['static'] }, 1);
    const actions = overlay.handle({ kind: 'topology', topology: RING_ONLY }, 2);
    expect(actions).to.deep.equal([{ kind: 'set-kinds', peer: node(8), kinds: [], seen: ['static'] }]);
  });

  it('takes incoming links up to twice its own and refuses the next, but never a ring neighbour', () => {
    const { overlay, peers } = joined(64, { ...DEFAULTS, longDistance: 2, fullMesh: 'off' });
    const strangers = nodes(64).filter((id) => id !== node(0, 64) && !peers.includes(id));
    const asked = (peer: NodeId, kinds: readonly EdgeKind[]) => overlay.handle({ kind: 'peer-edge', peer, kinds }, 200);
    for (const peer of strangers.slice(0, 4)) expect(wants(asked(peer, ['long-distance']))).to.deep.equal([peer]);
    expect(asked(strangers[4]!, ['long-distance'])).to.deep.equal([
      { kind: 'refuse', peer: strangers[4]!, reason: 'limit' },
    ]);
    expect(wants(asked(strangers[5]!, ['successor']))).to.deep.equal([strangers[5]]);
  });

  it('takes an edge back that it was about to remove although it has all the links it takes', () => {
    const { overlay, peers } = joined(64, { ...DEFAULTS, longDistance: 1, fullMesh: 'off' });
    const strangers = nodes(64).filter((id) => id !== node(0, 64) && !peers.includes(id));
    const asked = (peer: NodeId, kinds: readonly EdgeKind[]) => overlay.handle({ kind: 'peer-edge', peer, kinds }, 200);
    asked(strangers[0]!, ['long-distance']);
    expect(drains(asked(strangers[0]!, []))).to.deep.equal([strangers[0]]);
    for (const peer of strangers.slice(1, 3)) expect(wants(asked(peer, ['long-distance']))).to.deep.equal([peer]);
    expect(asked(strangers[3]!, ['long-distance']).map((a) => a.kind)).to.deep.equal(['refuse']);
    expect(asked(strangers[0]!, ['long-distance']).map((a) => a.kind)).to.deep.equal(['set-kinds', 'neighbours']);
  });

  it('draws another link when one is refused', () => {
    const { overlay, first } = joined(64, DEFAULTS);
    const link = first.find((a) => a.kind === 'want-tunnel' && a.kinds.includes('long-distance'));
    const peer = link?.kind === 'want-tunnel' ? link.peer : '';
    const actions = overlay.handle({ kind: 'refused', peer }, 200);
    expect(drains(actions)).to.deep.equal([peer]);
    expect(wants(actions)).to.have.length(1);
  });

  it('tells who is adjacent whenever that changed, and only then', () => {
    const { overlay } = joined(3, RING_ONLY);
    const labels = [labelOf(node(0, 3)), labelOf(node(2, 3))];
    const learned = overlay.handle({ kind: 'adjacency', peer: node(1, 3), labels }, 200);
    expect(learned).to.have.length(1);
    expect(learned[0]).to.have.property('kind', 'neighbours');
    expect(overlay.handle({ kind: 'adjacency', peer: node(1, 3), labels }, 300)).to.deep.equal([]);
    expect(overlay.neighbours.find((n) => n.peer === node(1, 3))?.adjacent).to.deep.equal(labels);
  });
});

describe('demand', () => {
  const busy = node(8);
  const topology: Topology = { ...RING_ONLY, onDemand: 1 };

  /** Feeds `rate` bytes/s to a peer for some seconds, a sample a second. */
  function talk(overlay: Overlay, peer: NodeId, rate: number, fromS: number, seconds: number) {
    const actions: OverlayAction[] = [];
    for (let s = 1; s <= seconds; s++) {
      total.set(peer, (total.get(peer) ?? 0) + rate);
      const samples = [...total].map(([p, bytes]) => ({ peer: p, bytes }));
      actions.push(...overlay.handle({ kind: 'demand', samples }, (fromS + s) * 1_000));
    }
    return actions;
  }
  let total: Map<NodeId, number>;
  beforeEach(() => {
    total = new Map([[busy, 0]]);
  });

  it('makes an edge to a node much traffic goes to, and removes it after a minute of idleness', () => {
    const { overlay } = joined(16, topology);
    expect(wants(talk(overlay, busy, 4 * HIGH_BYTES_PER_S, 0, 10))).to.deep.equal([busy]);
    overlay.handle({ kind: 'tunnel', peer: busy, up: true }, 10_000);
    expect(drains(talk(overlay, busy, 0, 10, 50))).to.deep.equal([]);
    const silence = talk(overlay, busy, 0, 60, 40);
    expect(drains(silence)).to.deep.equal([busy]);
    expect(drops(silence)).to.deep.equal([busy]);
  });

  it('keeps the edge as long as some traffic flows', () => {
    const { overlay } = joined(16, topology);
    talk(overlay, busy, 4 * HIGH_BYTES_PER_S, 0, 10);
    expect(drains(talk(overlay, busy, HIGH_BYTES_PER_S / 5, 10, 200))).to.deep.equal([]);
  });

  it('needs no further samples to find an edge idle', () => {
    const { overlay } = joined(16, topology);
    talk(overlay, busy, 4 * HIGH_BYTES_PER_S, 0, 10);
    expect(overlay.deadline()).to.equal(10_000 + IDLE_MS);
    overlay.handle({ kind: 'tunnel', peer: busy, up: true }, 10_000);
    expect(drains(overlay.handle({ kind: 'deadline' }, 10_000 + IDLE_MS))).to.deep.equal([busy]);
  });

  it('holds no more edges than the bound, and gives a place away only to a talker twice as loud', () => {
    const { overlay } = joined(16, topology);
    talk(overlay, busy, 4 * HIGH_BYTES_PER_S, 0, 20);
    total.set(node(4), 0);
    overlay.handle({ kind: 'demand', samples: [{ peer: node(4), bytes: 0 }] }, 20_500);
    expect(wants(talk(overlay, node(4), 2 * HIGH_BYTES_PER_S, 21, 2))).to.deep.equal([]);
    const taken = talk(overlay, node(4), 40 * HIGH_BYTES_PER_S, 23, 10);
    expect(wants(taken)).to.deep.equal([node(4)]);
    expect(drains(taken)).to.deep.equal([busy]);
  });

  it('takes a counter that went back for a tincan that began anew', () => {
    const { overlay } = joined(16, topology);
    overlay.handle({ kind: 'demand', samples: [{ peer: busy, bytes: 1e12 }] }, 0);
    expect(wants(overlay.handle({ kind: 'demand', samples: [{ peer: busy, bytes: 10 }] }, 1_000))).to.deep.equal([]);
  });
});

describe('planEdges', () => {
  const edge = (peer: string, kinds: readonly EdgeKind[], up = true): PresentEdge => ({ peer, kinds, seen: kinds, up });
  const want = (peer: string, kinds: readonly EdgeKind[]): Wanted => ({ peer, kinds, seen: kinds });

  it('adds before it removes', () => {
    const edits = planEdges([want('b', ['static'])], [edge('a', ['static'])]);
    expect(edits.map((e) => `${e.op} ${e.peer}`)).to.deep.equal(['add b', 'remove a']);
  });

  it('has nothing to do when all is as wanted', () => {
    expect(planEdges([want('a', ['successor'])], [edge('a', ['successor'])])).to.deep.equal([]);
  });

  it('does not keep a ring edge that only the peer wanted', () => {
    const theirs: PresentEdge = { peer: 'a', kinds: [], seen: ['predecessor'], up: true };
    expect(planEdges([want('b', ['successor'])], [theirs])).to.deep.include({ op: 'remove', peer: 'a' });
  });

  it('removes a ring edge that is down even while the ring is open', () => {
    expect(planEdges([want('b', ['successor'])], [edge('a', ['successor'], false)])).to.deep.include({
      op: 'remove',
      peer: 'a',
    });
  });
});

describe('harmonic lengths', () => {
  it('lie in [1/n, 1] and use the natural logarithm: half of them below the square root of 1/n', () => {
    expect(harmonicLength(1_000, 0)).to.be.closeTo(1 / 1_000, 1e-12);
    expect(harmonicLength(1_000, 0.5)).to.be.closeTo(1 / Math.sqrt(1_000), 1e-12);
    expect(harmonicLength(1_000, 1)).to.be.closeTo(1, 1e-12);
  });

  it('have as many links in each octave of distance', () => {
    const random = seeded(3);
    const octaves = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) {
      const octave = Math.min(9, Math.floor(-Math.log2(harmonicLength(1_024, random()))));
      octaves[octave] = (octaves[octave] ?? 0) + 1;
    }
    for (const count of octaves) expect(count).to.be.within(850, 1_150);
  });
});
