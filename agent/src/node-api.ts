/** What the agent answers the `evio` command (agent/src/api.ts). */
import type { Agent } from './agent.ts';
import type { Peer, PingResult, Status, TraceResult } from './api.ts';
import type { NodeConfig } from './config/node-config.ts';
import type { Finding } from './diagnosis/finding.ts';
import { graphOf } from './graph.ts';
import { ApiError } from './io/api-server.ts';
import { ControlError } from './io/control.ts';
import type { Relay } from './io/relay.ts';
import type { CandidatePair } from './io/rtc.ts';
import type { Tracer } from './io/tracer.ts';
import type { XmppRoom } from './io/xmpp.ts';
import { fields, number, readTunnels, type TincanHello, type TincanTunnel, text } from './tincan.ts';
import { VERSION } from './version.ts';
import { findMember, natOf, peers } from './view.ts';
import { labelHex, type NodeId } from './wire/ids.ts';
import { DecodeError, fromBase64 } from './wire/reader.ts';
import { verifyRevocations } from './wire/revocations.ts';

/** A tincan that does not answer must not make the agent look dead. */
const STATS_TIMEOUT_MS = 250;
const PING_TIMEOUT_MS = 2_000;
const MAX_PING_TIMEOUT_MS = 60_000;

export interface NodeApiParts {
  readonly agent: Agent;
  readonly config: NodeConfig;
  readonly room: XmppRoom;
  readonly relay: Relay;
  selected(peer: NodeId): CandidatePair | null;
  request(method: string, params: object, timeoutMs?: number): Promise<unknown>;
  hello(): TincanHello | undefined;
  /** What keeps Open vSwitch from being as wanted. */
  problems(): readonly string[];
  /** What is wrong with the node, by its cause. */
  findings(): readonly Finding[];
  /** Gives a verified revocation list to the machine. */
  revoke(list: Uint8Array): void;
  readonly tracer: Tracer;
  /** Exchanges tincan for the one that is installed now. */
  upgrade(): Promise<void>;
  stop(): void;
}

type Params = Readonly<Record<string, unknown>>;

export class NodeApi {
  readonly #parts: NodeApiParts;
  readonly #startedAt = performance.now();

  constructor(parts: NodeApiParts) {
    this.#parts = parts;
  }

  async answer(method: string, params: Params): Promise<unknown> {
    const { stop } = this.#parts;
    switch (method) {
      case 'status':
        return this.status();
      case 'peers':
        return { peers: await this.peers() };
      case 'graph':
        return graphOf(this.#parts.agent, await this.peers());
      case 'flows':
        return this.#parts.tracer.flows();
      case 'trace':
        return this.#trace(params);
      case 'ping':
        return this.#ping(params);
      case 'revocations':
        return this.#revocations(params);
      case 'upgrade':
        await this.#parts.upgrade();
        return {};
      case 'stop':
        // The answer leaves first.
        setTimeout(stop, 20);
        return {};
      default:
        throw new ApiError('bad-request', `unknown method "${method}"`);
    }
  }

  /** A list the administrator hands to one node; the others have it from there (docs/wire.md §6.5). */
  #revocations(params: Params): { readonly serial: number; readonly revoked: number } {
    const { agent, revoke } = this.#parts;
    try {
      const bytes = fromBase64(text(params.list) ?? '');
      const list = verifyRevocations(bytes, agent.parameters.authorityKey);
      revoke(bytes);
      return { serial: Number(list.serial), revoked: list.revoked.length };
    } catch (error) {
      if (error instanceof DecodeError) throw new ApiError('bad-request', `the list is not taken: ${error.message}`);
      throw error;
    }
  }

  /** Without an answer there is what tincan told last. */
  async #counted(): Promise<ReadonlyMap<NodeId, TincanTunnel>> {
    const tunnels = await this.#parts.request('tunnels', {}, STATS_TIMEOUT_MS).catch(() => ({}));
    return new Map(readTunnels(tunnels).map((tunnel) => [tunnel.peer, tunnel]));
  }

  async peers(): Promise<readonly Peer[]> {
    const { agent, selected } = this.#parts;
    return peers({ agent, selected, counted: await this.#counted() });
  }

  async status(): Promise<Status> {
    const { agent, config, room, relay } = this.#parts;
    const { parameters, certificate } = agent;
    const stats = fields(await this.#parts.request('stats', {}, STATS_TIMEOUT_MS).catch(() => ({})));
    const hello = this.#parts.hello();
    const local = agent.localCandidates;
    const { state, error, since } = room.state;
    return {
      version: VERSION,
      overlay: { id: parameters.overlayId, name: parameters.name, mtu: parameters.mtu },
      node: {
        id: certificate.nodeId,
        name: certificate.name,
        label: labelHex(certificate.label),
        addresses: certificate.addresses.map(({ address, length }) => `${address}/${length}`),
        file: config.file,
      },
      agent: {
        pid: process.pid,
        uptimeMs: Math.round(performance.now() - this.#startedAt),
        rssBytes: residentBytes(),
      },
      tincan:
        hello === undefined
          ? null
          : {
              version: hello.version,
              pid: hello.pid,
              uptimeMs: Math.round(hello.uptimeMs + performance.now() - hello.readAt),
              rssBytes: number(stats.rssBytes) ?? 0,
            },
      signalling: {
        state,
        service: config.signalling.service.url,
        error,
        sinceMs: Math.round(performance.now() - since),
      },
      nat: {
        class: natOf(agent),
        mapped: addressesOf(local, 'srflx'),
        local: addressesOf(local, 'host'),
      },
      switch: { connected: agent.controller.connected, flows: agent.controller.flows },
      openVSwitch:
        agent.edge === undefined
          ? null
          : {
              connected: agent.edge.controller.connected,
              flows: agent.edge.controller.flows,
              problems: this.#parts.problems(),
            },
      problems: agent.problems,
      findings: this.#parts.findings(),
      members: agent.members.length + 1,
      tunnels: agent.overlay.neighbours.filter((neighbour) => neighbour.up).length,
      ringComplete: agent.overlay.ringComplete,
      counters: {
        ...prefixed('tincan', fields(stats.counters)),
        ...agent.counters,
        ...prefixed('relay', { ...relay.counters }),
        ...prefixed('switch', { ...agent.controller.counters }),
        ...prefixed('ovs', { ...agent.edge?.controller.counters }),
      },
    };
  }

  #trace(params: Params): Promise<TraceResult> {
    const to = text(params.to);
    if (to === null) throw new ApiError('bad-request', 'trace needs "to": a name, node id or address');
    return this.#parts.tracer.trace({
      from: text(params.from) ?? undefined,
      to,
      frames: number(params.frames) ?? undefined,
    });
  }

  async #ping(params: Params): Promise<PingResult> {
    const named = text(params.to) ?? '';
    const member = findMember(this.#parts.agent, named);
    if (member === undefined) throw new ApiError('not-found', `no member of the overlay is named "${named}"`);
    const timeoutMs = Math.min(Math.max(number(params.timeoutMs) ?? PING_TIMEOUT_MS, 1), MAX_PING_TIMEOUT_MS);
    try {
      const answer = fields(
        await this.#parts.request('ping', { to: member.nodeId, timeoutMs: Math.round(timeoutMs) }, timeoutMs + 1_000),
      );
      const path = answer.path === 'direct' || answer.path === 'webrtc' || answer.path === 'via' ? answer.path : 'none';
      return {
        to: member.nodeId,
        name: member.name,
        rttMs: (number(answer.rttUs) ?? 0) / 1000,
        path,
        hops: number(answer.hops) ?? 0,
      };
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      if (error.code === 'not-found')
        throw new ApiError('not-found', `${member.name} did not answer within ${timeoutMs} ms`);
      throw new ApiError(error.code, error.message);
    }
  }
}

function addressesOf(local: Agent['localCandidates'], type: 'host' | 'srflx'): readonly string[] {
  return [...new Set(local.filter((candidate) => candidate.type === type).map((candidate) => candidate.address))];
}

let resident = 0;

/** The last value known when the system cannot be asked (no descriptor left): a status says all else it can. */
function residentBytes(): number {
  try {
    resident = process.memoryUsage.rss();
  } catch {
    // Said by whatever else needs a descriptor.
  }
  return resident;
}

function prefixed(prefix: string, counters: Readonly<Record<string, unknown>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counters).flatMap(([name, value]) =>
      typeof value === 'number' ? [[`${prefix}_${name}`, value]] : [],
    ),
  );
}
