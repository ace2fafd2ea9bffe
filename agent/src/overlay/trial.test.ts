import { expect } from 'chai';
import { seeded } from '../../../test/sim/random.ts';
import { type NodeId, RING_SIZE } from './label.ts';
import { Links } from './links.ts';
import { Overlay, type Topology } from './overlay.ts';
import { Ring } from './ring.ts';
import { LOOK_MS, NEAR_MS, PAUSE_MAX_MS, PAUSE_MS } from './trial.ts';

const N = 256;
const LINKS = 8;
/** Looks are rarer here than they are, so that days pass quickly. */
const STEP_MS = 5 * LOOK_MS;
const idAt = (place: number): NodeId =>
  ((BigInt(place) * RING_SIZE) / BigInt(N)).toString(16).padStart(16, '0').padEnd(32, '0');
const placeOf = (id: NodeId): number => Number((BigInt(`0x${id.slice(0, 16)}`) * BigInt(N)) / RING_SIZE);
const all = Array.from({ length: N }, (_, place) => idAt(place));
const octaveOf = (id: NodeId): number => Math.floor(Math.log2(placeOf(id)));
const TOPOLOGY: Topology = { successors: 2, longDistance: 'auto', onDemand: 0, fullMesh: 'off' };

/** Node 0, whose tunnels are made at once, and the members' round trips, which have nothing to do with their places. */
class World {
  now = 0;
  readonly links = new Set<NodeId>();
  most = 0;
  readonly overlay: Overlay;
  readonly roundTrips: ReadonlyMap<NodeId, number>;

  constructor(seed: number, roundTripOf?: (id: NodeId) => number) {
    const random = seeded(seed);
    const far = new Map(all.map((id) => [id, 1 + 299 * random()]));
    this.roundTrips = roundTripOf === undefined ? far : new Map(all.map((id) => [id, roundTripOf(id)]));
    this.overlay = new Overlay(idAt(0), TOPOLOGY, random);
    this.#give({ kind: 'members', members: all, settled: true });
  }

  #give(event: Parameters<Overlay['handle']>[0]): void {
    for (const action of this.overlay.handle(event, this.now)) {
      if (action.kind === 'want-tunnel') {
        if (action.kinds.includes('long-distance')) this.links.add(action.peer);
        this.#give({ kind: 'tunnel', peer: action.peer, up: true });
      } else if (action.kind === 'drain-tunnel') this.links.delete(action.peer);
    }
    this.most = Math.max(this.most, this.links.size);
  }

  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; this.now += STEP_MS) {
      this.#give({ kind: 'deadline' });
      this.#give({ kind: 'round-trips', roundTrips: this.roundTrips });
    }
  }

  get mean(): number {
    return [...this.links].reduce((sum, id) => sum + (this.roundTrips.get(id) ?? 0), 0) / this.links.size;
  }

  get octaves(): readonly number[] {
    return [...this.links].map(octaveOf).sort((a, b) => a - b);
  }
}

describe('of links of equal length', () => {
  it('the nearest by round trip stay, one after the other, each as long as the one before it', () => {
    const world = new World(1);
    const [before, octaves] = [world.mean, world.octaves];
    world.run(PAUSE_MS);
    expect(world.mean).to.equal(before);
    world.run(86_400_000);
    expect(world.mean).to.be.below(0.6 * before);
    expect(world.octaves).to.deep.equal(octaves);
    expect([world.links.size, world.most]).to.deep.equal([LINKS, LINKS + 1]);
  });

  it('none is tried where all are near, nor again and again where none is nearer', () => {
    const near = new World(2, () => NEAR_MS / 2);
    near.run(86_400_000);
    expect(near.most).to.equal(LINKS);

    const alike = new World(3, () => 100);
    const links = [...alike.links];
    let trials = 0;
    for (let day = 0; day < 5; day++) {
      alike.most = 0;
      alike.run(PAUSE_MAX_MS);
      if (alike.most > LINKS) trials++;
    }
    expect([...alike.links]).to.have.members(links);
    expect(trials).to.be.within(1, 5);
  });

  it('one that is refused or dies while it is on trial takes nobody’s place', () => {
    const links = new Links(idAt(0), seeded(4));
    const ring = Ring.of(all);
    links.update(ring, LINKS, new Set(), () => true);
    const before = links.peers;
    const far = new Map(all.map((id) => [id, before.includes(id) ? 200 : 20]));
    let [now, challenger] = [0, undefined as NodeId | undefined];
    for (; challenger === undefined; now += LOOK_MS) {
      links.compare(ring, LINKS, new Set(), far, now);
      challenger = links.peers.find((peer) => !before.includes(peer));
    }
    links.update(ring, LINKS, new Set([challenger]), () => true);
    links.compare(ring, LINKS, new Set([challenger]), far, now + LOOK_MS);
    expect(links.peers).to.deep.equal(before);
  });

  it('which ones are near does not change how links are spread: Kolmogorov and Smirnov', () => {
    const lengths: number[] = [];
    for (let seed = 0; seed < 250; seed++) {
      const random = seeded(seed);
      const roundTrips = new Map(all.map((id) => [id, 20 + 280 * random()]));
      const links = new Links(idAt(0), random);
      const ring = Ring.of(all);
      links.update(ring, LINKS, new Set(), () => true);
      for (let now = 0; now < 6 * 3_600_000; now += STEP_MS) {
        links.compare(ring, LINKS, new Set(), roundTrips, now);
        links.update(ring, LINKS, new Set(), () => true);
      }
      lengths.push(...links.peers.slice(0, LINKS).map(placeOf));
    }
    const drawn: number[] = [];
    for (let seed = 0; seed < 250; seed++) {
      const links = new Links(idAt(0), seeded(seed + 1_000));
      links.update(Ring.of(all), LINKS, new Set(), () => true);
      drawn.push(...links.peers.map(placeOf));
    }
    // Two samples of one distribution are farther apart once in a thousand times.
    const share = (of: readonly number[], most: number) => of.filter((length) => length <= most).length / of.length;
    const apart = Math.max(...all.map((_, place) => Math.abs(share(lengths, place) - share(drawn, place))));
    expect(apart).to.be.below(1.95 * Math.sqrt(2 / lengths.length));
  });
});
