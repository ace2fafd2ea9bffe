/** The network beneath a crowd: who is behind what NAT, what gets lost, and which of two halves a node is in. */

import type { Random } from '../../../agent/src/machine.ts';
import type { TunnelPath } from '../../../agent/src/tunnel/types.ts';

/** How a NAT maps and filters (RFC 4787): none, port-restricted, or with another port for each peer. */
export type Nat = 'none' | 'cone' | 'symmetric';

export interface UnderlayOptions {
  readonly random: Random;
  /** Shares of nodes; the rest has no NAT. */
  readonly cone?: number;
  readonly symmetric?: number;
  /** Of messages over a tunnel. */
  readonly loss?: number;
}

export class Underlay {
  readonly #options: UnderlayOptions;
  readonly #nats = new Map<number, Nat>();
  /** The places before this one are apart from the others. */
  #split = 0;

  constructor(options: UnderlayOptions) {
    this.#options = options;
  }

  natOf(place: number): Nat {
    const known = this.#nats.get(place);
    if (known !== undefined) return known;
    const { random, cone = 0, symmetric = 0 } = this.#options;
    const drawn = random();
    const nat = drawn < cone ? 'cone' : drawn < cone + symmetric ? 'symmetric' : 'none';
    this.#nats.set(place, nat);
    return nat;
  }

  /** Two of which neither can be told where the other will be heard from are relayed (RFC 5128 §3.4). */
  pathBetween(a: number, b: number): Exclude<TunnelPath, 'none'> {
    const nats = [this.natOf(a), this.natOf(b)];
    return nats.includes('symmetric') && !nats.includes('none') ? 'webrtc' : 'direct';
  }

  loses(): boolean {
    const { loss = 0, random } = this.#options;
    return loss > 0 && random() < loss;
  }

  /** Nothing passes between the two; the XMPP server is with the places from `at` on. */
  split(at: number): void {
    this.#split = at;
  }

  heal(): void {
    this.#split = 0;
  }

  apart(a: number, b: number): boolean {
    return a < this.#split !== b < this.#split;
  }

  hasServer(place: number): boolean {
    return place >= this.#split;
  }
}
