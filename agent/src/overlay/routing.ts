/**
 * Greedy routing with one step of lookahead, as masked flows on the destination label.
 *
 * Every node knows the members in ring order, its neighbours, and its neighbours' neighbours. The cost of reaching a member by a
 * neighbour is counted in hops, taking for granted only that the ring itself is closed, so that a member k places further round the
 * ring costs k:
 *
 *     cost(n, t) = 1 + min(places(n, t), 1 + min over a adjacent to n of places(a, t))
 *
 * The cheapest neighbour gets the record if it costs no more than walking the ring from here, places(self, t), or if it is adjacent
 * to t. The next node knows its own edges and the same ring, so it finds a way that is cheaper by one at least: the cost falls with
 * every hop, and there is no loop. (Places, not label distance: labels lie unevenly on a small ring, where the shorter way round by
 * label may be the longer one by nodes. Seven nodes need at most three hops by places, up to five by label distance.)
 * Views that differ by one member route without a loop too, since one hop shifts the two ways round by two.
 */

import { compareLabels, type Label, RING_BITS, shorterWay } from './label.ts';

export interface Neighbour {
  readonly label: Label;
  /** Its tunnel's OpenFlow port. */
  readonly port: number;
  /** The labels it has live tunnels to. */
  readonly adjacent: readonly Label[];
  /** Whether records can cross its tunnel now; true if left out. */
  readonly up?: boolean;
}

/** Labels with `label & mask == value` leave by `port`; of several flows the one with the highest priority counts. */
export interface CoreFlow {
  readonly value: Label;
  readonly mask: Label;
  readonly port: number;
  readonly priority: number;
}

/** Longer prefixes lie within shorter ones and go first: a flow's priority is this plus its prefix length. */
export const CORE_PRIORITY = 1_000;

/** What each known label is sent to: the port, or undefined for our own label and for what cannot be reached. */
export function routes(
  self: Label,
  neighbours: readonly Neighbour[],
  members: Iterable<Label>,
): ReadonlyMap<Label, number | undefined> {
  const { ring, ports } = nextHops(self, neighbours, members);
  return new Map(Array.from(ring, (label, i) => [label, ports[i]]));
}

/** The same by place: the known labels in order, and the port of each. */
export function nextHops(
  self: Label,
  neighbours: readonly Neighbour[],
  members: Iterable<Label>,
): { readonly ring: BigUint64Array; readonly ports: readonly (number | undefined)[] } {
  const { ring, home, candidates, allowed } = survey(self, neighbours, members);
  const ports = new Array<number | undefined>(ring.length).fill(undefined);
  for (let i = 0; i < ring.length; i++) {
    if (i === home) continue;
    let best: Candidate | undefined;
    for (const candidate of candidates) {
      if (best !== undefined && (candidate.rank[i] ?? 0) > (best.rank[i] ?? 0)) continue;
      if (allowed(candidate, i) && (best === undefined || compare(candidate, best, ring, i) < 0)) best = candidate;
    }
    ports[i] = best?.neighbour.port;
  }
  return { ring, ports };
}

/**
 * Where each other label is sent, by neighbour: the one `routes` chooses, then who would be chosen without it, and so on; last those
 * by whom no better way than round the ring is known, since the next node may still know one.
 */
export function firstHops(
  self: Label,
  neighbours: readonly Neighbour[],
  members: Iterable<Label>,
): ReadonlyMap<Label, readonly Label[]> {
  const { ring, home, candidates, allowed } = survey(self, neighbours, members);
  const hops = new Map<Label, readonly Label[]>();
  ring.forEach((target, i) => {
    if (i === home) return;
    const rank = (c: Candidate) => Number(!allowed(c, i));
    const order = candidates.toSorted((a, b) => rank(a) - rank(b) || compare(a, b, ring, i));
    hops.set(
      target,
      order.map(({ neighbour }) => neighbour.label),
    );
  });
  return hops;
}

interface Survey {
  /** Every label that is a member, a neighbour, or adjacent to one, in order. */
  readonly ring: BigUint64Array;
  /** Our own place. */
  readonly home: number;
  readonly candidates: readonly Candidate[];
  readonly allowed: (candidate: Candidate, place: number) => boolean;
}

/** What all routes from here are chosen from. */
function survey(self: Label, neighbours: readonly Neighbour[], members: Iterable<Label>): Survey {
  const ring = knownRing(self, neighbours, members);
  const home = placeOf(ring, self);
  const candidates = neighbours.filter((n) => n.label !== self).map((n) => new Candidate(n, self, ring));
  const walk = placesFrom([home], ring.length);
  const allowed = (candidate: Candidate, place: number) =>
    candidate.exact[place] === 1 || (candidate.cost[place] ?? 0) <= (walk[place] ?? 0);
  return { ring, home, candidates, allowed };
}

function knownRing(self: Label, neighbours: readonly Neighbour[], members: Iterable<Label>): BigUint64Array {
  const known = [self, ...members];
  for (const n of neighbours) known.push(n.label, ...n.adjacent);
  // As numbers of the machine: to sort thousands of bigints takes longer than all the rest.
  return BigUint64Array.from(known)
    .sort()
    .filter((label, i, all) => i === 0 || label !== all[i - 1]);
}

/** Where a label of the ring stands. */
function placeOf(ring: BigUint64Array, label: Label): number {
  return firstFrom(ring, label, 0, ring.length);
}

class Candidate {
  readonly neighbour: Neighbour;
  /** Hops to each place of the ring by way of this neighbour. */
  readonly cost: Int32Array;
  /** 1 where the next hop is, or has a tunnel to, the node at that place: no guess about the ring is in that. */
  readonly exact: Uint8Array;
  /** The lower the better, for each place: one number, because it is compared for each place of a large ring. */
  readonly rank: Int32Array;

  constructor(neighbour: Neighbour, self: Label, ring: BigUint64Array) {
    this.neighbour = neighbour;
    const up = neighbour.up ?? true;
    const place = placeOf(ring, neighbour.label);
    // What lay behind a tunnel that is down is not known any more.
    const beyond = up ? neighbour.adjacent.filter((a) => a !== self).map((a) => placeOf(ring, a)) : [];
    this.exact = new Uint8Array(ring.length);
    for (const at of up ? [place, ...beyond] : []) this.exact[at] = 1;
    this.cost = placesFrom([place], ring.length);
    const far = placesFrom(beyond, ring.length);
    this.rank = new Int32Array(ring.length);
    for (let i = 0; i < ring.length; i++) {
      const cost = 1 + Math.min(this.cost[i] ?? 0, 1 + (far[i] ?? 0));
      this.cost[i] = cost;
      this.rank[i] = 2 * cost - (this.exact[i] ?? 0) + (up ? 0 : DOWN);
    }
  }
}

/**
 * What a tunnel that is down adds to a rank: it is named only where nothing else leads on, and tincan then detours by itself
 * (docs/wire.md §10.2).
 */
const DOWN = 1 << 30;

/** Live tunnels first, then by hops, then those whose hops are no guess; the nearer by label decides between equals. */
function compare(a: Candidate, b: Candidate, ring: BigUint64Array, place: number): number {
  const difference = (a.rank[place] ?? 0) - (b.rank[place] ?? 0);
  if (difference !== 0) return difference;
  const target = ring[place] ?? 0n;
  return (
    compareLabels(shorterWay(a.neighbour.label, target), shorterWay(b.neighbour.label, target)) ||
    compareLabels(a.neighbour.label, b.neighbour.label)
  );
}

/** More places than any ring has. */
const NOWHERE = 0x3fff_ffff;

/** For each place of a ring of `size`, how many places it is from the nearest of `sources`, either way round. */
function placesFrom(sources: readonly number[], size: number): Int32Array {
  const places = new Int32Array(size).fill(NOWHERE);
  for (const source of sources) places[source] = 0;
  // Twice round each way, because the first round starts before it knows what lies behind it.
  let walked = NOWHERE;
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < size; i++) places[i] = walked = Math.min(places[i] ?? NOWHERE, walked + 1);
  walked = NOWHERE;
  for (let round = 0; round < 2; round++)
    for (let i = size - 1; i >= 0; i--) places[i] = walked = Math.min(places[i] ?? NOWHERE, walked + 1);
  return places;
}

/**
 * The whole of table `core`.
 *
 * Each label belongs to a known member, so that one nobody owns (yet) travels to where its owner would be known. Between two members
 * beside each other, a and b, the border is the roundest label in (a, b]: where their first differing bit turns to one. Every
 * node with the same members draws the same borders, and arcs end on short prefixes. Our own arc gets no flow: a record that ends
 * there is for nobody.
 */
export function coreFlows(
  self: Label,
  neighbours: readonly Neighbour[],
  members: Iterable<Label> = [],
): readonly CoreFlow[] {
  const hops = nextHops(self, neighbours, members);
  const flows: CoreFlow[] = [];
  emit(build(0n, 0, hops, 0, hops.ring.length), undefined, flows);
  return flows;
}

interface Hops {
  readonly ring: BigUint64Array;
  readonly ports: readonly (number | undefined)[];
}

/**
 * A block of labels that share a prefix, with the ports any of which would be the best one to give the whole block first.
 * Draves, King, Venkatachary, Zill: "Constructing Optimal IP Routing Tables", INFOCOM 1999.
 */
interface Block {
  readonly prefix: Label;
  readonly length: number;
  /** [undefined] as soon as some label within must have no flow: then no flow may cover it from above. */
  readonly ports: readonly (number | undefined)[];
  readonly halves: readonly [Block, Block] | undefined;
}

/** @param from,to the places of the members that own some label of the block */
function build(prefix: Label, length: number, hops: Hops, from: number, to: number): Block {
  const port = hops.ports[from];
  if (onePort(hops.ports, from, to)) return { prefix, length, ports: from < to ? [port] : [], halves: undefined };
  const half = prefix | (1n << (RING_BITS - 1n - BigInt(length)));
  const split = firstFrom(hops.ring, half, from, to);
  // With all members on one side the other half belongs to the one nearest to it.
  const lower = build(prefix, length + 1, hops, from, Math.max(split, from + 1));
  const upper = build(half, length + 1, hops, Math.min(split, to - 1), to);
  return { prefix, length, ports: common(lower.ports, upper.ports), halves: [lower, upper] };
}

function onePort(ports: Hops['ports'], from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) if (ports[i] !== ports[from]) return false;
  return true;
}

/** The first place within [from, to) whose label is not below `label`; `to` if there is none. */
function firstFrom(ring: BigUint64Array, label: Label, from: number, to: number): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ring[middle] ?? 0n) < label) low = middle + 1;
    else high = middle;
  }
  return low;
}

function common(a: Block['ports'], b: Block['ports']): Block['ports'] {
  if (a.includes(undefined) || b.includes(undefined)) return [undefined];
  const both = a.filter((port) => b.includes(port));
  return both.length > 0 ? both : [...a, ...b];
}

function emit(block: Block, inherited: number | undefined, flows: CoreFlow[]): void {
  let port = inherited;
  if (!block.ports.includes(port)) {
    port = block.ports.reduce(
      (least, p) => (p !== undefined && (least === undefined || p < least) ? p : least),
      undefined,
    );
    if (port !== undefined) flows.push(flowFor(block, port));
  }
  for (const half of block.halves ?? []) emit(half, port, flows);
}

function flowFor({ prefix, length }: Block, port: number): CoreFlow {
  const mask = ((1n << BigInt(length)) - 1n) << (RING_BITS - BigInt(length));
  return { value: prefix, mask, port, priority: CORE_PRIORITY + length };
}

/** Where the flows send a label: what the switch does, for tests and for `via`. */
export function lookup(flows: readonly CoreFlow[], label: Label): number | undefined {
  let best: CoreFlow | undefined;
  for (const flow of flows) {
    if ((label & flow.mask) === flow.value && (best === undefined || flow.priority > best.priority)) best = flow;
  }
  return best?.port;
}
