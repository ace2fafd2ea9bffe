/**
 * The overlay's room on an XMPP server that takes and gives so many stanzas a second, in the order in which they came: presence to
 * all, messages to one (XEP-0045).
 */

import type { Clock } from '../clock.ts';
import type { Crowd, CrowdNode, Server } from './crowd.ts';

/** From a client to the server, and back. */
const DELAY_MS = 10;
/** What it takes to log in: the stream twice, SASL in four steps, the binding (RFC 6120), as stanzas each way. */
const LOGIN_STANZAS = 6;

interface Shown {
  readonly node: CrowdNode;
  members: number | undefined;
}

export class SlowServer implements Server {
  readonly #crowd: Crowd;
  readonly #in: Line;
  readonly #out: Line;
  /** By nickname. */
  readonly #inside = new Map<string, Shown>();
  /** Most that were in the room at once. */
  most = 0;
  taken = 0;

  constructor(crowd: Crowd, perSecond: number) {
    this.#crowd = crowd;
    this.#in = new Line(crowd.clock, perSecond);
    this.#out = new Line(crowd.clock, perSecond);
    crowd.server = this;
  }

  get stanzas() {
    return { in: this.#in.passed, out: this.#out.passed };
  }

  get occupants(): number {
    return this.#inside.size;
  }

  /** Everybody logs in within `spreadMs` and wants to enter the room; each knows whom it has heard of. */
  start(spreadMs: number): void {
    for (const node of this.#crowd.nodes)
      this.#crowd.clock.after(spreadMs * this.#crowd.random(), () => this.login(node));
  }

  login(node: CrowdNode): void {
    this.#login(node, LOGIN_STANZAS);
  }

  #login(node: CrowdNode, stanzas: number): void {
    this.#in.pass('login', () =>
      this.#out.pass('login', () => (stanzas > 1 ? this.#login(node, stanzas - 1) : node.room({ kind: 'connected' }))),
    );
  }

  /** Its connection is gone. */
  lost(node: CrowdNode): void {
    node.room({ kind: 'disconnected' });
    this.#goes(node);
  }

  pass(arrive: () => void): void {
    this.#in.pass('message', () => this.#out.pass('message', arrive));
  }

  enter(node: CrowdNode, nick: string, members: number | undefined): void {
    this.#in.pass('presence', () => this.#entered(node, nick, members));
  }

  /** Who is there is told to the newcomer first, then itself (XEP-0045 §7.2.2). */
  #entered(node: CrowdNode, nick: string, members: number | undefined): void {
    const there = this.#inside.get(nick);
    if (there !== undefined && there.node !== node) {
      this.taken++;
      this.#out.pass('refusal', () => node.room({ kind: 'taken' }));
      return;
    }
    const before = this.#nickOf(node);
    if (before === undefined) {
      for (const [name, other] of this.#inside) this.#tell(node, name, other);
    } else if (before !== nick) {
      // Its leaving under the old name (§7.6) comes to all.
      this.#inside.delete(before);
      for (const { node: other } of this.#inside.values())
        this.#out.pass('presence', () => other.room({ kind: 'left', nick: before }));
      this.#out.pass('presence', () => {});
    }
    const shown = { node, members };
    for (const { node: other } of this.#inside.values()) if (other !== node) this.#tell(other, nick, shown);
    this.#inside.set(nick, shown);
    this.most = Math.max(this.most, this.#inside.size);
    this.#out.pass('presence', () => {
      if (before !== nick) node.room({ kind: 'joined', nick });
    });
  }

  leave(node: CrowdNode): void {
    this.#in.pass('presence', () => {
      if (this.#goes(node)) this.#out.pass('presence', () => {});
    });
  }

  #goes(node: CrowdNode): boolean {
    const nick = this.#nickOf(node);
    if (nick === undefined) return false;
    this.#inside.delete(nick);
    for (const { node: other } of this.#inside.values())
      this.#out.pass('presence', () => other.room({ kind: 'left', nick }));
    return true;
  }

  #nickOf(node: CrowdNode): string | undefined {
    for (const [nick, shown] of this.#inside) if (shown.node === node) return nick;
    return undefined;
  }

  #tell(to: CrowdNode, nick: string, { node, members }: Shown): void {
    this.#out.pass('presence', () => to.room({ kind: 'occupant', nick, nodeId: node.self, members }));
  }
}

/** What a stanza is for. */
type Kind = 'login' | 'presence' | 'refusal' | 'message';

/** What passes one after the other, at a rate. */
class Line {
  readonly passed: Record<Kind, number> = { login: 0, presence: 0, refusal: 0, message: 0 };
  readonly #clock: Clock;
  readonly #eachMs: number;
  #free = 0;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#eachMs = 1_000 / perSecond;
  }

  pass(kind: Kind, then: () => void): void {
    this.passed[kind]++;
    this.#free = Math.max(this.#clock.now, this.#free) + this.#eachMs;
    this.#clock.after(this.#free - this.#clock.now + DELAY_MS, then);
  }
}
