/** What no protocol can keep from happening: an address given twice while the overlay was in two parts, clocks that jump, a lossy network. */
import { expect } from 'chai';
import { PORT_PRESERVING } from './internet.ts';
import type { SimNode } from './node.ts';
import { World } from './world.ts';

/** Set to run another one; every failure names its own. */
const SEED = Number(process.env.EVIO_SEED ?? 1);
/** As long as the whole of it is of use: in `make test-full`. */
const LONG = process.env.EVIO_SIM === 'full';
const TWICE = '10.99.3.3';

const knows = (node: SimNode, other: SimNode) => node.agent?.members.some(({ nodeId }) => nodeId === other.self);

describe('an overlay whose input is bad, simulated', function () {
  this.timeout(120_000);

  it('that was in two parts with the same address in both goes on with the newer member, and the older is told', () => {
    const world = new World({ seed: SEED });
    const lan = world.lan({ ...PORT_PRESERVING, address: '198.18.0.1' });
    const here = [1, 2, 3].map((i) => world.node(`here${i}`));
    const there = [1, 2, 3].map((i) => world.node(`there${i}`, { behind: lan }));
    world.start();
    world.runUntil(() => world.whole(), 20_000, 'the full matrix');
    world.run(10_000);

    // The XMPP server is on one side only; on the other newcomers are found on their LAN.
    const inLan = new Set(there.map(({ host }) => host.network));
    world.internet.cut((a, b) => inLan.has(a.network) !== inLan.has(b.network));
    const older = world.node('older', { overlayAddress: TWICE });
    const newer = world.node('newer', { behind: lan, overlayAddress: TWICE });
    older.startAgent();
    newer.startAgent();
    world.run(90_000);
    expect(world.apart([...here, older]), 'here').to.deep.equal([]);
    expect(world.apart([...there, newer]), 'there').to.deep.equal([]);

    world.internet.cut(() => false);
    world.runUntil(() => world.whole([...here, ...there, newer]), 60_000, 'the healed matrix');
    world.run(5_000);
    for (const node of [...here, ...there])
      expect([knows(node, newer), knows(node, older)], node.name).to.deep.equal([true, false]);
    expect(older.agent?.standing(world.clock.now).displacedBy).to.deep.equal({
      name: 'newer',
      nodeId: newer.self,
      address: TWICE,
    });
    expect(newer.agent?.standing(world.clock.now).displacedBy).to.equal(undefined);
    expect(world.lost(5_000, 500, [...here, ...there, newer])).to.deep.equal([]);
  });

  it('of which one clock jumps by years, forward and back, loses nothing and nobody', () => {
    const world = new World({ seed: SEED });
    for (let i = 0; i < 6; i++) world.node(`n${i}`);
    world.start();
    world.runUntil(() => world.whole(), 20_000, 'the full matrix');
    world.run(10_000);
    const [one] = world.nodes;
    // Certificates end in three years.
    for (const years of [10, -10, 0]) {
      if (one !== undefined) one.clockAheadSeconds = years * 365 * 86_400;
      expect(world.lost(LONG ? 150_000 : 65_000, 2_500), `${years} years`).to.deep.equal([]);
    }
    for (const node of world.nodes) expect(node.agent?.members.length, node.name).to.equal(5);
  });

  it('that loses a tenth of all datagrams comes to be whole, and stays so', () => {
    const world = new World({ seed: SEED });
    for (let i = 0; i < 8; i++) world.node(`n${i}`, i % 2 === 0 ? {} : { behind: world.lan(home(i)) });
    world.internet.loss = 0.1;
    world.start();
    world.runUntil(() => world.whole(), 20_000, 'the full matrix');
    for (let minute = 0; minute < (LONG ? 10 : 1); minute++) {
      world.run(60_000);
      world.runUntil(() => world.whole(), 5_000, `the matrix after ${minute + 1} minutes`);
    }
  });

  it('whose nodes come and go all the time always has those in it that stay', () => {
    const world = new World({ seed: SEED });
    for (let i = 0; i < 12; i++) world.node(`n${i}`, i % 3 === 0 ? {} : { behind: world.lan(home(i)) });
    world.start();
    world.runUntil(() => world.whole(), 20_000, 'the full matrix');
    world.run(10_000);
    const staying = world.nodes.slice(0, 6);
    for (let turn = 0; turn < (LONG ? 30 : 2); turn++) {
      const leaving = world.nodes[6 + (turn % 6)];
      leaving?.die();
      world.runUntil(() => world.whole(staying), 5_000, `those that stay, after ${leaving?.name} died`);
      world.run(10_000);
      leaving?.boot();
      world.runUntil(() => world.whole(), 20_000, `${leaving?.name} again`);
    }
  });
});

const home = (i: number) => ({ ...PORT_PRESERVING, address: `198.18.0.${i + 1}` });
