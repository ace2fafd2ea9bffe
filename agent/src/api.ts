/**
 * What the agent tells the `evio` command over `agent.sock` in its run directory: JSON lines in the form of docs/wire.md §10.1.
 * Methods: `flows` → Flows, `trace` { to, from?, frames? } → TraceResult, `status` → Status, `peers` → { peers: Peer[] }, `graph` → Graph, `ping` { to: name or node id, timeoutMs } → PingResult,
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

/** One flow of a switch, with its counters. */
export interface FlowLine {
  readonly table: number;
  /** Of docs/pipeline.md; the number where the table is none of ours. */
  readonly tableName: string;
  readonly priority: number;
  /** In the field names of OpenFlow, `any` for all frames. */
  readonly match: string;
  readonly actions: string;
  readonly packets: number;
  readonly bytes: number;
  readonly ageS: number;
  /** False: somebody else's. */
  readonly ours: boolean;
}

/** `flows` → Flows: what the switches of this node hold now, and with whom it talks. */
export interface Flows {
  readonly switches: readonly {
    readonly name: 'tincan' | 'ovs';
    readonly flows: readonly FlowLine[];
    /** Why its flows are not known, in one line. */
    readonly error: string | null;
  }[];
  /** Bytes of frames between this node and each other, both ways since tincan started, the busiest first. */
  readonly pairs: readonly {
    readonly id: string;
    readonly name: string;
    readonly bytes: number;
    /** Of those, by way of other nodes. */
    readonly viaBytes: number;
    readonly path: PathName;
  }[];
}

export interface TraceEnd {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  /** Something behind the node. */
  readonly pod: boolean;
}

export interface TraceHop {
  readonly peer: string;
  readonly name: string;
  readonly path: 'direct' | 'webrtc' | 'none';
  readonly relayed: boolean;
}

export interface TraceCounted {
  /** docs/diagnosis.md has the names. */
  readonly counts: Readonly<Record<string, number>>;
  readonly cameBy: TraceHop | null;
  readonly leftBy: TraceHop | null;
}

export interface TraceStation {
  readonly id: string;
  readonly name: string;
  readonly role: 'source' | 'via' | 'destination';
  readonly answered: boolean;
  readonly refused: 'old' | 'busy' | 'away' | null;
  /** By whom it would send on to the destination, before anything was sent. */
  readonly next: TraceHop | null;
  /** The frames, and the answers to them; null: it did not say. */
  readonly there: TraceCounted | null;
  readonly back: TraceCounted | null;
  /** Echo requests its kernel took meanwhile, and replies it sent, of anybody's. */
  readonly kernel: {
    readonly echoIn: number;
    readonly replyOut: number;
    /** Packets of the link to the pod that is the destination, to it and from it. */
    readonly link: {
      readonly name: string;
      readonly sent: number;
      readonly received: number;
      readonly dropped: number;
    } | null;
  } | null;
}

export interface TraceLookup {
  readonly switch: 'tincan' | 'ovs';
  /** In the order the frames met them; `flow` null: no flow of the table matches. `packets`: counted while they were sent. */
  readonly flows: readonly {
    readonly table: number;
    readonly tableName: string;
    readonly flow: FlowLine | null;
    readonly packets: number;
  }[];
}

/** `trace` { to, from?, frames } → TraceResult: marked frames through the overlay, and who had them (docs/diagnosis.md). */
export interface TraceResult {
  /** Its number, 16 hex characters. */
  readonly trace: string;
  readonly from: TraceEnd;
  readonly to: TraceEnd;
  /** How many were sent, and how long each was. */
  readonly frames: number;
  readonly frameBytes: number;
  /** The other end answered at least once. */
  readonly arrived: boolean;
  readonly returned: number;
  readonly lost: {
    /** Names of nodes: the last one that had them, and the one that should have had them next; null: lost within the first. */
    readonly at: string;
    readonly before: string | null;
    readonly direction: 'there' | 'back';
    readonly text: string;
    readonly fix: string;
  } | null;
  readonly lookups: readonly TraceLookup[];
  readonly stations: readonly TraceStation[];
}
