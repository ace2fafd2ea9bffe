/**
 * A member with genuine keys that means ill, among the seven nodes of the demo. Its agent is gone, and in its place somebody says to
 * the others, by the room and over the overlay, whatever a member can say.
 */
import { expect } from 'chai';
import type { OwnBoot } from '../../agent/src/signal/own-boot.ts';
import { PeerBoots } from '../../agent/src/signal/peer-boots.ts';
import type { SignalEvent } from '../../agent/src/signal/signal.ts';
import { formatShort, withCandidates } from '../../agent/src/tunnel/sdp.ts';
import { encodeBody } from '../../agent/src/wire/bodies.ts';
import { parseHello } from '../../agent/src/wire/hello.ts';
import type { NodeId } from '../../agent/src/wire/ids.ts';
import { demo, NAMES } from './demo.ts';
import type { Host } from './internet.ts';
import type { SimNode } from './node.ts';
import type { Occupant } from './room.ts';
import type { World } from './world.ts';

const HOSTILE = 'cloud2';
const EVERYTHING = ['successor', 'predecessor', 'long-distance', 'on-demand', 'static'];
const hex = (world: World, characters: number): string =>
  Array.from({ length: characters }, () => Math.floor(world.random() * 16).toString(16)).join('');

/** In the room under the member's own name. */
class Impostor implements Occupant {
  readonly nick: NodeId;
  readonly host: Host;
  readonly #world: World;
  readonly #node: SimNode;
  readonly #peers = new Map<NodeId, PeerBoots>();
  readonly #said: { readonly nick: NodeId; readonly payload: string }[] = [];
  readonly #shown: string[] = [];
  #boot: OwnBoot;

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
    this.nick = node.self;
    this.host = node.host;
    this.#boot = node.newBoot();
  }

  joined(): void {}

  signal(event: SignalEvent): void {
    if (event.kind !== 'presence' || event.hello === undefined || event.nick === this.nick) return;
    const hello = parseHello(Buffer.from(event.hello, 'base64'));
    const { nodeId, identityKey } = hello.certificate;
    const known = this.#peers.get(nodeId);
    const peer = known ?? new PeerBoots(this.#world.parameters.overlayId, this.#boot, nodeId, identityKey);
    peer.learn(hello);
    this.#peers.set(nodeId, peer);
  }

  /** As another boot of its agent, if that is asked for. */
  show(reborn: boolean): string {
    if (reborn) {
      this.#boot = this.#node.newBoot();
      // What it knows of the others was learned for another boot.
      this.#peers.clear();
    }
    const hello = this.#boot.hello([], 0).toString('base64');
    this.#shown.push(hello);
    this.#world.room.presence(this, { kind: 'send-presence', hello });
    return hello;
  }

  showAgain(): void {
    const hello = this.#shown[Math.floor(this.#world.random() * this.#shown.length)];
    if (hello !== undefined) this.#world.room.presence(this, { kind: 'send-presence', hello });
  }

  say(to: NodeId, body: unknown): void {
    let bytes: Buffer;
    try {
      bytes = encodeBody(body as Parameters<typeof encodeBody>[0]);
    } catch {
      return;
    }
    const payload = this.#peers.get(to)?.seal(bytes)?.toString('base64');
    if (payload === undefined) return;
    if (this.#said.length < 500) this.#said.push({ nick: to, payload });
    this.#world.room.message(this, to, payload);
  }

  sayAgain(): void {
    const said = this.#said[Math.floor(this.#world.random() * this.#said.length)];
    if (said !== undefined) this.#world.room.message(this, said.nick, said.payload);
  }
}

/** What agents say to each other (docs/wire.md §9.3) with other contents, and what they never say. */
function anything(world: World, certificate: string): unknown {
  const tunnel = hex(world, 16);
  const address = () =>
    `198.51.100.${1 + Math.floor(world.random() * 250)}:${1_024 + Math.floor(world.random() * 60_000)}`;
  const many = (count: number) => Array.from({ length: count }, address);
  const sdp = withCandidates(
    formatShort({
      iceUfrag: hex(world, 8),
      icePwd: hex(world, 24),
      fingerprint: new Array(32).fill('AB').join(':'),
    }),
    many(50).map((to, i) => `${i} ${i} ${to.replace(':', ' ')} h`),
  );
  const bodies: readonly (() => unknown)[] = [
    () => ({ type: 'offer', tunnel, sdp, udp: many(16), kinds: EVERYTHING }),
    () => ({ type: 'offer', tunnel, sdp: 'v=0', udp: [], kinds: [] }),
    () => ({ type: 'answer', tunnel, sdp, udp: many(16) }),
    () => ({ type: 'candidates', tunnel, candidates: [`1 1 ${address().replace(':', ' ')} h`] }),
    () => ({ type: 'udp', udp: many(16) }),
    () => ({ type: 'udp', udp: many(400) }),
    () => ({ type: 'edge', kinds: EVERYTHING.filter(() => world.random() < 0.5) }),
    () => ({ type: 'refuse', tunnel, reason: 'busy' }),
    () => ({ type: 'bye', tunnel }),
    () => ({ type: 'members', certificates: new Array(20).fill(certificate) }),
    () => ({ type: 'members', certificates: new Array(20).fill(hex(world, 800)) }),
    () => ({ type: 'members', certificates: 'all' }),
    () => ({ type: ['offer'], __proto__: null }),
    () => [[[[]]]],
    () => null,
    () => 'offer',
    () => 1e308,
  ];
  return bodies[Math.floor(world.random() * bodies.length)]?.();
}

interface Scene {
  readonly world: World;
  readonly hostile: SimNode;
  readonly impostor: Impostor;
  readonly others: readonly SimNode[];
  /** Of the others' tunnels with each other. */
  paths(): readonly string[];
  /** Attacks so often while the others talk; what they lost. */
  suffer(ms: number, everyMs: number, attack: (to: SimNode) => void): readonly string[];
  /** How often the others together counted that. */
  counted(counter: string): number;
}

function scene(seed: number): Scene {
  const { world, nodes } = demo(seed);
  world.start();
  world.runUntil(() => world.whole(), 10_000, 'the full matrix');
  world.run(40_000);
  const hostile = nodes[HOSTILE];
  const others = NAMES.filter((name) => name !== HOSTILE).map((name) => nodes[name]);
  hostile.killAgent();
  const impostor = new Impostor(world, hostile);
  impostor.show(false);
  world.run(2_000);
  const pairs = others.flatMap((a) => others.filter((b) => b !== a).map((b) => [a, b] as const));
  return {
    world,
    hostile,
    impostor,
    others,
    paths: () => pairs.map(([a, b]) => `${a.name} ${b.name} ${world.path(a, b)}`),
    suffer: (ms, everyMs, attack) => {
      let next = 0;
      const stop = world.clock.every(everyMs, () => attack(others[next++ % others.length]!));
      const lost = world.lost(ms, 100, others);
      stop();
      return lost;
    },
    counted: (counter) => others.reduce((sum, { agent }) => sum + (agent?.counters[counter] ?? 0), 0),
  };
}

describe('a hostile member, simulated', function () {
  this.timeout(120_000);

  it('that says everything to everybody, in the room and over the overlay, costs the others nothing', () => {
    const { world, hostile, impostor, others, paths, suffer, counted } = scene(1);
    const [before, answers] = [paths(), world.rtc.answers];
    const certificate = hostile.certificate.bytes.toString('base64');
    const lost = suffer(8_000, 2, (to) => {
      const body = anything(world, certificate);
      if (world.random() < 0.5) impostor.say(to.self, body);
      else to.signal({ kind: 'over-overlay', from: hostile.self, body: JSON.parse(JSON.stringify(body)) });
    });
    expect(lost).to.deep.equal([]);
    expect(paths()).to.deep.equal(before);
    expect(world.apart(others)).to.deep.equal([]);
    // Of 4,000 messages each of the others takes its share of one member.
    expect(counted('signal_message_too_many')).to.be.above(1_000);
    expect(counted('signal_message_refused')).to.be.above(300);
    expect(counted('offer_too_many')).to.be.above(10);
    expect(world.rtc.answers - answers, 'WebRTC connections it was given').to.be.below(6 * 15);
    for (const { agent, tincan, name } of others) {
      expect(agent?.members.length, name).to.equal(6);
      expect(tincan?.tunnels.size, name).to.be.at.most(6);
      expect(tincan?.tunnels.get(hostile.self)?.candidates.length ?? 0, name).to.be.at.most(16);
    }
  });

  it('that is born anew with every presence is taken for one that restarts now and then', () => {
    const { world, impostor, others, paths, suffer, counted } = scene(2);
    const [before, offers] = [paths(), world.rtc.offers];
    let shown = 0;
    const lost = suffer(8_000, 4, () => {
      if (shown < 200) impostor.show(true);
      else impostor.showAgain();
      shown++;
    });
    expect(shown).to.be.above(1_500);
    expect(lost).to.deep.equal([]);
    expect(paths()).to.deep.equal(before);
    expect(counted('signal_hello_too_many')).to.be.above(5_000);
    expect(world.rtc.offers - offers, 'offers the others made it').to.be.below(6 * 30);
    for (const { agent, name } of others) expect(agent?.members.length, name).to.equal(6);
  });

  it('gets nothing by saying again what it said, nor by the names of others', () => {
    const { world, hostile, impostor, others, paths, suffer, counted } = scene(3);
    const before = paths();
    const lost = suffer(3_000, 5, (to) => {
      const other = others[Math.floor(world.random() * others.length)]!;
      impostor.say(to.self, { type: 'edge', kinds: ['static'] });
      impostor.sayAgain();
      // A server that helps it: its hello, and its messages, under another's name.
      to.signal({
        kind: 'presence',
        nick: other.self,
        available: true,
        hello: hostile.newBoot().hello([], 0).toString('base64'),
      });
      to.signal({ kind: 'message', nick: other.self, payload: Buffer.alloc(300, 1).toString('base64') });
    });
    expect(lost).to.deep.equal([]);
    expect(paths()).to.deep.equal(before);
    expect(counted('signal_hello_refused')).to.be.above(20);
    expect(counted('signal_message_refused')).to.be.above(500);
  });

  it('that claims to be next to ten thousand nodes, and to all the others, draws no path away from them', () => {
    const { world, hostile, others, paths, suffer } = scene(4);
    const before = paths();
    const flows = others.map(({ agent }) => agent?.controller.flows ?? 0);
    const labels = others.map((one) => one.self.slice(0, 16));
    const lost = suffer(10_000, 80, (to) => {
      const lies = Array.from({ length: 1_000 }, () => hex(world, 16));
      to.tincan?.event('adjacency', { peer: hostile.self, labels: [...labels, ...lies].sort() });
    });
    expect(lost).to.deep.equal([]);
    expect(paths()).to.deep.equal(before);
    for (const [i, { agent, name }] of others.entries())
      expect(agent?.controller.flows, name).to.be.at.most(2 * (flows[i] ?? 0));
  });
});
