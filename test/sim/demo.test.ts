import { expect } from 'chai';
import { natClass } from '../../agent/src/nat.ts';
import { demo, NAMES, RELAYED, RING_ONLY } from './demo.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

/** Lets `ms` pass and answers how long some pair of `nodes` was apart, in steps of 250 ms. */
function outage(world: World, nodes: readonly SimNode[], ms: number): number {
  let apart = 0;
  for (let passed = 0; passed < ms; passed += 250) {
    world.run(250);
    if (!world.whole(nodes)) apart += 250;
  }
  return apart;
}

/** Whether tunnels to all others carry records in both directions. */
function joined(world: World, node: SimNode): boolean {
  const others = world.alive.filter((other) => other !== node);
  return others.every((other) =>
    [world.path(node, other), world.path(other, node)].every((path) => path !== undefined && path !== 'none'),
  );
}

describe('the seven nodes of the demo, simulated', function () {
  this.timeout(120_000);

  for (const seed of [1, 2, 3]) {
    it(`reach each other in all 42 pairs within ten seconds, seed ${seed}`, () => {
      const { world } = demo(seed);
      world.start();
      world.runUntil(() => world.whole(), 10_000, 'the full matrix');
      world.run(3_000);
      expect(world.nodes.every((node) => node.agent?.overlay.ringComplete)).to.equal(true);
    });

    it(`reach each other over the ring alone, over three hops at most, seed ${seed}`, () => {
      const { world } = demo(seed, RING_ONLY);
      world.start();
      world.runUntil(() => world.whole(), 10_000, 'the full matrix');
      world.run(20_000);
      for (const node of world.nodes) expect(node.tincan?.tunnels.size).to.equal(2);
      expect(world.mostHops()).to.equal(3);
    });
  }

  it('use the direct path wherever NATs allow it, and the relay elsewhere', () => {
    const { world, nodes } = demo(4);
    world.start();
    world.runUntil(() => world.whole(), 10_000);
    world.run(20_000);
    const relayed = RELAYED.map((pair) => [...pair].sort().join(' '));
    for (const a of NAMES) {
      for (const b of NAMES.slice(NAMES.indexOf(a) + 1)) {
        const expected = relayed.includes([a, b].sort().join(' ')) ? 'webrtc' : 'direct';
        expect(world.path(nodes[a], nodes[b]), `${a} ${b}`).to.equal(expected);
      }
    }
  });

  it('find the class of NAT they are behind', () => {
    const { world, nodes } = demo(5);
    world.start();
    world.run(5_000);
    const found = NAMES.map((name) => natClass(nodes[name].agent?.localCandidates ?? []));
    const independent = 'endpoint-independent';
    expect(found).to.deep.equal([
      'none',
      'none',
      independent,
      independent,
      independent,
      'address-dependent',
      'address-dependent',
    ]);
  });

  it('lose nothing on direct and via paths when an agent is killed, and its successor changes no flow', () => {
    const { world, nodes } = demo(6);
    world.start();
    world.runUntil(() => world.whole(), 10_000);
    world.run(20_000);
    const direct = [nodes.cloud1, nodes.cloud2, nodes.home1, nodes.home2, nodes.desk1];
    nodes.cloud2.killAgent();
    expect(outage(world, direct, 5_000)).to.equal(0);
    const { sw } = nodes.cloud2.tincan!;
    const before = sw.changes;
    nodes.cloud2.startAgent();
    expect(outage(world, direct, 30_000)).to.equal(0);
    expect(sw.changes - before).to.equal(0);
  });

  it('are whole again within three seconds when an agent with relayed tunnels is killed', () => {
    const { world, nodes } = demo(7);
    world.start();
    world.runUntil(() => world.whole(), 10_000);
    world.run(20_000);
    nodes.office1.killAgent();
    world.runUntil(() => world.whole(), 3_000, 'another way for relayed pairs');
    nodes.office1.startAgent();
    world.run(30_000);
    expect(world.path(nodes.office1, nodes.lte1)).to.equal('webrtc');
  });

  it('are whole again within three seconds after a tincan was killed', () => {
    const { world, nodes } = demo(8);
    world.start();
    world.runUntil(() => world.whole(), 10_000);
    world.run(20_000);
    nodes.home1.killTincan();
    expect(world.whole()).to.equal(false);
    world.runUntil(() => world.whole(), 3_000, 'the killed tincan’s pairs');
    expect(outage(world, world.nodes, 20_000)).to.equal(0);
  });

  it('offer ever more rarely to a dead node, and join it within three seconds when it is back', () => {
    const { world, nodes } = demo(14);
    world.start();
    world.runUntil(() => world.whole(), 10_000);
    world.run(20_000);
    nodes.lte1.die();
    world.run(300_000);
    const offers = world.rtc.offers;
    world.run(300_000);
    // Six nodes, each of them not much oftener than once a minute.
    expect(world.rtc.offers - offers).to.be.within(6, 42);
    nodes.lte1.boot();
    world.runUntil(() => joined(world, nodes.lte1), 3_000, 'the node that came back');
  });

  it('join a node that was cut off from all for ten minutes, within three seconds of its server', () => {
    const { world, nodes } = demo(15);
    world.start();
    world.runUntil(() => world.whole(), 10_000);
    world.run(20_000);
    world.internet.cut((a, b) => (a === nodes.lte1.host) !== (b === nodes.lte1.host));
    world.run(600_000);
    world.internet.cut(() => false);
    // The server is called again after three seconds at most.
    world.runUntil(() => joined(world, nodes.lte1), 3_000 + 3_000, 'the node that came back');
  });

  it('do not notice that the XMPP server is away for a minute', () => {
    const { world } = demo(9);
    world.start();
    world.runUntil(() => world.whole(), 10_000);
    world.run(20_000);
    world.room.up = false;
    expect(outage(world, world.nodes, 60_000)).to.equal(0);
    world.room.up = true;
    expect(outage(world, world.nodes, 20_000)).to.equal(0);
  });

  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it(`lose nothing while the surplus edges of a joining ring go, seed ${seed}`, () => {
      const { world } = demo(seed, RING_ONLY);
      world.start();
      world.runUntil(() => world.whole(), 10_000);
      const edges = () => world.nodes.reduce((sum, node) => sum + (node.tincan?.tunnels.size ?? 0), 0);
      expect(edges()).to.be.above(14);
      expect(world.lost(20_000, 20)).to.deep.equal([]);
      expect(edges()).to.equal(14);
    });
  }

  for (const seed of [10, 11, 12, 13]) {
    it(`close the ring over a dead node within three seconds, seed ${seed}`, () => {
      const { world } = demo(seed, RING_ONLY);
      world.start();
      world.runUntil(() => world.whole(), 10_000);
      world.run(20_000);
      world.nodes[seed % world.nodes.length]?.die();
      world.runUntil(() => world.whole(), 3_000, 'the pairs routed over the dead node');
      // Records of a ring that is being mended may still go the long way round.
      expect(outage(world, world.alive, 10_000)).to.equal(0);
    });
  }
});
