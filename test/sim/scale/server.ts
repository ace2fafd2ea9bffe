/**
 * The overlay's room on an XMPP server that takes and gives so many stanzas a second, in the order in which they came: presence to
 * all, messages to one (XEP-0045).
 */

import type { Clock } from '../clock.ts';
import type { Crowd, CrowdNode } from './crowd.ts';

/** From a client to the server, and back. */
const DELAY_MS = 10;
/** What it takes to log in: the stream twice, SASL in four steps, the binding (RFC 6120), as stanzas each way. */
const LOGIN_STANZAS = 6;

export class SlowServer {
  readonly #crowd: Crowd;
  readonly #in: Line;
  readonly #out: Line;
  readonly #inside: CrowdNode[] = [];

  constructor(crowd: Crowd, perSecond: number) {
    this.#crowd = crowd;
    this.#in = new Line(crowd.clock, perSecond);
    this.#out = new Line(crowd.clock, perSecond);
    crowd.post = (_from, _to, arrive) => this.#in.pass(() => this.#out.pass(arrive));
  }

  get stanzas(): { readonly in: number; readonly out: number } {
    return { in: this.#in.passed, out: this.#out.passed };
  }

  /** Everybody logs in within `spreadMs` and enters the room; each knows whom it has heard of. */
  start(spreadMs: number): void {
    for (const node of this.#crowd.nodes)
      this.#crowd.clock.after(spreadMs * this.#crowd.random(), () => this.#login(node));
  }

  #login(node: CrowdNode): void {
    for (let i = 1; i < LOGIN_STANZAS; i++) {
      this.#in.pass(() => {});
      this.#out.pass(() => {});
    }
    this.#in.pass(() => this.#out.pass(() => this.#in.pass(() => this.#enter(node))));
  }

  /** Who is there is told to the newcomer first, then itself (XEP-0045 §7.2.2). */
  #enter(node: CrowdNode): void {
    for (const other of this.#inside) {
      this.#out.pass(() => node.meets(other));
      this.#out.pass(() => other.meets(node));
    }
    this.#inside.push(node);
    this.#out.pass(() => node.entered());
  }
}

/** What passes one after the other, at a rate. */
class Line {
  passed = 0;
  readonly #clock: Clock;
  readonly #eachMs: number;
  #free = 0;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#eachMs = 1_000 / perSecond;
  }

  pass(then: () => void): void {
    this.passed++;
    this.#free = Math.max(this.#clock.now, this.#free) + this.#eachMs;
    this.#clock.after(this.#free - this.#clock.now + DELAY_MS, then);
  }
}
