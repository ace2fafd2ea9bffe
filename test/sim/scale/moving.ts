/** What of the table is a time: from nothing to a closed ring, and from a ring with dead nodes, or ten bad minutes, to a closed one. */

import { pick, seeded } from '../random.ts';
import { Crowd, type CrowdNode } from './crowd.ts';
import { deaths } from './datapath.ts';
import { SlowServer } from './server.ts';
import { stand, TOPOLOGY } from './standing.ts';
import { Underlay } from './underlay.ts';

/** What the server takes and gives. */
const STANZAS_PER_S = 2_000;
const SPREAD_MS = 1_000;
const SHARE = 0.1;
/** Found times that are simulated; each neighbour of a dead node has one of them. */
const SAMPLES = 200;

/** What happens in ten minutes; instants in milliseconds after the start. */
const LIFE = {
  /** Behind a NAT that filters by port, behind one that has another port for each peer; the others have none. */
  cone: 0.6,
  symmetric: 0.2,
  /** Of messages over a tunnel. */
  loss: 0.01,
  /** Of all nodes, a minute: each dies without a word and comes back after up to so long. */
  churn: 0.02,
  awayMs: 60_000,
  /** A part of the nodes, the server not among them, is cut off for a while. */
  split: { at: 420_000, ms: 45_000, share: 0.3 },
  churnUntil: 540_000,
  endMs: 600_000,
} as const;
/** Whoever was cut off logs in again within this. */
const LOGIN_MS = 10_000;

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

/**
 * Ten minutes with NATs, loss, nodes that die and come back, and a network that falls apart and together again. The time is that from when
 * the last one came back until the ring is closed.
 */
export function living(size: number, seed: number, withinMs: number): Moved {
  const [random, found] = [seeded(seed + 1), deaths(seed, SAMPLES)];
  const foundMs = (near: boolean) => pick(random, near ? found.near : found.others);
  const underlay = new Underlay({ random, ...LIFE });
  const crowd = new Crowd({ size, seed, topology: TOPOLOGY, underlay });
  const server = new SlowServer(crowd, STANZAS_PER_S);
  server.start(SPREAD_MS);
  const { clock } = crowd;
  let [died, back] = [0, 0];
  const comeBack = (dead: CrowdNode) => {
    back++;
    server.login(crowd.restart(dead));
  };
  const kill = () => {
    const node = pick(random, crowd.nodes);
    if (node.dead) return;
    node.die(foundMs);
    server.lost(node);
    died++;
    clock.after(Math.min(LIFE.awayMs * random(), LIFE.churnUntil - clock.now), () => comeBack(node));
  };
  const everyMs = 60_000 / (LIFE.churn * size);
  const closed = crowd.untilClosed(LIFE.split.at);
  const stop = clock.every(everyMs, kill);
  clock.after(LIFE.split.at - clock.now, () => {
    underlay.split(Math.round(size * LIFE.split.share));
    for (const node of crowd.alive) {
      node.cutOff(foundMs);
      if (!underlay.hasServer(node.place)) server.lost(node);
    }
  });
  clock.after(LIFE.split.at + LIFE.split.ms - clock.now, () => {
    const away = crowd.alive.filter(({ place }) => !underlay.hasServer(place));
    underlay.heal();
    for (const node of crowd.alive) node.reconnected();
    for (const node of away) clock.after(LOGIN_MS * random(), () => node.dead || server.login(node));
  });
  clock.run(LIFE.churnUntil - clock.now);
  stop();
  const took = crowd.untilClosed(withinMs);
  clock.run(Math.max(0, LIFE.endMs - clock.now));
  return {
    seconds: (took ?? Infinity) / 1_000,
    details: { firstClosedMs: closed ?? null, closed: took !== undefined, died, back, ...crowd.counters },
  };
}
