/** Asks `test/scale`, which holds tincan's own machines, what floods and detours do on a graph. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { labelHex } from '../../../agent/src/wire/ids.ts';
import type { Graph, Hops } from './measure.ts';

const PROGRAM = 'target/release/scale';
const ANSWER_MAX_BYTES = 64 << 20;

export interface FloodAnswer {
  readonly floods: number;
  readonly expected: number;
  readonly reached: number;
  readonly complete: number;
  readonly twice: number;
  readonly records: number;
  readonly tunnels: number;
  readonly most: number;
  readonly last_ms_mean: number;
  readonly last_ms_max: number;
  readonly hunted: number;
  readonly reassigned: number;
  readonly abandoned: number;
}

export interface Moment {
  readonly ms: number;
  readonly pairs: number;
  readonly arrived: number;
  readonly hops_mean: number;
  readonly hops_max: number;
  readonly swallowed: number;
  readonly stuck: number;
  readonly too_many_hops: number;
  readonly example: readonly [number, number] | null;
}

export interface RouteAnswer {
  readonly found_ms_mean: number;
  readonly found_ms_max: number;
  readonly at: readonly Moment[];
}

export interface HolesAnswer {
  readonly pairs: number;
  readonly arrived: number;
  readonly swallowed: number;
  readonly found_ms_max: number;
}

/** IP bytes a second that a node sends. */
export interface IdleAnswer {
  readonly mean: number;
  readonly max: number;
  readonly probes_mean: number;
  readonly adjacency_mean: number;
  readonly sessions_mean: number;
}

export interface Question {
  readonly seed: number;
  readonly graph: Graph;
  /** Indices of tunnels. */
  readonly dead?: readonly number[];
  readonly floods?: number;
  readonly idle?: {
    /** Addresses of a neighbour that never answer. */
    readonly silent: number;
    /** Bytes a second of a node that do not depend on its tunnels. */
    readonly besides: number;
  };
  /** Nodes that look healthy and forward nothing, one after the other. */
  readonly holes?: {
    readonly holes: number;
    readonly targets: readonly number[];
    readonly hops: Hops;
    readonly atMs: number;
  };
  readonly routes?: { readonly targets: readonly number[]; readonly hops: Hops; readonly atMs: readonly number[] };
}

export function ask({ seed, graph, dead = [], floods = 0, holes, idle, routes }: Question): Answer {
  const request = {
    seed,
    labels: graph.labels.map(labelHex),
    tunnels: graph.tunnels,
    dead,
    floods,
    ...(idle && { idle }),
    ...(holes && {
      holes: {
        holes: holes.holes,
        targets: holes.targets,
        hops: holes.hops.map((row) => [...row]),
        at_ms: holes.atMs,
      },
    }),
    ...(routes && {
      routes: { targets: routes.targets, hops: routes.hops.map((row) => [...row]), at_ms: routes.atMs },
    }),
  };
  return run(request);
}

/** In milliseconds, of neighbours that are near on the ring and of others. */
export interface Deaths {
  readonly near: readonly number[];
  readonly others: readonly number[];
}

/** How long ends of idle tunnels need to find that the other end is dead. */
export function deaths(seed: number, samples: number): Deaths {
  return run({ seed, labels: [], tunnels: [], dead: [], deaths: samples }).deaths ?? { near: [], others: [] };
}

interface Answer {
  readonly floods: FloodAnswer | null;
  readonly routes: RouteAnswer | null;
  readonly deaths: Deaths | null;
  readonly holes: HolesAnswer | null;
  readonly idle: IdleAnswer | null;
}

function run(request: object): Answer {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: cargo build --release -p scale`);
  const ran = spawnSync(PROGRAM, { input: `${JSON.stringify(request)}\n`, maxBuffer: ANSWER_MAX_BYTES });
  if (ran.status !== 0) throw new Error(`${PROGRAM}: ${ran.stderr.toString().trim() || (ran.error?.message ?? '')}`);
  return JSON.parse(ran.stdout.toString());
}
