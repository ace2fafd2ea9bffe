import { expect } from 'chai';
import type { Topology } from '../../agent/src/overlay/index.ts';
import { PORT_PRESERVING, RANDOM_PORTS } from './internet.ts';
import { DEFAULT_TOPOLOGY, World } from './world.ts';

/** Large overlays take minutes: they belong to `make test-full`. */
const SIZES = process.env.EVIO_SIM === 'full' ? [5, 8, 13, 20, 30, 40] : [5, 8, 13];
/** Set to run another one; every failure names its own. */
const SEED = Number(process.env.EVIO_SEED ?? 1);

function random(seed: number, size: number, topology: Topology = DEFAULT_TOPOLOGY): World {
  const world = new World({ seed, topology });
  for (let i = 0; i < size; i++) {
    const kind = world.random();
    const nat = { ...(kind < 0.8 ? PORT_PRESERVING : RANDOM_PORTS), address: `198.18.0.${i + 1}` };
    world.node(`n${i}`, kind < 0.3 ? {} : { behind: world.lan(nat) });
  }
  return world;
}

describe('a simulated world', function () {
  this.timeout(600_000);

  it('lets two nodes behind address-and-port-dependent NATs meet over the relay', () => {
    const world = new World({ seed: SEED });
    const a = world.node('a', { behind: world.lan({ ...RANDOM_PORTS, address: '198.18.0.1' }) });
    const b = world.node('b', { behind: world.lan({ ...RANDOM_PORTS, address: '198.18.0.2' }) });
    world.start();
    world.runUntil(() => world.reaches(a, b) && world.reaches(b, a), 10_000);
    world.run(10_000);
    expect(world.path(a, b)).to.equal('webrtc');
  });

  it('lets two nodes on one local network meet directly without any server', () => {
    const world = new World({ seed: SEED });
    const lan = world.lan({ ...PORT_PRESERVING, address: '198.18.0.1' });
    const [a, b] = [world.node('a', { behind: lan }), world.node('b', { behind: lan })];
    world.room.up = false;
    world.server.dead = true;
    world.start();
    world.runUntil(() => world.reaches(a, b) && world.reaches(b, a), 70_000);
    expect(world.path(a, b)).to.equal('direct');
  });

  it('is the same again with the same seed', () => {
    const runs = [1, 2].map(() => {
      const world = random(SEED, 6);
      world.start();
      world.run(15_000);
      return world.nodes.map((n) => [n.self, ...[...(n.tincan?.tunnels.values() ?? [])].map((t) => t.peer + t.path)]);
    });
    expect(runs[0]).to.deep.equal(runs[1]);
  });

  it('gives two nodes that talk much an edge of their own, and takes it back when they fall silent', () => {
    const world = random(SEED, 9, { successors: 1, longDistance: 0, onDemand: 2, fullMesh: 'off' });
    world.start();
    world.runUntil(() => world.whole(), 20_000);
    world.run(10_000);
    const a = world.nodes[0]!;
    const b = world.nodes.find((node) => world.trace(a, node).hops > 2)!;
    const talking = world.clock.every(1_000, () => {
      const bytes = a.tincan?.demand.get(b.certificate.label) ?? 0;
      a.tincan?.demand.set(b.certificate.label, bytes + 500_000);
    });
    const took = world.runUntil(() => world.trace(a, b).hops === 1, 30_000, 'an edge of their own');
    expect(a.agent?.kinds(b.self)).to.deep.equal(['on-demand']);
    expect(took).to.be.above(1_000);
    world.run(60_000);
    expect(world.trace(a, b).hops).to.equal(1);
    talking();
    expect(world.lost(120_000, 100)).to.deep.equal([]);
    expect([world.path(a, b), world.path(b, a)]).to.deep.equal([undefined, undefined]);
    expect(world.apart()).to.deep.equal([]);
  });

  it('lets a newcomer to a full room connect to those that stay its neighbours, and to nobody else', () => {
    const world = random(SEED, 12, { successors: 1, longDistance: 0, onDemand: 0, fullMesh: 'off' });
    world.start();
    world.runUntil(() => world.whole(), 20_000);
    world.run(15_000);
    const before = world.rtc.offers;
    const late = world.node('late');
    late.startAgent();
    world.runUntil(() => world.whole(), 10_000);
    world.run(15_000);
    expect(late.agent?.overlay.ringComplete).to.equal(true);
    // Both ends of an edge may offer.
    expect(world.rtc.offers - before).to.be.at.most(4);
  });

  for (const size of SIZES) {
    it(`of ${size} nodes converges, survives deaths and heals after a partition, seed ${SEED}`, () => {
      const world = random(SEED, size);
      world.start(3_000);
      world.runUntil(() => world.whole(), 20_000, 'the full matrix');
      world.run(15_000);
      expect(world.apart()).to.deep.equal([]);

      for (const node of world.nodes.slice(0, Math.max(1, size >> 3))) node.die();
      world.runUntil(() => world.whole(), 10_000, 'the matrix of the survivors');

      const half = new Set(world.alive.slice(0, world.alive.length >> 1).map((node) => node.host));
      const isNode = new Set(world.nodes.map((node) => node.host));
      world.internet.cut((a, b) => isNode.has(a) && isNode.has(b) && half.has(a) !== half.has(b));
      world.run(20_000);
      const [one, other] = [true, false].map((side) => world.alive.filter((node) => half.has(node.host) === side));
      expect(world.apart(one), `seed ${SEED}, one side`).to.deep.equal([]);
      expect(world.apart(other), `seed ${SEED}, other side`).to.deep.equal([]);

      world.internet.cut(() => false);
      world.runUntil(() => world.whole(), 60_000, 'the healed matrix');
      expect(world.nodes.every((node) => node.agent?.controller.counters.errors === 0)).to.equal(true);
    });
  }
});
