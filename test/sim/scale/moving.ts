/** What of the table is a time: from nothing to a closed ring, and from a ring with dead nodes to a closed one. */

import { pick, seeded } from '../random.ts';
import { Crowd } from './crowd.ts';
import { deaths } from './datapath.ts';
import { SlowServer } from './server.ts';
import { stand, TOPOLOGY } from './standing.ts';

/** What the server takes and gives. */
const STANZAS_PER_S = 2_000;
const SPREAD_MS = 1_000;
const SHARE = 0.1;
/** Found times that are simulated; each neighbour of a dead node has one of them. */
const SAMPLES = 200;

export interface Moved {
  /** Infinity when the ring was not closed in time. */
  readonly seconds: number;
  readonly details: Readonly<Record<string, unknown>>;
}

/** All nodes are started within a second and know nobody. */
export function coldStart(size: number, seed: number, withinMs: number): Moved {
  const crowd = new Crowd({ size, seed, topology: TOPOLOGY });
  const server = new SlowServer(crowd, STANZAS_PER_S);
  server.start(SPREAD_MS);
  const took = crowd.untilClosed(withinMs);
  return {
    seconds: (took ?? Infinity) / 1_000,
    details: {
      closed: took !== undefined,
      stanzas: server.stanzas,
      room: { most: server.most, atTheEnd: server.occupants, refusedSeats: server.taken },
      ...crowd.counters,
    },
  };
}

/** A tenth of the nodes die at once, on an overlay that stands and is idle. */
export function failure(size: number, seed: number, withinMs: number): Moved {
  const crowd = stand(size, seed);
  const found = deaths(seed, SAMPLES);
  const random = seeded(seed);
  const before = { ...crowd.counters };
  const count = Math.max(1, Math.round(size * SHARE));
  for (let dead = 0; dead < count; ) {
    const node = crowd.nodes[Math.floor(random() * size)];
    if (node === undefined || node.dead) continue;
    node.die((near) => pick(random, near ? found.near : found.others));
    dead++;
  }
  const took = crowd.untilClosed(withinMs);
  const { offers, messages } = crowd.counters;
  return {
    seconds: (took ?? Infinity) / 1_000,
    details: {
      closed: took !== undefined,
      dead: count,
      offers: offers - before.offers,
      messages: messages - before.messages,
      foundMs: { near: Math.max(...found.near), others: Math.max(...found.others) },
    },
  };
}
