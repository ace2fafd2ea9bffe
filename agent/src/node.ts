/**
 * The adapters around the agent's machine: what happens in the world becomes its events, its actions are carried out. Nothing is
 * decided here but the order of starting and ending.
 */
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Element } from '@xmpp/xml';
import { Agent } from './agent.ts';
import type { AgentAction, AgentEvent } from './agent-types.ts';
import type { NodeConfig } from './config/node-config.ts';
import { hostPortOf } from './config/service.ts';
import { diagnose } from './diagnosis/diagnose.ts';
import { type Finding, sorted } from './diagnosis/finding.ts';
import { ApiError, type ApiServer } from './io/api-server.ts';
import { type Control, ControlError } from './io/control.ts';
import { LanSockets } from './io/lan.ts';
import type { Log } from './io/log.ts';
import { Memory } from './io/memory.ts';
import { NotReadyError, OpenVSwitch } from './io/open-vswitch.ts';
import { OpenFlowSocket } from './io/openflow.ts';
import { managementSocket } from './io/ovsdb.ts';
import { Relay } from './io/relay.ts';
import type { IceServers } from './io/rtc.ts';
import { RtcPool } from './io/rtc-pool.ts';
import { tellSystemd } from './io/systemd.ts';
import { findTincan, TincanProcess } from './io/tincan-process.ts';
import { Tracer } from './io/tracer.ts';
import { TurnCheck } from './io/turn-check.ts';
import { XmppRoom } from './io/xmpp.ts';
import { authorityJid } from './join/address.ts';
import { Measured } from './measured.ts';
import type { MetricState } from './metrics/catalogue.ts';
import type { Exposition } from './metrics/exposition.ts';
import { NodeApi } from './node-api.ts';
import { factsOf } from './node-facts.ts';
import { StartError } from './obstacle.ts';
import type { Greeting } from './signal/lobby.ts';
import { OwnBoot } from './signal/own-boot.ts';
import type { Service } from './signal/services.ts';
import { readDemand, readPort, readTunnels, roundTripsOf, type TincanHello } from './tincan.ts';
import {
  bringUp,
  configuration,
  firewallOrder,
  resolveEndpoints,
  UnableError,
  UnusableTincanError,
} from './tincan-link.ts';
import { ConnectionTold, Told } from './told.ts';
import { isOnExcluded } from './tunnel/excluded.ts';
import { VERSION } from './version.ts';
import { facts, type NodeFacts } from './view.ts';
import type { NodeId } from './wire/ids.ts';
import { generatePrivateKey, privateKey } from './wire/keys.ts';
import { DecodeError, fromBase64 } from './wire/reader.ts';

/** Largest record on a WebRTC path (docs/wire.md §10.4); tincan finds out by probing what each one carries. */
const RECORD_BYTES = 1_440;
const CLOCK_MS = 10_000;
/** A tincan that ends so often before it was ever reached will not come up. */
const TINCAN_TRIES = 3;
/** tincan has so long before the room is entered without it. */
const TINCAN_FIRST_MS = 2_000;
/** After tincan could not be configured. */
const CONFIGURE_RETRY_MS = 2_000;
/** What was written last has this long to leave. */
const FAREWELL_MS = 150;
/** Peers that were told that a WebRTC tunnel goes send by it for so long at most: until then it carries. */
const DRAIN_MS = 450;

export interface NodeOptions {
  /** `own`: started when none runs, and ended by `stop`. `external`: somebody else's to start and to end. */
  readonly tincan: 'own' | 'external';
  /** The overlay's authority says that it has something new for its nodes. */
  readonly news?: () => void;
  /** The XMPP server is there, or there again: news may have been missed. */
  readonly online?: () => void;
  /** What is wrong besides with what this node is part of: a cluster. */
  readonly findings?: () => readonly Finding[];
}

export class Node {
  readonly #config: NodeConfig;
  readonly #others: NodeOptions['findings'];
  readonly #log: Log;
  readonly #agent: Agent;
  readonly #memory: Memory;
  readonly #relay: Relay;
  readonly #rtc: RtcPool;
  readonly #lan: LanSockets;
  readonly #turn: TurnCheck;
  readonly #room: XmppRoom;
  readonly #switch: OpenFlowSocket;
  readonly #ovs: OpenVSwitch | undefined;
  readonly #process: TincanProcess;
  readonly #tracer: Tracer;
  readonly #external: boolean;
  #control: Control | undefined;
  #hello: TincanHello | undefined;
  #stun: readonly string[] = [];
  #api: NodeApi | undefined;
  #timer: NodeJS.Timeout | undefined;
  #clock: NodeJS.Timeout | undefined;
  #reconfigure: NodeJS.Timeout | undefined;
  #ended = false;
  /** Events that came while another one was being carried out. */
  readonly #queue: AgentEvent[] = [];
  #running = false;
  readonly #tincanTold = new Told();
  /** What kept tincan from running the last time. */
  #tincanProblem: string | undefined;
  #tincanSince = 0;
  /** It did not answer the last request. */
  #tincanSilent = false;
  readonly #startedAt = performance.now();
  readonly #measured = new Measured();
  /** The ring was last seen to be complete. */
  #ringAt = performance.now();
  readonly #signallingTold = new ConnectionTold();
  /** tincan carries frames, or did: from here on nothing ends the agent. */
  #wasUp = false;
  /** Until tincan is up, or has been waited for. */
  readonly #tincanFirst = Promise.withResolvers<void>();
  #fail: (error: StartError) => void = () => undefined;

  constructor(config: NodeConfig, log: Log, random: (bytes: number) => Buffer, options: NodeOptions) {
    this.#config = config;
    this.#log = log;
    this.#external = options.tincan === 'external';
    this.#others = options.findings;
    const { parameters } = config.overlay;
    this.#agent = new Agent({
      own: new OwnBoot({
        identity: privateKey('ed25519', config.identity.seed.reveal()),
        certificate: config.identity.certificate.bytes,
        nonce: random(16),
        ephemeral: generatePrivateKey('x25519'),
      }),
      parameters,
      topology: config.topology,
      lan: config.network.lan,
      ovs: config.switch === 'ovs',
      firewall: firewallOrder(config),
      // Since the machine started: the wall clock may be set back, and tincan lives no longer than the machine runs.
      generation: process.hrtime.bigint(),
      random: Math.random,
      account: config.signalling.username,
      greeting: greetingOf(process.env.EVIO_GREETING),
    });
    const warn = (message: string) => log.warn(message);
    this.#memory = new Memory(config.stateDir, warn);
    this.#relay = new Relay(join(config.runDir, 'relay.sock'), warn);
    this.#rtc = new RtcPool({
      relay: this.#relay,
      usable: (address) => this.#agent.usable(address) && !this.#isExcluded(address),
      event: (peer, event) => this.#give({ kind: 'rtc', peer, event }),
      report: warn,
    });
    this.#lan = new LanSockets((name, address) => this.#isOurs(name, address), {
      hello: (bytes) => this.#give({ kind: 'signal', event: { kind: 'lan-hello', bytes } }),
      report: warn,
    });
    const { signalling } = config;
    this.#turn = new TurnCheck(signalling.service.url, {
      warn,
      info: (message) => log.info(message),
      renew: () => this.#room.renewServices(),
    });
    this.#room = new XmppRoom(
      {
        service: signalling.service.url,
        domain: signalling.domain,
        username: signalling.username,
        password: signalling.password.reveal(),
        ca: signalling.ca,
        room: signalling.room,
        nickname: this.#agent.self,
        authority: authorityJid(parameters.overlayId, signalling.domain),
        time: () => this.#agent.knownTime(performance.now()),
      },
      {
        event: (event) => this.#give({ kind: 'signal', event }),
        services: (services) => this.#useServices(services),
        news: () => options.news?.(),
        state: ({ state, error, since }) => {
          if (state === 'online') {
            this.#rtc.joined();
            options.online?.();
            if (this.#signallingTold.up(since)) {
              const where = this.#room.inside ? 'in the room' : 'connected; others are seen in the room';
              log.info(`signalling: ${where} ${signalling.room}`);
            }
          } else if (state === 'waiting' && error !== null && this.#signallingTold.down(error, since))
            log.warn(`signalling: ${error}`);
        },
      },
    );
    this.#switch = new OpenFlowSocket(join(config.runDir, 'switch.sock'), {
      connected: () => this.#give({ kind: 'switch', event: { kind: 'connected' } }),
      message: (message) => this.#give({ kind: 'switch', event: { kind: 'message', message } }),
      undecodable: (reason) => this.#give({ kind: 'switch', event: { kind: 'undecodable', reason } }),
      disconnected: () => this.#give({ kind: 'switch', event: { kind: 'disconnected' } }),
    });
    if (config.switch === 'ovs')
      this.#ovs = new OpenVSwitch(config, log, {
        event: (event) => this.#give({ kind: 'edge', event }),
        ports: (ports) => this.#give({ kind: 'bridge-ports', ports }),
      });
    const tincan = { name: 'tincan', text: "tincan's switch", socket: join(config.runDir, 'switch.sock') } as const;
    const { bridge } = config.network;
    const ovs = {
      name: 'ovs',
      text: `bridge ${bridge} of Open vSwitch`,
      socket: managementSocket(config.ovs.runDir, bridge),
    } as const;
    this.#tracer = new Tracer({
      agent: this.#agent,
      switches: config.switch === 'ovs' ? [ovs, tincan] : [tincan],
      selected: (peer) => this.#rtc.selected(peer),
      request: (method, params, timeoutMs) => this.#request(method, params, timeoutMs),
    });
    this.#process = new TincanProcess(
      { runDir: config.runDir, binary: this.#external ? undefined : findTincan() },
      {
        up: (control, started) => void this.#tincanUp(control, started),
        event: (name, data) => this.#give({ kind: 'tincan-event', name, data }),
        down: (reason) => this.#tincanDown(reason),
        ended: (message, times) => this.#tincanEnded(message, times),
        report: warn,
      },
    );
  }

  /** `stop` is called when the API is told to stop, `fail` when this node turns out to be unable to run. */
  async start(server: ApiServer, stop: () => void, fail: (error: StartError) => void): Promise<void> {
    this.#fail = fail;
    const config = this.#config;
    this.#log.info(`node ${config.name} (${this.#agent.self}) of overlay ${this.#agent.parameters.name} starts`);
    // The native library loads while tincan starts and the server is called.
    const rtc = this.#rtc.start();
    // Before anybody is heard or told.
    this.#give({ kind: 'clock', wallSeconds: Date.now() / 1000 });
    this.#ovs?.start();
    this.#process.start();
    // A node that cannot carry frames is not seen in the room.
    setTimeout(() => this.#tincanFirst.resolve(), TINCAN_FIRST_MS).unref();
    void this.#tincanFirst.promise.then(() => {
      if (!this.#ended) this.#room.start();
    });
    this.#stun = await resolveEndpoints(config.ice.stun);
    if (this.#ended) return;
    this.#give({ kind: 'start', wallSeconds: Date.now() / 1000 });
    this.#clock = setInterval(() => this.#tick(), CLOCK_MS);
    this.#recall();
    if (config.network.lan) this.#lan.start();
    const api = new NodeApi({
      agent: this.#agent,
      config,
      room: this.#room,
      relay: this.#relay,
      selected: (peer) => this.#rtc.selected(peer),
      request: (method, params, timeoutMs) => this.#request(method, params, timeoutMs),
      hello: () => this.#hello,
      problems: () => this.#ovs?.problems ?? [],
      findings: () => this.findings,
      revoke: (list) => this.#give({ kind: 'signal', event: { kind: 'revocations', list } }),
      tracer: this.#tracer,
      upgrade: () => this.#process.exchange(),
      stop,
    });
    this.#api = api;
    server.answerBy((method, params) => api.answer(method, params));
    await rtc;
  }

  /** What is wrong with this node, by its cause. */
  get findings(): readonly Finding[] {
    const now = performance.now();
    const facts = factsOf(
      {
        agent: this.#agent,
        config: this.#config,
        signalling: this.#room.state,
        turn: this.#turn.facts,
        stun: this.#stun,
        tincan: {
          version: this.#hello?.version,
          wasUp: this.#wasUp,
          problem: this.#tincanProblem,
          silentPid: this.#tincanSilent ? this.#hello?.pid : undefined,
          upMs: now - this.#tincanSince,
        },
        ovs: this.#ovs,
        uptimeMs: now - this.#startedAt,
        incompleteMs: now - this.#ringAt,
      },
      now,
    );
    return sorted([...diagnose(facts), ...(this.#others?.() ?? [])]);
  }

  /** As Prometheus reads them. */
  async metrics(pools: MetricState['pools'] = []): Promise<Exposition> {
    const api = this.#api;
    if (api === undefined) throw new ApiError('starting', 'the node is starting');
    const { exposition } = await import('./metrics/exposition.ts');
    const [status, peers] = await Promise.all([api.status(), api.peers()]);
    return exposition({ status, peers, notAfter: this.#config.identity.certificate.notAfter, pools });
  }

  /** Whether this is one of the node's addresses on the overlay. */
  owns(address: string): boolean {
    return this.#config.identity.certificate.addresses.some((own) => own.address === address);
  }

  get facts(): NodeFacts {
    const { state, error } = this.#room.state;
    const selected = (peer: NodeId) => this.#rtc.selected(peer);
    const sources = { agent: this.#agent, selected, measured: this.#measured };
    return facts(sources, {
      hello: this.#hello,
      signalling: { online: state === 'online', error: error ?? undefined },
      bridge: this.#config.network.bridge,
      findings: this.findings,
    });
  }

  /** Asks the overlay's authority over the XMPP server; rejects as `XmppRoom.askAuthority` does. */
  askAuthority(question: Element, timeoutMs: number): Promise<Element> {
    return this.#room.askAuthority(question, timeoutMs);
  }

  /** The newest revocation list, signed, in base64; null: none is known. */
  get revocations(): string | null {
    return this.#agent.revocations;
  }

  /** What the `evio` command may ask too (agent/src/api.ts); rejects while the node is started. */
  answer(method: string, params: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#api?.answer(method, params) ?? Promise.reject(new ApiError('starting', 'the node is starting'));
  }

  /** Ends the agent and tincan; evio0 is gone afterwards, or it is said how to take it away. A tincan of others goes on. */
  async stop(): Promise<boolean> {
    if (this.#external) return this.leave();
    this.#give({ kind: 'leave' });
    await this.#close(0);
    // Ports before the taps: one whose link goes is an error to Open vSwitch.
    await this.#ovs?.remove();
    const gone = await this.#process.shutdown();
    const { bridge, tap } = this.#config.network;
    if (!gone)
      this.#log.error(
        `tincan (pid ${this.#hello?.pid ?? 'unknown'}) does not end: kill -9 ${this.#hello?.pid ?? 'PID'}; ip link delete ${bridge}; ip link delete ${tap}`,
      );
    return gone;
  }

  /** Ends a start that failed: nothing is left. */
  async abandon(): Promise<void> {
    this.#ended = true;
    this.#room.stop();
    this.#stopParts();
    await this.#ovs?.remove();
    await this.#process.abandon();
    this.#memory.abandon();
  }

  /** Ends the agent alone. */
  async leave(): Promise<boolean> {
    // Records of relayed tunnels go by other nodes from here on; peers hear that this end is gone.
    this.#give({ kind: 'leave' });
    await this.#close(DRAIN_MS);
    this.#ovs?.stop();
    this.#process.detach();
    return true;
  }

  async #close(drainMs: number): Promise<void> {
    await new Promise((done) => setTimeout(done, FAREWELL_MS));
    // Out of the room first: nobody shall make a new tunnel to a node that goes.
    this.#room.stop();
    await new Promise((done) => setTimeout(done, drainMs));
    this.#ended = true;
    this.#stopParts();
    this.#memory.flush();
    await new Promise((done) => setTimeout(done, FAREWELL_MS));
  }

  #stopParts(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#clock);
    clearTimeout(this.#reconfigure);
    this.#lan.stop();
    this.#turn.stop();
    this.#switch.stop();
    this.#rtc.stop();
    this.#relay.stop();
  }

  // The machine.

  #give(event: AgentEvent): void {
    if (this.#ended) return;
    this.#queue.push(event);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const action of this.#agent.handle(next, performance.now())) this.#do(action);
      }
    } finally {
      this.#running = false;
    }
    this.#schedule();
  }

  #tick(): void {
    const now = performance.now();
    if (this.#agent.overlay.ringComplete) this.#ringAt = now;
    // A STUN server that fell silent: what the TURN servers said long ago may not hold any more.
    if (this.findings.some(({ code }) => code === 'stun-away' || code === 'turn-away' || code === 'udp-blocked'))
      this.#turn.again(now);
    this.#give({ kind: 'clock', wallSeconds: Date.now() / 1000 });
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const at = this.#agent.deadline();
    if (at === undefined) return;
    // Timers may fire a fraction early; a millisecond more is nothing, a busy loop is.
    const delay = Math.max(1, Math.ceil(at - performance.now()));
    this.#timer = setTimeout(() => this.#give({ kind: 'deadline' }), delay);
  }

  #do(action: AgentAction): void {
    switch (action.kind) {
      case 'send-presence':
      case 'leave-room':
      case 'stay-outside':
      case 'send-message':
      case 'send-direct':
        this.#room.perform(action);
        return;
      case 'multicast':
        this.#lan.multicast(action.datagram);
        return;
      case 'tincan':
        this.#ask(action.method, action.params, () => {});
        return;
      case 'tunnel-add': {
        const { peer, note } = action;
        this.#ask('tunnel-add', { peer, note }, (result) => {
          const { port, tap } = readPort(result);
          if (port === undefined) return;
          this.#rtc.setPort(peer, port);
          this.#give({ kind: 'tunnel-port', peer, port, tap });
        });
        return;
      }
      case 'tunnel-removed':
        this.#rtc.setPort(action.peer, undefined);
        return;
      case 'ask-demand':
        this.#ask('demand', {}, (result) => this.#give({ kind: 'demand', bytes: readDemand(result) }));
        return;
      case 'ask-round-trips':
        this.#ask('tunnels', {}, (result) => {
          const tunnels = readTunnels(result);
          this.#measured.take(tunnels, performance.now());
          this.#give({ kind: 'round-trips', roundTrips: roundTripsOf(tunnels) });
        });
        return;
      case 'rtc-offer':
      case 'rtc-answer':
      case 'rtc-accept':
      case 'rtc-proceed':
      case 'rtc-candidate':
      case 'rtc-close':
        this.#rtc.carryOut(action);
        return;
      case 'relay':
        this.#rtc.carry(action.peer, action.tunnel);
        this.#ask(
          'tunnel-webrtc',
          { peer: action.peer, up: action.tunnel !== undefined, recordSize: RECORD_BYTES },
          () => {},
        );
        return;
      case 'switch':
        this.#toSwitch(action.action);
        return;
      case 'edge':
        this.#ovs?.carryOut(action.action);
        return;
      case 'bridge-taps':
        this.#ovs?.useTaps(action.taps);
        return;
      case 'remember':
        this.#memory.changed(() => ({
          certificates: this.#agent.members.map((member) => member.bytes.toString('base64')),
          revocations: this.#agent.revocations,
          addresses: Object.fromEntries(this.#agent.lastAddresses),
        }));
        return;
      case 'trace':
        this.#tracer.message(action.from, action.body);
        return;
      case 'log':
        this.#log[action.level](action.message);
        return;
    }
  }

  #toSwitch(action: Extract<AgentAction, { kind: 'switch' }>['action']): void {
    switch (action.kind) {
      case 'send':
        this.#switch.send([action.message]);
        return;
      case 'close':
        this.#log.warn(`switch: ${action.reason}`);
        this.#switch.close();
        return;
      case 'log':
        this.#log[action.level](`switch: ${action.text}`);
        return;
      case 'synced':
        this.#log.debug(`switch: ${action.flows} flows as wanted`);
        return;
      case 'port':
      case 'port-stats':
        return;
    }
  }

  /** What the node knew when it last ran. */
  #recall(): void {
    const { certificates, revocations, addresses } = this.#memory.read();
    // Of two lists the machine keeps the newer one.
    const given = this.#config.overlay.revocations;
    if (given !== undefined) this.#give({ kind: 'signal', event: { kind: 'revocations', list: given.bytes } });
    if (revocations !== null) {
      const list = decoded(revocations);
      if (list !== undefined) this.#give({ kind: 'signal', event: { kind: 'revocations', list } });
    }
    this.#give({ kind: 'remembered', addresses });
    const known = certificates.flatMap((text) => decoded(text) ?? []);
    if (known.length > 0) this.#give({ kind: 'signal', event: { kind: 'certificates', certificates: known } });
  }

  // tincan.

  async #tincanUp(control: Control, started: boolean): Promise<void> {
    try {
      const { hello, tunnels } = await bringUp(control, this.#config, this.#stun, started, async () => {
        await this.#ovs?.ready();
      });
      this.#control = control;
      this.#hello = hello;
      this.#tincanTold.well();
      this.#tincanProblem = undefined;
      this.#tincanSince = performance.now();
      this.#wasUp = true;
      this.#tincanFirst.resolve();
      this.#relay.start();
      this.#switch.start();
      for (const { peer, port } of tunnels) this.#rtc.setPort(peer, port);
      this.#log.info(
        `tincan ${hello.version} (pid ${hello.pid}) carries the frames, ${tunnels.length} tunnels adopted`,
      );
      // Exchanging it costs traffic, so that is for the administrator to order.
      if (hello.version !== VERSION) {
        const how = this.#external ? 'deleting its pod' : '"evio agent upgrade"';
        this.#log.warn(
          `tincan ${hello.version} and agent ${VERSION} differ: traffic goes on with this tincan; ${how} exchanges it, which stops traffic for about a second`,
        );
      }
      tellSystemd('--ready');
      this.#give({ kind: 'tincan-ready', bootId: hello.bootId, tunnels });
      this.#ovs?.want();
    } catch (error) {
      if (this.#ended) return;
      const message = error instanceof Error ? error.message : String(error);
      // A tincan that never was a node's has nothing to lose, and the reason will not go away by itself.
      if (error instanceof UnableError && !this.#wasUp && !this.#external) {
        this.#fail(new StartError(message));
        return;
      }
      if (!(error instanceof NotReadyError)) this.#problem(`tincan cannot be configured: ${message}`);
      // One of others that is too old for us would only be followed by its like.
      if (error instanceof UnusableTincanError && !(this.#external && error.keepBridge))
        await control.request('shutdown', { keepBridge: error.keepBridge }).catch(() => {});
      if (error instanceof ControlError && error.code === 'closed') return;
      this.#reconfigure = setTimeout(() => void this.#tincanUp(control, started), CONFIGURE_RETRY_MS);
    }
  }

  #tincanEnded(message: string, times: number): void {
    if (this.#wasUp) this.#problem(message);
    else if (times >= TINCAN_TRIES) this.#fail(new StartError(message));
  }

  #problem(message: string): void {
    this.#tincanProblem = message;
    if (this.#tincanTold.problem(message)) this.#log.error(message);
  }

  #tincanDown(reason: string): void {
    this.#log.warn(`tincan is away: ${reason}`);
    this.#tincanProblem ??= reason;
    this.#tincanSilent = false;
    clearTimeout(this.#reconfigure);
    this.#control = undefined;
    this.#hello = undefined;
    this.#rtc.forgetPorts();
    this.#give({ kind: 'tincan-away' });
  }

  #ask(method: string, params: object | null, done: (result: unknown) => void): void {
    const control = this.#control;
    if (control === undefined) return;
    const answered = (result: unknown): void => {
      this.#tincanSilent = false;
      done(result);
    };
    control.request(method, params).then(answered, (error: unknown) => {
      this.#tincanSilent = error instanceof ControlError && error.code === 'timeout';
      // A tincan that went away says so in its own line.
      if (error instanceof ControlError && error.code === 'closed') return;
      this.#log.warn(`tincan: ${error instanceof Error ? error.message : String(error)}`);
    });
  }

  #request(method: string, params: object, timeoutMs?: number): Promise<unknown> {
    if (this.#control === undefined) return Promise.reject(new ControlError('closed', 'tincan is away'));
    return this.#control.request(method, params, timeoutMs);
  }

  // The world outside.

  #useServices(services: readonly Service[]): void {
    const { ice } = this.#config;
    const udp = services.filter((service) => service.transport === 'udp');
    const turn = udp.flatMap(({ type, host, port, username, password }) =>
      type === 'turn' && username !== undefined && password !== undefined ? [{ host, port, username, password }] : [],
    );
    const named = udp.filter((service) => service.type === 'stun').map(({ host, port }) => ({ host, port }));
    const stun = ice.stun.length > 0 ? ice.stun.map(hostPortOf) : named;
    const servers: IceServers = { stun, turn: ice.turn === 'none' ? [] : turn };
    this.#rtc.useIce(servers);
    if (ice.turn !== 'none') void this.#turn.check(servers);
    if (ice.stun.length === 0) void this.#useStun(named.map(({ host, port }) => `${bracketed(host)}:${port}`));
  }

  /** The server names STUN addresses, and the node file does not. */
  async #useStun(endpoints: readonly string[]): Promise<void> {
    const resolved = await resolveEndpoints(endpoints);
    if (resolved.join() === this.#stun.join()) return;
    this.#stun = resolved;
    this.#ask('configure', configuration(this.#config, resolved), () => {});
  }

  #isExcluded(address: string): boolean {
    const names = this.#config.network.excludeInterfaces;
    if (names.length === 0) return false;
    try {
      return isOnExcluded(address, names, networkInterfaces());
    } catch {
      // No descriptor left to ask with: one candidate less is better than one that was to be kept back.
      return true;
    }
  }

  #isOurs(name: string, address: string): boolean {
    const { bridge, tap, excludeInterfaces } = this.#config.network;
    return name === bridge || name === tap || excludeInterfaces.includes(name) || !this.#agent.usable(address);
  }
}

/**
 * `above,greeters` for tests, that a small overlay works as a large one does (docs/wire.md §9.1); all nodes of an overlay need the same.
 * Undefined: as it is.
 */
function greetingOf(text: string | undefined): Greeting | undefined {
  const [, above, greeters] = /^(\d+),(\d+)$/.exec(text ?? '') ?? [];
  return above === undefined ? undefined : { above: Number(above), greeters: Number(greeters) };
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function decoded(base64: string): Buffer | undefined {
  try {
    return fromBase64(base64);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
