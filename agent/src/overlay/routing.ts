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
  const { ring, candidates, allowed } = survey(self, neighbours, members);
  return new Map(
    ring.map((target, i) => {
      if (target === self) return [target, undefined];
      const fit = candidates.filter((candidate) => allowed(candidate, target, i));
      return [target, cheapest(fit, target, i)?.neighbour.port];
    }),
  );
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
  const { ring, candidates, allowed } = survey(self, neighbours, members);
  return new Map(
    ring.flatMap((target, i) => {
      if (target === self) return [];
      const rank = (c: Candidate) => Number(!allowed(c, target, i));
      const order = candidates.toSorted((a, b) => rank(a) - rank(b) || compare(a, b, target, i));
      return [[target, order.map(({ neighbour }) => neighbour.label)] as const];
    }),
  );
}

/** What all routes from here are chosen from. */
function survey(self: Label, neighbours: readonly Neighbour[], members: Iterable<Label>) {
  const ring = knownRing(self, neighbours, members);
  const place = new Map(ring.map((label, i) => [label, i]));
  const candidates = neighbours
    .filter((n) => n.label !== self)
    .map((neighbour) => new Candidate(neighbour, self, place, ring.length));
  const walk = placesFrom([place.get(self) ?? 0], ring.length);
  const allowed = (candidate: Candidate, target: Label, at: number) =>
    candidate.exact(target) || (candidate.cost[at] ?? Infinity) <= (walk[at] ?? 0);
  return { ring, candidates, allowed };
}

/** Every label that is a member, a neighbour, or adjacent to one, in order. */
function knownRing(self: Label, neighbours: readonly Neighbour[], members: Iterable<Label>): readonly Label[] {
  const known = new Set<Label>([self, ...members]);
  for (const n of neighbours) {
    known.add(n.label);
    for (const a of n.adjacent) known.add(a);
  }
  return [...known].sort(compareLabels);
}

class Candidate {
  readonly neighbour: Neighbour;
  /** Hops to each place of the ring by way of this neighbour. */
  readonly cost: readonly number[];
  readonly #beyond: ReadonlySet<Label>;

  constructor(neighbour: Neighbour, self: Label, place: ReadonlyMap<Label, number>, size: number) {
    this.neighbour = neighbour;
    // What lay behind a tunnel that is down is not known any more.
    this.#beyond = new Set(this.up ? neighbour.adjacent.filter((a) => a !== self) : []);
    const near = placesFrom([place.get(neighbour.label) ?? 0], size);
    const far = placesFrom(
      [...this.#beyond].map((a) => place.get(a) ?? 0),
      size,
    );
    this.cost = near.map((hops, i) => 1 + Math.min(hops, 1 + (far[i] ?? Infinity)));
  }

  get up(): boolean {
    return this.neighbour.up ?? true;
  }

  /** Whether the next hop is, or has a tunnel to, the target: no guess about the ring is in that. */
  exact(target: Label): boolean {
    return this.up && (this.neighbour.label === target || this.#beyond.has(target));
  }
}

/** A tunnel that is down is named only where nothing else leads on: tincan then detours by itself (docs/wire.md §10.2). */
function cheapest(candidates: readonly Candidate[], target: Label, place: number): Candidate | undefined {
  let best: Candidate | undefined;
  for (const candidate of candidates) {
    if (best === undefined || compare(candidate, best, target, place) < 0) best = candidate;
  }
  return best;
}

function compare(a: Candidate, b: Candidate, target: Label, place: number): number {
  return (
    Number(b.up) - Number(a.up) ||
    (a.cost[place] ?? 0) - (b.cost[place] ?? 0) ||
    Number(b.exact(target)) - Number(a.exact(target)) ||
    compareLabels(shorterWay(a.neighbour.label, target), shorterWay(b.neighbour.label, target)) ||
    compareLabels(a.neighbour.label, b.neighbour.label)
  );
}

/** For each place of a ring of `size`, how many places it is from the nearest of `sources`, either way round. */
function placesFrom(sources: readonly number[], size: number): readonly number[] {
  const places = new Array<number>(size).fill(Infinity);
  for (const source of sources) places[source] = 0;
  // Twice round each way, because the first round starts before it knows what lies behind it.
  for (let i = 0; i < 2 * size; i++) relax(places, (i + 1) % size, i % size);
  for (let i = 2 * size; i > 0; i--) relax(places, (i - 1) % size, i % size);
  return places;
}

function relax(places: number[], at: number, from: number): void {
  places[at] = Math.min(places[at] ?? Infinity, (places[from] ?? Infinity) + 1);
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
  const hops = [...routes(self, neighbours, members)].map(([label, port]) => ({ label, port }));
  const flows: CoreFlow[] = [];
  emit(build(0n, 0, hops), undefined, flows);
  return flows;
}

interface Hop {
  readonly label: Label;
  readonly port: number | undefined;
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

/** @param hops the members that own some label of the block, in ring order */
function build(prefix: Label, length: number, hops: readonly Hop[]): Block {
  const ports = new Set(hops.map((hop) => hop.port));
  if (ports.size <= 1) return { prefix, length, ports: [...ports], halves: undefined };
  const half = prefix | (1n << (RING_BITS - 1n - BigInt(length)));
  const split = hops.findIndex((hop) => hop.label >= half);
  // With all members on one side the other half belongs to the one nearest to it.
  const lower = split === -1 ? hops : hops.slice(0, Math.max(split, 1));
  const upper = split === -1 ? hops.slice(-1) : hops.slice(split);
  const halves = [build(prefix, length + 1, lower), build(half, length + 1, upper)] as const;
  return { prefix, length, ports: common(halves[0].ports, halves[1].ports), halves };
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
