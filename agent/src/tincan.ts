/** What tincan says on its control socket (docs/wire.md §10.1), read into types. It is our own process, but of another version perhaps. */
import type { NetworkProblem } from './api.ts';
import type { LocalCandidate } from './nat.ts';
import type { Counted, Hop } from './trace/types.ts';
import type { TunnelPath } from './tunnel/types.ts';
import { type Label, type NodeId, parseLabel } from './wire/ids.ts';
import { DecodeError, fromBase64 } from './wire/reader.ts';

export interface TincanTunnel {
  readonly peer: string;
  readonly port: number;
  /** The tap it has to itself, with `perTunnel`. */
  readonly tap: string | null;
  readonly note: string;
  readonly path: TunnelPath;
  readonly local: string | null;
  readonly remote: string | null;
  readonly localType: string | null;
  readonly remoteType: string | null;
  /** Where the peer sees this node, on a direct path. */
  readonly observed: string | null;
  readonly rttUs: number | null;
  readonly lossPpm: number | null;
  readonly txBytes: number;
  readonly rxBytes: number;
  readonly sinceMs: number | null;
  readonly webrtcUp: boolean;
  readonly adjacent: readonly string[];
  /** The remote candidates it probes. */
  readonly candidates: readonly string[];
}

export interface TincanHello {
  readonly version: string;
  readonly pid: number;
  readonly bootId: string;
  readonly uptimeMs: number;
  /** `performance.now()` when it said so. */
  readonly readAt: number;
  readonly configured: { readonly nodeId: string; readonly overlayId: string } | null;
}

/** Events of the control socket that mean something to the agent; `learned` is for people who look. */
export type TincanEvent =
  | { readonly kind: 'tunnel'; readonly tunnel: TincanTunnel }
  | { readonly kind: 'candidates'; readonly local: readonly LocalCandidate[] }
  | { readonly kind: 'message'; readonly from: NodeId; readonly body: unknown }
  | { readonly kind: 'member'; readonly certificate: Buffer }
  | { readonly kind: 'revocations'; readonly list: Buffer }
  | { readonly kind: 'adjacency'; readonly peer: NodeId; readonly labels: readonly Label[] }
  /** All that keeps packets of prefixes behind nodes from arriving, whenever that changes. */
  | { readonly kind: 'problems'; readonly problems: readonly NetworkProblem[] }
  /** Somebody had changed this node's links; or has, and they cannot be put right. */
  | { readonly kind: 'links'; readonly text: string }
  /** The peer passes nothing on that is sent through it, or does so again. */
  | { readonly kind: 'forwards'; readonly peer: string; readonly forwards: boolean }
  /** A way to the peer, "ip:port" or "relay", carries no datagram with a record of so many bytes. */
  | { readonly kind: 'narrow'; readonly peer: string; readonly remote: string; readonly recordSize: number }
  /** The peer's requests come from there, "ip:port", and ours are not answered. Again every 10 s while it lasts. */
  | { readonly kind: 'one-way'; readonly peer: string; readonly remote: string };

type Fields = Readonly<Record<string, unknown>>;

export function readTunnel(value: unknown): TincanTunnel | undefined {
  const f = fields(value);
  if (typeof f.peer !== 'string' || typeof f.port !== 'number') return undefined;
  const path = f.path === 'direct' || f.path === 'webrtc' ? f.path : 'none';
  return {
    peer: f.peer,
    port: f.port,
    tap: text(f.tap),
    note: text(f.note) ?? '',
    path,
    local: text(f.local),
    remote: text(f.remote),
    localType: text(f.localCandidateType),
    remoteType: text(f.remoteType),
    observed: text(f.observed),
    rttUs: number(f.rttUs),
    lossPpm: number(f.lossPpm),
    txBytes: number(f.txBytes) ?? 0,
    rxBytes: number(f.rxBytes) ?? 0,
    sinceMs: number(f.sinceMs),
    webrtcUp: f.webrtcUp === true,
    adjacent: strings(f.adjacent),
    candidates: strings(f.candidates),
  };
}

export function readTunnels(value: unknown): readonly TincanTunnel[] {
  return list(fields(value).tunnels).flatMap((item) => readTunnel(item) ?? []);
}

/** The answer of `tunnel-add`. */
export function readPort(value: unknown): { readonly port: number | undefined; readonly tap: string | null } {
  const f = fields(value);
  return { port: number(f.port) ?? undefined, tap: text(f.tap) };
}

export function readHello(value: unknown, readAt: number): TincanHello {
  const f = fields(value);
  const configured = f.configured === null || f.configured === undefined ? null : fields(f.configured);
  return {
    version: text(f.version) ?? '',
    pid: number(f.pid) ?? 0,
    bootId: text(f.bootId) ?? '',
    uptimeMs: number(f.uptimeMs) ?? 0,
    readAt,
    configured:
      configured === null
        ? null
        : { nodeId: text(configured.nodeId) ?? '', overlayId: text(configured.overlayId) ?? '' },
  };
}

/** The data of a `candidates` event. */
export function readCandidates(value: unknown): readonly LocalCandidate[] {
  return list(fields(value).local).flatMap((item) => {
    const f = fields(item);
    if (typeof f.address !== 'string') return [];
    return [{ address: f.address, type: f.type === 'srflx' ? 'srflx' : 'host', server: text(f.server) } as const];
  });
}

/** Undefined when it makes no sense, or none to us. */
export function readEvent(name: string, data: unknown): TincanEvent | undefined {
  const said = fields(data);
  switch (name) {
    case 'tunnel': {
      const tunnel = readTunnel(data);
      return tunnel && { kind: 'tunnel', tunnel };
    }
    case 'candidates':
      return { kind: 'candidates', local: readCandidates(data) };
    case 'message':
      return typeof said.from === 'string' ? { kind: 'message', from: said.from, body: said.body } : undefined;
    case 'member':
      return attempt(() => ({ kind: 'member', certificate: fromBase64(text(said.certificate) ?? '') }));
    case 'revocations':
      return attempt(() => ({ kind: 'revocations', list: fromBase64(text(said.list) ?? '') }));
    case 'adjacency':
      return attempt(() => ({
        kind: 'adjacency',
        peer: text(said.peer) ?? '',
        labels: strings(said.labels).map(parseLabel),
      }));
    case 'forwards':
      return typeof said.peer === 'string' && typeof said.forwards === 'boolean'
        ? { kind: 'forwards', peer: said.peer, forwards: said.forwards }
        : undefined;
    case 'narrow': {
      const [peer, remote, recordSize] = [text(said.peer), text(said.remote), number(said.recordSize)];
      return peer === null || remote === null || recordSize === null
        ? undefined
        : { kind: 'narrow', peer, remote, recordSize };
    }
    case 'one-way': {
      const [peer, remote] = [text(said.peer), text(said.remote)];
      return peer === null || remote === null ? undefined : { kind: 'one-way', peer, remote };
    }
    case 'problems':
      return { kind: 'problems', problems: list(said.problems).flatMap((item) => readProblem(item) ?? []) };
    case 'repaired':
      return { kind: 'links', text: `something changed the links of this node; put right: ${text(said.what) ?? ''}` };
    case 'unrepaired':
      return { kind: 'links', text: `cannot set the links of this node right: ${text(said.reason) ?? ''}` };
    default:
      return undefined;
  }
}

function readProblem(value: unknown): NetworkProblem | undefined {
  const { kind, text: line } = fields(value);
  return typeof kind === 'string' && typeof line === 'string' ? { kind, text: line } : undefined;
}

type TraceHop = Omit<Hop, 'relayed'>;
type TraceCounted = Omit<Counted, 'cameBy' | 'leftBy'> & {
  readonly cameBy: TraceHop | null;
  readonly leftBy: TraceHop | null;
};

/** The answer of `trace-watch`. */
export function readTraceNext(value: unknown): TraceHop | null {
  return readTraceHop(fields(value).next);
}

/** The answer of `trace-read`. */
export function readTraceTold(value: unknown): { readonly there: TraceCounted; readonly back: TraceCounted } {
  const { there, back } = fields(value);
  return { there: readTraceCounted(there), back: readTraceCounted(back) };
}

function readTraceCounted(value: unknown): TraceCounted {
  const { counts, cameBy, leftBy } = fields(value);
  const numbers = Object.entries(fields(counts)).filter((one): one is [string, number] => typeof one[1] === 'number');
  return { counts: Object.fromEntries(numbers), cameBy: readTraceHop(cameBy), leftBy: readTraceHop(leftBy) };
}

function readTraceHop(value: unknown): TraceHop | null {
  const { peer, path } = fields(value);
  if (typeof peer !== 'string') return null;
  return { peer, path: path === 'direct' || path === 'webrtc' ? path : 'none' };
}

/** The labels of a tunnel's `adjacent`. */
export function readLabels(labels: readonly string[]): readonly Label[] {
  return attempt(() => labels.map(parseLabel)) ?? [];
}

/** Milliseconds by peer, of those that have a path. */
export function roundTripsOf(tunnels: readonly TincanTunnel[]): ReadonlyMap<NodeId, number> {
  return new Map(
    tunnels.flatMap(({ peer, path, rttUs }) =>
      path === 'none' || rttUs === null ? [] : [[peer, rttUs / 1_000] as const],
    ),
  );
}

/** The answer of `demand`: bytes by label. */
export function readDemand(value: unknown): ReadonlyMap<string, number> {
  return new Map(
    list(fields(value).labels).flatMap((item) => {
      const f = fields(item);
      const bytes = number(f.bytes);
      return typeof f.label === 'string' && bytes !== null ? [[f.label, bytes] as const] : [];
    }),
  );
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function strings(value: unknown): readonly string[] {
  return list(value).filter((item) => typeof item === 'string');
}

export function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
