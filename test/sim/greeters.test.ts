/** An overlay that is too large for its room, as a small one with the bound lowered: the shipped agents, whole. */
import { expect } from 'chai';
import { isSeat } from '../../agent/src/signal/lobby.ts';
import { PORT_PRESERVING } from './internet.ts';
import { World } from './world.ts';

const SEED = Number(process.env.EVIO_SEED ?? 1);
const GREETING = { above: 4, greeters: 2 };

function large(size: number): World {
  const topology = { successors: 2, longDistance: 1, onDemand: 2, fullMesh: 'off' } as const;
  const world = new World({ seed: SEED, topology, greeting: GREETING });
  for (let i = 0; i < size; i++) add(world, i);
  return world;
}

function add(world: World, i: number) {
  const behind = i % 3 === 0 ? undefined : world.lan({ ...PORT_PRESERVING, address: `198.18.0.${i + 1}` });
  return world.node(`n${i}`, behind === undefined ? {} : { behind });
}

/** Only greeters are in the room, and everybody knows and reaches everybody. */
function settled(world: World): boolean {
  const { length } = world.alive;
  return (
    world.room.nicks.length <= GREETING.greeters &&
    world.alive.every((node) => node.agent?.members.length === length - 1 && node.agent.overlay.ringComplete) &&
    world.whole()
  );
}

describe('an overlay that is too large for its room', function () {
  this.timeout(120_000);

  it('has its greeters in it alone, lets newcomers in by them, and needs no server then', () => {
    const world = large(7);
    world.start();
    world.runUntil(() => settled(world), 60_000, 'a settled overlay');
    expect(world.room.nicks.filter(isSeat)).to.deep.equal([]);
    const newcomer = add(world, 7);
    newcomer.startAgent();
    const took = world.runUntil(() => settled(world), 30_000, 'a newcomer');
    expect(took).to.be.below(20_000);
    expect(newcomer.agent?.members).to.have.length(7);
    world.room.up = false;
    expect(world.lost(20_000, 500)).to.deep.equal([]);
    world.room.up = true;
    let most = 0;
    const stop = world.clock.every(100, () => {
      most = Math.max(most, world.room.nicks.length);
    });
    world.run(20_000);
    stop();
    expect(most).to.be.within(1, GREETING.greeters);
  });

  it('takes an agent back that was started anew, and has another greeter when one dies', () => {
    const world = large(7);
    world.start();
    world.runUntil(() => settled(world) && world.room.nicks.length > 0, 60_000, 'a settled overlay');
    const one = world.alive.find((node) => !world.room.nicks.includes(node.self));
    one?.killAgent();
    world.run(2_000);
    one?.startAgent();
    world.runUntil(() => settled(world), 40_000, 'the agent that was started anew');
    const dead = world.alive.find((node) => world.room.nicks.includes(node.self));
    dead?.die();
    world.run(1_000);
    const greets = () => world.room.nicks.some((nick) => nick !== dead?.self && !isSeat(nick));
    expect(world.runUntil(greets, 60_000, 'another greeter')).to.be.below(30_000);
    add(world, 7).startAgent();
    world.runUntil(() => world.whole(), 60_000, 'a newcomer after a greeter died');
    dead?.boot();
    world.runUntil(() => world.whole(), 60_000, 'the machine that was away');
  });
});
