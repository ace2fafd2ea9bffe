/** How long one tunnel waits before it is offered again, by what became of the offers before. */
import type { Random } from '../machine.ts';

const RETRY_MS = 500;
/** The peer answers and no connection comes of it: it may the next time. */
const MAX_FAILED_RETRY_MS = 5_000;
/**
 * A peer that does not answer is probably dead, whatever the room says of it, and each offer costs servers and batteries something:
 * offers become rarer up to this, until there is a sign that the next one may be heard. A quarter more or less by chance.
 */
export const MAX_SILENT_RETRY_MS = 48_000;
/**
 * After every so many failures the other end offers. Only the answerer has a relay: one gets through wherever the other end may send
 * UDP to the relay's ports, and an end that may not can still have the relay itself. An offerer, who is the DTLS server, never has
 * one, because libdatachannel 0.24 can lock up the whole agent for good when that end sends by a relay: ICE's thread then holds the
 * lock that a relayed send takes and waits for the handshake, which waits for that send.
 */
export const SWAP_AFTER_FAILURES = 2;
/** Doublings beyond this change nothing. */
const MAX_COUNT = 10;

export class Retry {
  readonly #random: Random;
  /** Connections in a row that did not come to be although the peer answered. */
  #failures = 0;
  /** Offers in a row that nobody answered. */
  #silences = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Whether it is for the end that usually waits to offer first. */
  get swapped(): boolean {
    return Math.floor(this.#failures / SWAP_AFTER_FAILURES) % 2 === 1;
  }

  /** Whether the last offer was not answered. */
  get silent(): boolean {
    return this.#silences > 0;
  }

  /** The connection failed; milliseconds to wait. */
  failed(): number {
    const delay = this.#delay(this.#failures, MAX_FAILED_RETRY_MS);
    this.#failures++;
    return delay;
  }

  /** The peer did not answer; milliseconds to wait. */
  unanswered(): number {
    const delay = this.#delay(this.#silences, MAX_SILENT_RETRY_MS);
    this.#silences++;
    return delay;
  }

  /** There is an answer, or a reason to think that the next offer gets one. */
  heard(): void {
    this.#silences = 0;
  }

  /** Nothing that happened so far says anything about the next offer. */
  reset(): void {
    this.#failures = 0;
    this.#silences = 0;
  }

  #delay(count: number, max: number): number {
    return this.jitter(Math.min(RETRY_MS * 2 ** Math.min(count, MAX_COUNT), max));
  }

  /** A quarter more or less, so that many tunnels do not act together. */
  jitter(ms: number): number {
    return ms * (0.75 + this.#random() / 2);
  }
}
