/**
 * What the agent tells the `evio` command over `agent.sock` in its run directory: JSON lines in the form of docs/wire.md §10.1.
 * Methods: `status` → Status, `peers` → { peers: Peer[] }, `graph` → Graph, `ping` { to: name or node id, timeoutMs } → PingResult,
 * `revocations` { list: b64 } → { serial, revoked: number of nodes }, `upgrade` {} → {} (another tincan takes over, evio0 stays),
 * `stop` {} → {} (the agent ends tincan, removes evio0 and exits), `pid` {} → { pid } (at any time, also while the agent starts),
 * `findings` {} → { findings: Finding[] } (of a cluster's node only, and while it is not started; afterwards they are in the status).
 */

import type { Finding } from './diagnosis/finding.ts';

export type EdgeKind = 'successor' | 'predecessor' | 'long-distance' | 'on-demand' | 'static';

/** `via`: no tunnel of its own, records cross other nodes. `none`: not reachable now. */
export type PathName = 'direct' | 'webrtc' | 'via' | 'none';

/**
 * By how tincan's own socket is seen from two STUN addresses (RFC 4787 §4.1): `none` = not translated,
 * `endpoint-independent` = one mapping for both, `address-dependent` = another port for each ("symmetric").
 */
export type NatClass = 'none' | 'endpoint-independent' | 'address-dependent' | 'unknown';

export interface Status {
  readonly version: string;
  readonly overlay: { readonly id: string; readonly name: string; readonly mtu: number };
  readonly node: {
    readonly id: string;
    readonly name: string;
    readonly label: string;
    readonly addresses: readonly string[];
    /** The node file. */
    readonly file: string;
  };
  readonly agent: { readonly pid: number; readonly uptimeMs: number; readonly rssBytes: number };
  readonly tincan: {
    readonly version: string;
    readonly pid: number;
    readonly uptimeMs: number;
    readonly rssBytes: number;
  } | null;
  readonly signalling: {
    readonly state: 'connecting' | 'online' | 'waiting';
    readonly service: string;
    /** Last failure in one line, or null. */
    readonly error: string | null;
    readonly sinceMs: number;
  };
  readonly nat: { readonly class: NatClass; readonly mapped: readonly string[]; readonly local: readonly string[] };
  readonly switch: { readonly connected: boolean; readonly flows: number };
  /** With `switch: "ovs"`: its bridge, and what keeps that from being as wanted, a line each. */
  readonly openVSwitch: {
    readonly connected: boolean;
    readonly flows: number;
    readonly problems: readonly string[];
  } | null;
  /** What keeps packets of prefixes behind nodes (pods) from arriving. */
  readonly problems: readonly NetworkProblem[];
  /** What is wrong with this node, by its cause, errors first (docs/diagnosis.md). */
  readonly findings: readonly Finding[];
  readonly members: number;
  readonly tunnels: number;
  /** True once every wanted successor edge has a live tunnel. */
  readonly ringComplete: boolean;
  readonly counters: Readonly<Record<string, number>>;
}

/** `kind`: `address-conflict` (a route of this machine meets a prefix of the overlay), `route`, `firewall`. `text`: one line. */
export interface NetworkProblem {
  readonly kind: string;
  readonly text: string;
}

export interface Peer {
  readonly id: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly kinds: readonly EdgeKind[];
  readonly path: PathName;
  readonly local: { readonly address: string; readonly type: string } | null;
  readonly remote: { readonly address: string; readonly type: string } | null;
  readonly rttMs: number | null;
  /** Share of probes lost, 0 to 1. */
  readonly loss: number | null;
  readonly txBytes: number;
  readonly rxBytes: number;
  /** Milliseconds since the path was last changed. */
  readonly sinceMs: number | null;
}

/** The ring as this node knows it: its own edges with their paths, and which tunnels its neighbours tell of. */
export interface Graph {
  readonly overlay: string;
  /** Clockwise by label; `label` is 16 hex characters, the place on the ring. */
  readonly nodes: readonly {
    readonly id: string;
    readonly name: string;
    readonly label: string;
    readonly self: boolean;
  }[];
  /** From this node. */
  readonly edges: readonly {
    readonly to: string;
    readonly kinds: readonly EdgeKind[];
    readonly path: PathName;
    /** With path `webrtc`: over a TURN server. */
    readonly relayed: boolean;
    readonly rttMs: number | null;
  }[];
  /** Tunnels between others, each once, of ids; of what they are is not told. */
  readonly told: readonly (readonly [string, string])[];
}

export interface PingResult {
  readonly to: string;
  readonly name: string;
  readonly rttMs: number;
  readonly path: PathName;
  readonly hops: number;
}
