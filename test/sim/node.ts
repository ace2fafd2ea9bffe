/**
 * One node of the simulated world: the shipped agent, a fake tincan, and what the adapters of agent/src/io do between them and the
 * world.
 */

import { Agent } from '../../agent/src/agent.ts';
import type { AgentAction, AgentEvent } from '../../agent/src/agent-types.ts';
import type { Instant, Random } from '../../agent/src/machine.ts';
import type { Topology } from '../../agent/src/overlay/index.ts';
import type { ControllerAction } from '../../agent/src/sdn/index.ts';
import type { Greeting } from '../../agent/src/signal/lobby.ts';
import { OwnBoot } from '../../agent/src/signal/own-boot.ts';
import type { Certificate } from '../../agent/src/wire/certificate.ts';
import { LAN_PREFIX } from '../../agent/src/wire/hello.ts';
import { labelHex, type NodeId } from '../../agent/src/wire/ids.ts';
import { privateKey } from '../../agent/src/wire/keys.ts';
import type { Parameters } from '../../agent/src/wire/parameters.ts';
import type { Clock } from './clock.ts';
import type { FakeRtc, RtcEnd } from './fake-rtc.ts';
import { FakeTincan, type TincanWorld } from './fake-tincan.ts';
import type { Host } from './internet.ts';
import { randomBytes } from './random.ts';
import type { Occupant, Room } from './room.ts';

/** The agent starts tincan again after this. */
const TINCAN_RESTART_MS = 500;
const CLOCK_MS = 60_000;
const WALL_SECONDS = 1_800_000_000;
/** A request on a unix socket and its answer. */
const LOCAL_MS = 1;

export interface NodeWorld extends TincanWorld {
  readonly room: Room;
  readonly rtc: FakeRtc;
  readonly random: Random;
  readonly parameters: Parameters;
  readonly greeting: Greeting | undefined;
  multicast(from: SimNode, bytes: Buffer): void;
  log(node: SimNode, text: string): void;
}

export interface NodeOptions {
  readonly name: string;
  readonly host: Host;
  readonly identitySeed: Buffer;
  readonly certificate: Certificate;
  readonly topology: Topology;
}

export class SimNode implements RtcEnd, Occupant {
  readonly name: string;
  readonly host: Host;
  readonly certificate: Certificate;
  readonly self: NodeId;
  readonly nick: NodeId;
  agent: Agent | undefined;
  tincan: FakeTincan | undefined;
  /** How wrong this machine's clock is. */
  clockAheadSeconds = 0;
  readonly #world: NodeWorld;
  readonly #options: NodeOptions;
  /** Ends what belongs to the running agent. */
  #stop: (() => void)[] = [];
  /** Events that wait until the one before has been carried out. */
  #queue: AgentEvent[] = [];
  #running = false;
  #timerAt: Instant | undefined;
  /** What the agent keeps on disk. */
  #disk: { certificates: readonly Buffer[]; addresses: Readonly<Record<NodeId, readonly string[]>> } = {
    certificates: [],
    addresses: {},
  };

  constructor(options: NodeOptions, world: NodeWorld) {
    this.#options = options;
    this.#world = world;
    this.name = options.name;
    this.host = options.host;
    this.certificate = options.certificate;
    this.self = options.certificate.nodeId;
    this.nick = this.self;
  }

  get clock(): Clock {
    return this.#world.clock;
  }

  // What tests do to a node.

  /** With this node's keys, as each start of its agent draws one. */
  newBoot(): OwnBoot {
    const { certificate, identitySeed } = this.#options;
    const { random } = this.#world;
    return new OwnBoot({
      identity: privateKey('ed25519', identitySeed),
      certificate: certificate.bytes,
      nonce: randomBytes(random, 16),
      ephemeral: privateKey('x25519', randomBytes(random, 32)),
    });
  }

  startAgent(): void {
    const { topology } = this.#options;
    const { random, clock, parameters, room } = this.#world;
    const own = this.newBoot();
    const generation = BigInt(Math.floor(clock.now));
    this.agent = new Agent({
      own,
      parameters,
      topology: { ...topology, static: topology.static ?? [] },
      lan: true,
      ovs: false,
      firewall: undefined,
      generation,
      random,
      account: this.self,
      greeting: this.#world.greeting,
    });
    this.#give({ kind: 'start', wallSeconds: this.#wallSeconds() });
    this.#give({ kind: 'remembered', addresses: this.#disk.addresses });
    const { certificates } = this.#disk;
    if (certificates.length > 0) this.#give({ kind: 'signal', event: { kind: 'certificates', certificates } });
    if (this.tincan === undefined) this.#startTincan();
    this.#attachTincan();
    this.#stop.push(
      clock.every(CLOCK_MS, () => this.#give({ kind: 'clock', wallSeconds: this.#wallSeconds() })),
      room.connect(this),
    );
  }

  /** kill -9: nobody is told anything. */
  killAgent(): void {
    this.agent = undefined;
    this.#queue = [];
    this.#timerAt = undefined;
    for (const stop of this.#stop) stop();
    this.#stop = [];
    this.#world.rtc.gone(this.self);
    this.tincan?.agentGone();
  }

  /** kill -9; the agent starts another one. */
  killTincan(): void {
    this.tincan?.kill();
    this.tincan = undefined;
    this.#give({ kind: 'tincan-away' });
    this.#toSwitch({ kind: 'disconnected' });
    this.#world.clock.after(TINCAN_RESTART_MS, () => {
      if (this.agent === undefined || this.tincan !== undefined) return;
      this.#startTincan();
      this.#attachTincan();
    });
  }

  /** All its packets are dropped from here on, and nobody says goodbye. */
  die(): void {
    this.host.dead = true;
  }

  /** The dead machine boots: what was on its disk is there again. */
  boot(): void {
    this.killAgent();
    this.tincan?.kill();
    this.tincan = undefined;
    this.host.dead = false;
    this.startAgent();
  }

  // What the world tells a node.

  signal(event: Extract<AgentEvent, { kind: 'signal' }>['event']): void {
    this.#give({ kind: 'signal', event });
  }

  event(peer: NodeId, event: Extract<AgentEvent, { kind: 'rtc' }>['event']): void {
    this.#give({ kind: 'rtc', peer, event });
  }

  hear(datagram: Buffer): void {
    const bytes = datagram.subarray(LAN_PREFIX.length);
    this.#give({ kind: 'signal', event: { kind: 'lan-hello', bytes } });
  }

  // The adapters.

  #wallSeconds(): number {
    return WALL_SECONDS + this.clockAheadSeconds + Math.floor(this.#world.clock.now / 1_000);
  }

  #give(event: AgentEvent): void {
    if (this.agent === undefined || this.host.dead) return;
    this.#queue.push(event);
    if (this.#running) return;
    this.#running = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      for (const action of this.agent?.handle(next, this.#world.clock.now) ?? []) this.#do(action);
    }
    this.#running = false;
    this.#schedule();
  }

  #schedule(): void {
    const at = this.agent?.deadline();
    if (at === undefined || (this.#timerAt !== undefined && this.#timerAt <= at)) return;
    this.#timerAt = at;
    const agent = this.agent;
    this.#world.clock.after(Math.max(1, at - this.#world.clock.now), () => {
      if (this.agent !== agent || this.#timerAt !== at) return;
      this.#timerAt = undefined;
      this.#give({ kind: 'deadline' });
    });
  }

  #do(action: AgentAction): void {
    const { room, rtc } = this.#world;
    switch (action.kind) {
      case 'send-presence':
        room.presence(this, action);
        return;
      case 'leave-room':
        room.leave(this);
        return;
      case 'stay-outside':
        return;
      case 'send-direct':
        room.direct(this, action);
        return;
      case 'send-message':
        room.message(this, action.nick, action.payload);
        return;
      case 'multicast':
        this.#world.multicast(this, action.datagram);
        return;
      case 'tincan':
        this.tincan?.request(action.method, action.params as Readonly<Record<string, unknown>>);
        return;
      case 'tunnel-add':
        this.#addTunnel(action.peer, action.note);
        return;
      case 'ask-demand':
        this.#later(() => {
          const demand = [...(this.tincan?.demand ?? [])].map(([label, bytes]) => [labelHex(label), bytes] as const);
          this.#give({ kind: 'demand', bytes: new Map(demand) });
        });
        return;
      case 'ask-round-trips':
        this.#later(() => this.#give({ kind: 'round-trips', roundTrips: this.tincan?.roundTrips ?? new Map() }));
        return;
      case 'rtc-offer':
        rtc.offer(this, action.peer, action.tunnel);
        return;
      case 'rtc-answer':
        rtc.answer(this, action.peer, action.tunnel);
        return;
      case 'rtc-accept':
        rtc.accept(this, action.peer, action.tunnel);
        return;
      case 'rtc-close':
        rtc.close(this, action.peer, action.tunnel);
        return;
      case 'relay':
        rtc.relay(this.self, action.peer, action.tunnel);
        this.tincan?.request('tunnel-webrtc', { peer: action.peer, up: action.tunnel !== undefined });
        return;
      case 'switch':
        this.#fromController(action.action);
        return;
      case 'remember':
        this.#remember();
        return;
      case 'log':
        this.#world.log(this, `${action.level} ${action.message}`);
        return;
      case 'rtc-candidate':
      case 'tunnel-removed':
        return;
    }
  }

  #remember(): void {
    if (this.agent === undefined) return;
    this.#disk = {
      certificates: this.agent.members.map((member) => member.bytes),
      addresses: Object.fromEntries(this.agent.lastAddresses),
    };
  }

  #addTunnel(peer: NodeId, note: string): void {
    const { tincan } = this;
    const answer = tincan?.request('tunnel-add', { peer, note }) as { readonly port: number } | undefined;
    if (answer === undefined) return;
    this.#later(() => {
      if (this.tincan === tincan) this.#give({ kind: 'tunnel-port', peer, port: answer.port, tap: null });
    });
  }

  #startTincan(): void {
    const bootId = randomBytes(this.#world.random, 8).toString('hex');
    this.tincan = new FakeTincan(this.self, bootId, this.host, this.#world);
  }

  #attachTincan(): void {
    const { tincan, agent } = this;
    if (tincan === undefined) return;
    this.#later(() => {
      if (this.tincan !== tincan || this.agent !== agent) return;
      tincan.event = (name, data) => this.#give({ kind: 'tincan-event', name, data });
      this.#give({ kind: 'tincan-ready', bootId: tincan.bootId, tunnels: tincan.snapshot() });
      tincan.greet();
      this.#toSwitch({ kind: 'connected' });
    });
  }

  #toSwitch(event: Extract<AgentEvent, { kind: 'switch' }>['event']): void {
    this.#give({ kind: 'switch', event });
  }

  #fromController(action: ControllerAction): void {
    if (action.kind === 'log') this.#world.log(this, `${action.level} switch: ${action.text}`);
    if (action.kind !== 'send') return;
    for (const message of this.tincan?.sw.handle(action.message) ?? []) this.#toSwitch({ kind: 'message', message });
  }

  #later(run: () => void): void {
    this.#world.clock.after(LOCAL_MS, run);
  }
}
