/**
 * Which addresses and pieces of the pod CIDRs a node gets. The EvioNodes are the book: what stands in one is taken, nothing else is.
 * Pure and from the whole picture, so that it does not matter in which order nodes are looked at, or by which operator.
 */
import { formatPrefix, type Prefix, parsePrefix } from '../../../agent/src/wire/address.ts';
import { hostAddress, hostCount, pieceCount, pieceOf, rangeOf } from '../../../agent/src/wire/pool.ts';

export interface PodPool {
  readonly prefix: Prefix;
  /** Of the piece a node gets. */
  readonly length: number;
}

export interface Pools {
  /** At most one per family. */
  readonly nodes: readonly Prefix[];
  /** Empty: pods have another network. */
  readonly pods: readonly PodPool[];
}

export interface Allotment {
  /** With the length of the subnet: `10.45.0.3/16`. */
  readonly addresses: readonly string[];
  readonly podCIDRs: readonly string[];
}

/** An entry of the book. */
export interface Claim extends Allotment {
  readonly name: string;
  /** RFC 3339, as the API server wrote it. */
  readonly created: string;
}

export type Shortage = 'addresses' | 'pods';

export interface Allotted {
  readonly granted: ReadonlyMap<string, Allotment>;
  readonly refused: ReadonlyMap<string, Shortage>;
}

type Range = readonly [first: bigint, last: bigint];

/** What is taken of one family, as ranges that do not touch, in order. */
class Taken {
  readonly #ranges: readonly Range[];
  #at = 0;

  constructor(prefixes: readonly Prefix[]) {
    this.#ranges = prefixes.map(rangeOf).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  /** The end of what is taken in there, or undefined. Asked in ascending order. */
  within([first, last]: Range): bigint | undefined {
    while (this.#at < this.#ranges.length && (this.#ranges[this.#at]?.[1] ?? 0n) < first) this.#at++;
    const next = this.#ranges[this.#at];
    return next !== undefined && next[0] <= last ? next[1] : undefined;
  }
}

/** Numbers that are free in every one of some sequences of ranges, ascending. */
class FreeNumbers {
  readonly #sequences: readonly { readonly range: (n: bigint) => Range; readonly taken: Taken }[];
  readonly #end: bigint;
  #next: bigint;

  constructor(
    first: bigint,
    end: bigint,
    sequences: readonly { readonly range: (n: bigint) => Range; readonly taken: Taken }[],
  ) {
    this.#next = first;
    this.#end = end;
    this.#sequences = sequences;
  }

  take(): bigint | undefined {
    for (; this.#next < this.#end; this.#next++) {
      const n = this.#next;
      if (this.#sequences.some(({ range, taken }) => taken.within(range(n)) !== undefined)) continue;
      this.#next++;
      return n;
    }
    return undefined;
  }
}

function least(counts: readonly bigint[]): bigint {
  const [first = 0n] = [...counts].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return first;
}

const alone = (address: string): Prefix => {
  const prefix = parsePrefix(address);
  return { ...prefix, length: prefix.family === 4 ? 32 : 128 };
};

function freeHosts(subnets: readonly Prefix[], book: readonly Claim[]): FreeNumbers {
  const taken = book.flatMap((claim) => claim.addresses.map(alone));
  const end = least(subnets.map(hostCount)) + 1n;
  return new FreeNumbers(
    1n,
    end,
    subnets.map((subnet) => ({
      range: (n) => rangeOf(alone(`${hostAddress(subnet, n)}/0`)),
      taken: new Taken(taken.filter((p) => p.family === subnet.family)),
    })),
  );
}

function freePieces(pods: readonly PodPool[], book: readonly Claim[]): FreeNumbers {
  const taken = book.flatMap((claim) => claim.podCIDRs.map(parsePrefix));
  const end = least(pods.map(({ prefix, length }) => pieceCount(prefix, length)));
  return new FreeNumbers(
    0n,
    end,
    pods.map(({ prefix, length }) => ({
      range: (n) => rangeOf(pieceOf(prefix, length, n)),
      taken: new Taken(taken.filter((p) => p.family === prefix.family)),
    })),
  );
}

/**
 * Gives each of `waiting`, in that order, the lowest host number that is free in every family, and the lowest piece number likewise.
 * A node that gets no addresses takes no piece, and the other way round.
 */
export function allot(pools: Pools, book: readonly Claim[], waiting: readonly string[]): Allotted {
  const granted = new Map<string, Allotment>();
  const refused = new Map<string, Shortage>();
  const hosts = pools.nodes.length === 0 ? undefined : freeHosts(pools.nodes, book);
  const pieces = pools.pods.length === 0 ? undefined : freePieces(pools.pods, book);
  // A number that was taken for a node that then got nothing else.
  let host: bigint | undefined;
  for (const name of waiting) {
    host ??= hosts?.take();
    if (hosts !== undefined && host === undefined) {
      refused.set(name, 'addresses');
      continue;
    }
    const piece = pieces?.take();
    if (pieces !== undefined && piece === undefined) {
      refused.set(name, 'pods');
      continue;
    }
    const [h, p] = [host, piece];
    granted.set(name, {
      addresses: h === undefined ? [] : pools.nodes.map((subnet) => `${hostAddress(subnet, h)}/${subnet.length}`),
      podCIDRs: p === undefined ? [] : pools.pods.map(({ prefix, length }) => formatPrefix(pieceOf(prefix, length, p))),
    });
    host = undefined;
  }
  return { granted, refused };
}

/** Oldest first; what was made in the same second by name. */
export function byAge<T extends { readonly name: string; readonly created: string }>(a: T, b: T): number {
  return a.created < b.created ? -1 : a.created > b.created ? 1 : a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/**
 * Entries that claim what an older one has: two operators, of which one did not know yet that it leads no more, can have made them.
 * The younger one has to be made anew.
 */
export function doubles(book: readonly Claim[]): readonly string[] {
  const found = new Set<string>();
  const claims = book.flatMap((claim) => [
    ...claim.addresses.map((a) => ({ claim, range: rangeOf(alone(a)), kind: `address${parsePrefix(a).family}` })),
    ...claim.podCIDRs.map((c) => ({ claim, range: rangeOf(parsePrefix(c)), kind: `pods${parsePrefix(c).family}` })),
  ]);
  for (const kind of new Set(claims.map((c) => c.kind))) {
    const sorted = claims
      .filter((c) => c.kind === kind)
      .sort((a, b) => (a.range[0] < b.range[0] ? -1 : a.range[0] > b.range[0] ? 1 : 0));
    let reach = sorted[0];
    for (const next of sorted.slice(1)) {
      if (reach === undefined) break;
      if (next.range[0] <= reach.range[1]) {
        const younger = byAge(reach.claim, next.claim) < 0 ? next : reach;
        found.add(younger.claim.name);
        if (younger === reach) reach = next;
      } else reach = next;
    }
  }
  return [...found].sort();
}

const COUNT_MAX = 2_147_483_647;

/** How many numbers are in at least one of these ranges. */
function covered(ranges: readonly Range[]): bigint {
  let count = 0n;
  let end = -1n;
  for (const [first, last] of [...ranges].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const from = first > end ? first : end + 1n;
    if (last < from) continue;
    count += last - from + 1n;
    end = last;
  }
  return count;
}

/** How many nodes still fit; at most what fits the status, 2^31 - 1. */
export function free(pools: Pools, book: readonly Claim[]): { readonly nodes: number; readonly pieces: number } {
  const inside = (prefix: Prefix, texts: readonly string[]): readonly Range[] => {
    const [first, last] = rangeOf(prefix);
    return texts
      .map(parsePrefix)
      .filter((p) => p.family === prefix.family)
      .map(rangeOf)
      .filter(([a, b]) => a <= last && b >= first);
  };
  const hosts = pools.nodes.map((subnet) => {
    const taken = inside(
      subnet,
      book.flatMap((c) => c.addresses.map((a) => formatPrefix(alone(a)))),
    );
    return hostCount(subnet) - BigInt(taken.length);
  });
  const pieces = pools.pods.map(({ prefix, length }) => {
    const taken = inside(
      prefix,
      book.flatMap((c) => c.podCIDRs),
    );
    const [start] = rangeOf(prefix);
    const [first, last] = rangeOf(pieceOf(prefix, length, 0n));
    const size = last - first + 1n;
    // A piece of another length may stand in one of ours, or over several.
    const numbers = taken.map(([from, to]): Range => [(from < start ? 0n : from - start) / size, (to - start) / size]);
    return pieceCount(prefix, length) - covered(numbers);
  });
  const number = (counts: readonly bigint[]): number => {
    const count = least(counts);
    return Math.max(0, Math.min(Number(count), COUNT_MAX));
  };
  return { nodes: number(hosts), pieces: number(pieces) };
}
