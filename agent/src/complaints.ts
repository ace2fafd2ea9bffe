/** What tincan finds wrong with ways, neighbours and routes: kept as long as it is news, and put into words once. */
import type { NetworkProblem } from './api.ts';
import type { Instant } from './machine.ts';
import type { TincanEvent } from './tincan.ts';
import { Told } from './told.ts';
import type { NodeId } from './wire/ids.ts';

/** It is said every ten seconds. */
const ONE_WAY_MS = 30_000;
/** A way that is too narrow is found so anew every minute. */
const NARROW_MS = 150_000;
/** Ways that are kept; who has more of them has other worries. */
const WAYS_MAX = 64;
/** Headers before a record. */
const UDP_AND_IPV4_BYTES = 28;

export type Complaint = Extract<TincanEvent, { kind: 'forwards' | 'narrow' | 'one-way' | 'problems' }>;

export interface Words {
  readonly level: 'info' | 'warn';
  readonly message: string;
}

interface Way {
  readonly peer: NodeId;
  readonly remote: string;
  readonly at: Instant;
}

export class Complaints {
  readonly #nameOf: (peer: NodeId) => string;
  readonly #told = new Told();
  readonly #oneWay = new Map<string, Way>();
  readonly #narrow = new Map<string, Way & { readonly bytes: number }>();
  readonly #holes = new Set<NodeId>();
  readonly #problemsTold = new Told();
  #problems: readonly NetworkProblem[] = [];

  constructor(nameOf: (peer: NodeId) => string) {
    this.#nameOf = nameOf;
  }

  /** What keeps packets of prefixes behind nodes from arriving. */
  get problems(): readonly NetworkProblem[] {
    return this.#problems;
  }

  /** Neighbours that answer and pass nothing on. */
  get holes(): readonly NodeId[] {
    return [...this.#holes];
  }

  /** Ways that lose large packets, as far as was found lately. */
  narrow(now: Instant): readonly { readonly name: string; readonly remote: string; readonly bytes: number }[] {
    return [...this.#narrow.values()]
      .filter(({ at }) => now - at < NARROW_MS)
      .map(({ peer, remote, bytes }) => ({ name: this.#nameOf(peer), remote, bytes }));
  }

  /** Peers that are heard from an address where they do not hear us, as far as was found lately. */
  oneWay(now: Instant): readonly { readonly name: string; readonly remote: string }[] {
    return [...this.#oneWay.values()]
      .filter(({ at }) => now - at < ONE_WAY_MS)
      .map(({ peer, remote }) => ({ name: this.#nameOf(peer), remote }));
  }

  /** tincan is away; the next one tells its own. */
  tincanAway(): void {
    this.#problems = [];
  }

  /** It is no member any more. */
  forget(peer: NodeId): void {
    this.#holes.delete(peer);
  }

  /** What is to be logged of it. */
  hear(event: Complaint, now: Instant): readonly Words[] {
    switch (event.kind) {
      case 'forwards':
        return this.#forwards(event.peer, event.forwards);
      case 'narrow':
        return this.#tooNarrow(event.peer, event.remote, event.recordSize, now);
      case 'one-way':
        return this.#goesOneWay(event.peer, event.remote, now);
      case 'problems':
        return this.#problemsAre(event.problems);
    }
  }

  #forwards(peer: NodeId, forwards: boolean): readonly Words[] {
    if (forwards) this.#holes.delete(peer);
    else this.#holes.add(peer);
    const name = this.#nameOf(peer);
    return warn(
      forwards
        ? `${name} passes on again what is sent through it`
        : `${name} answers and passes nothing on: traffic for others goes round it; restart its tincan`,
    );
  }

  #problemsAre(problems: readonly NetworkProblem[]): readonly Words[] {
    this.#problems = problems;
    if (problems.length === 0 && this.#problemsTold.well())
      return [{ level: 'info', message: 'prefixes behind nodes: all is well again' }];
    return problems.flatMap(({ text }) => (this.#problemsTold.problem(text) ? warn(text) : []));
  }

  /** It is found anew every minute, and said once. */
  #tooNarrow(peer: NodeId, remote: string, recordSize: number, at: Instant): readonly Words[] {
    if (this.#narrow.size >= WAYS_MAX) this.#narrow.clear();
    const bytes = recordSize + UDP_AND_IPV4_BYTES;
    this.#narrow.set(`${peer} ${remote}`, { peer, remote, bytes, at });
    const way = `the way to ${this.#nameOf(peer)} (${remote})`;
    if (!this.#told.problem(way)) return [];
    const needs = `carries no packets of ${bytes} bytes and is not used`;
    return warn(`${way} ${needs}: raise the MTU of the network between, to 1280 at least`);
  }

  #goesOneWay(peer: NodeId, remote: string, at: Instant): readonly Words[] {
    if (this.#oneWay.size >= WAYS_MAX) this.#oneWay.clear();
    this.#oneWay.set(`${peer} ${remote}`, { peer, remote, at });
    const way = `UDP from here to ${this.#nameOf(peer)} (${remote}) is lost`;
    if (!this.#told.problem(way)) return [];
    return warn(`${way}, while its own arrives: a firewall between drops one direction`);
  }
}

const warn = (message: string): readonly Words[] => [{ level: 'warn', message }];
