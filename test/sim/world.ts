/**
 * A whole overlay in one process, on simulated time: the shipped agents and nothing else decide, everything around them is fake.
 * One number, the seed, reproduces any run.
 *
 *     const world = new World({ seed: 7 });
 *     const a = world.node('a', { behind: world.lan('home', PORT_PRESERVING) });
 *     const b = world.node('b');
 *     world.start();
 *     world.runUntil(() => world.reaches(a, b), 30_000);
 */

import type { Random } from '../../agent/src/machine.ts';
import type { Topology } from '../../agent/src/overlay/index.ts';
import type { Greeting } from '../../agent/src/signal/lobby.ts';
import { parsePrefix } from '../../agent/src/wire/address.ts';
import { encodeCertificate, verifyCertificate } from '../../agent/src/wire/certificate.ts';
import { type NodeId, overlayIdOf } from '../../agent/src/wire/ids.ts';
import { privateKey, rawPublicKey } from '../../agent/src/wire/keys.ts';
import { macRulesOf, parseMac } from '../../agent/src/wire/mac.ts';
import { encodeParameters, type Parameters, verifyParameters } from '../../agent/src/wire/parameters.ts';
import { Clock } from './clock.ts';
import { FakeRtc } from './fake-rtc.ts';
import type { FakeTincan } from './fake-tincan.ts';
import { type Host, Internet, type NatOptions, type Network } from './internet.ts';
import { type NodeWorld, SimNode } from './node.ts';
import { randomBytes, seeded } from './random.ts';
import { Room } from './room.ts';

const NOT_BEFORE = 1_799_000_000;
const NOT_AFTER = 1_900_000_000;
const STUN_PORT = 3_478;
const LOG_LINES = 200;

export const DEFAULT_TOPOLOGY: Topology = { successors: 2, longDistance: 'auto', onDemand: 4, fullMesh: 'auto' };

export interface WorldOptions {
  readonly seed: number;
  readonly topology?: Topology;
  /** Undefined: as shipped. */
  readonly greeting?: Greeting;
}

export class World implements NodeWorld {
  readonly seed: number;
  readonly clock = new Clock();
  readonly random: Random;
  readonly internet: Internet;
  readonly server: Host;
  readonly room: Room;
  readonly rtc: FakeRtc;
  readonly parameters: Parameters;
  readonly nodes: SimNode[] = [];
  readonly stun: readonly string[];
  /** The last lines of all agents' logs, for a test that fails. */
  readonly lines: string[] = [];
  readonly greeting: Greeting | undefined;
  readonly #topology: Topology;
  readonly #byId = new Map<NodeId, SimNode>();
  readonly #authority;

  constructor({ seed, topology = DEFAULT_TOPOLOGY, greeting }: WorldOptions) {
    this.greeting = greeting;
    this.seed = seed;
    this.random = seeded(seed);
    this.#topology = topology;
    this.internet = new Internet(this.clock, this.random);
    this.server = this.internet.host('203.0.113.1');
    const second = this.internet.host('203.0.113.2');
    this.room = new Room(this.clock, this.internet, this.server, this.random);
    this.rtc = new FakeRtc(this.clock, this.internet);
    this.stun = [this.server, second].map((host) => `${host.address}:${STUN_PORT}`);
    for (const host of [this.server, second]) this.#serveStun(host);
    this.#authority = privateKey('ed25519', randomBytes(this.random, 32));
    const authorityKey = rawPublicKey(this.#authority);
    const { successors, longDistance, onDemand, fullMesh } = topology;
    const bytes = encodeParameters(
      {
        name: 'sim',
        serial: 1n,
        issued: NOT_BEFORE,
        mtu: 1_400,
        ciphers: ['aes-128-gcm'],
        subnet4: parsePrefix('10.99.0.0/16'),
        topology: { successors, longDistance, onDemand, fullMesh },
      },
      this.#authority,
    );
    this.parameters = verifyParameters(bytes, authorityKey);
  }

  /** A local network behind a NAT of its own. */
  lan(options: NatOptions): Network {
    return this.internet.behind(options);
  }

  /** A node with an address of its own in the public network, or in `behind`. */
  node(
    name: string,
    options: { readonly behind?: Network; readonly address?: string; readonly overlayAddress?: string } = {},
  ): SimNode {
    const number = this.nodes.length + 1;
    const address = options.address ?? (options.behind === undefined ? `198.51.100.${number}` : `192.168.1.${number}`);
    const identitySeed = randomBytes(this.random, 32);
    const addresses = [parsePrefix(`${options.overlayAddress ?? `10.99.${number >> 8}.${number & 255}`}/16`)];
    const serial = BigInt(number);
    const certificate = encodeCertificate(
      {
        overlayId: overlayIdOf(rawPublicKey(this.#authority)),
        identityKey: rawPublicKey(privateKey('ed25519', identitySeed)),
        sessionKey: rawPublicKey(privateKey('x25519', randomBytes(this.random, 32))),
        name,
        addresses,
        routes: [],
        macs: macRulesOf(addresses, [], serial),
        serial,
        notBefore: NOT_BEFORE,
        notAfter: NOT_AFTER,
      },
      this.#authority,
    );
    const node = new SimNode(
      {
        name,
        host: this.internet.host(address, options.behind),
        identitySeed,
        certificate: verifyCertificate(certificate, rawPublicKey(this.#authority)),
        topology: this.#topology,
      },
      this,
    );
    this.nodes.push(node);
    this.#byId.set(node.self, node);
    return node;
  }

  /** Starts all nodes within `spreadMs`. */
  start(spreadMs = 1_000): void {
    for (const node of this.nodes) this.clock.after(spreadMs * this.random(), () => node.startAgent());
  }

  run(ms: number): void {
    this.clock.run(ms);
  }

  /** How long it took; throws with the end of the log when it never came. */
  runUntil(condition: () => boolean, withinMs: number, what = 'the condition'): number {
    const begin = this.clock.now;
    // Conditions look at the whole world: four times a second is enough for them, and cheap.
    while (this.clock.now - begin < withinMs) {
      if (condition()) return this.clock.now - begin;
      this.clock.run(250);
    }
    if (condition()) return this.clock.now - begin;
    throw new Error(`seed ${this.seed}: ${what} did not come within ${withinMs} ms\n${this.lines.join('\n')}`);
  }

  // What is asked of a world.

  /** Where a frame for another node's MAC goes now. */
  trace(from: SimNode, to: SimNode): ReturnType<FakeTincan['frame']> {
    const mac = (text: string) => BigInt(`0x${parseMac(text).toString('hex')}`);
    const frame = { eth_src: mac(from.certificate.mac), eth_dst: mac(to.certificate.mac), eth_type: 0x0800n };
    if (from.tincan === undefined || from.host.dead) return { reached: undefined, hops: 0, flooded: false };
    return from.tincan.frame(frame);
  }

  reaches(from: SimNode, to: SimNode): boolean {
    return this.trace(from, to).reached === to.self;
  }

  /**
   * Sends a record between all pairs of nodes every `everyMs` while `ms` pass; each that did not arrive is answered as
   * "time from > to".
   */
  lost(ms: number, everyMs: number, nodes: readonly SimNode[] = this.alive): readonly string[] {
    const lost: string[] = [];
    const stop = this.clock.every(everyMs, () => {
      const at = (this.clock.now / 1_000).toFixed(3);
      for (const [from, to] of pairs(nodes))
        from.tincan?.send(to.certificate.label, (delivered) => {
          if (!delivered) lost.push(`${at} ${from.name} > ${to.name}`);
        });
    });
    this.run(ms);
    stop();
    // The last ones arrive.
    this.run(1_000);
    return lost;
  }

  get alive(): readonly SimNode[] {
    return this.nodes.filter((node) => !node.host.dead);
  }

  /** Ordered pairs that do not reach each other. */
  apart(nodes: readonly SimNode[] = this.alive): readonly string[] {
    return pairs(nodes)
      .filter(([a, b]) => !this.reaches(a, b))
      .map(([a, b]) => `${a.name} > ${b.name}`);
  }

  whole(nodes: readonly SimNode[] = this.alive): boolean {
    return pairs(nodes).every(([a, b]) => this.reaches(a, b));
  }

  mostHops(nodes: readonly SimNode[] = this.alive): number {
    return Math.max(...pairs(nodes).map(([a, b]) => this.trace(a, b).hops));
  }

  /** The path of the tunnel between two nodes, as the first sees it. */
  path(a: SimNode, b: SimNode): 'direct' | 'webrtc' | 'none' | undefined {
    return a.tincan?.tunnels.get(b.self)?.path;
  }

  // What nodes ask of a world.

  tincanOf(peer: NodeId): FakeTincan | undefined {
    return this.#byId.get(peer)?.tincan;
  }

  pipe(from: NodeId, to: NodeId): boolean {
    return this.rtc.pipe(from, to);
  }

  multicast(from: SimNode, datagram: Buffer): void {
    if (from.host.network === this.internet.public) return;
    for (const node of this.nodes) {
      if (node === from || node.host.network !== from.host.network) continue;
      this.clock.after(1, () => {
        if (this.internet.connected(from.host, node.host)) node.hear(datagram);
      });
    }
  }

  log(node: SimNode, text: string): void {
    this.lines.push(`${(this.clock.now / 1_000).toFixed(3)} ${node.name} ${text}`);
    if (this.lines.length > LOG_LINES) this.lines.shift();
  }

  #serveStun(host: Host): void {
    const server = `${host.address}:${STUN_PORT}`;
    host.sockets.set(STUN_PORT, (source) => {
      this.internet.send(host, STUN_PORT, source, { kind: 'stun-answer', server, mapped: source });
    });
  }
}

function pairs(nodes: readonly SimNode[]): readonly (readonly [SimNode, SimNode])[] {
  return nodes.flatMap((a) => nodes.filter((b) => b !== a).map((b) => [a, b] as const));
}
