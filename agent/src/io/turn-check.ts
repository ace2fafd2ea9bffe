/** Asks the TURN servers that the XMPP server names whether they take its credentials, and says what a person has to put right. */
import { isIPv6 } from 'node:net';
import type { ServerFact } from '../diagnosis/relays.ts';
import { Told } from '../told.ts';
import type { IceServers, TurnServer } from './rtc.ts';
import { askTurn, type Outcome } from './udp-ask.ts';

export interface Pauses {
  /** As long as something is wrong. */
  readonly againMs: number;
  /** Servers that get another secret are not exchanged in one moment: a refusal is told once new credentials were refused too. */
  readonly confirmMs: number;
}
const PAUSES: Pauses = { againMs: 30_000, confirmMs: 5_000 };
/** New credentials are there by then, or will not come. */
const RENEWED_MS = 5_000;
const FALLBACK = 'nodes between which there is no direct path reach each other only by other nodes';

export interface TurnCheckHandlers {
  warn(message: string): void;
  info(message: string): void;
  /** Has the XMPP server give new credentials, for `check`; false: it cannot be asked now. */
  renew(): boolean;
}

export class TurnCheck {
  readonly #service: string;
  readonly #handlers: TurnCheckHandlers;
  readonly #ask: typeof askTurn;
  readonly #pauses: Pauses;
  readonly #told = new Told();
  #timer: NodeJS.Timeout | undefined;
  #round = 0;
  #servers: IceServers | undefined;
  #checkedAt = 0;
  #facts: readonly ServerFact[] | undefined;
  /** Until then a refusal is the second one. */
  #confirmsUntil = 0;

  /** `service`: of the XMPP server, for the messages. */
  constructor(service: string, handlers: TurnCheckHandlers, ask = askTurn, pauses = PAUSES) {
    this.#service = service;
    this.#handlers = handlers;
    this.#ask = ask;
    this.#pauses = pauses;
  }

  /** How the servers were found the last time; undefined before that. */
  get facts(): readonly ServerFact[] | undefined {
    return this.#facts;
  }

  /** What the XMPP server names now. */
  async check({ stun, turn }: IceServers): Promise<void> {
    clearTimeout(this.#timer);
    const round = ++this.#round;
    this.#servers = { stun, turn };
    this.#checkedAt = performance.now();
    const outcomes = await Promise.all(turn.map((server) => this.#ask(server)));
    if (round !== this.#round) return;
    const refused = outcomes.some(({ kind }) => kind === 'refused');
    const known = this.#facts?.some(({ outcome }) => outcome.kind === 'refused') === true;
    if (refused && !known && performance.now() >= this.#confirmsUntil) {
      this.#confirmsUntil = performance.now() + this.#pauses.confirmMs + RENEWED_MS;
      this.#later(this.#pauses.confirmMs);
      return;
    }
    this.#facts = turn.map(({ host, port }, i) => ({ kind: 'turn', host, port, outcome: outcomes[i] as Outcome }));
    const problems = turn.flatMap((server, i) => this.#problem(server, outcomes[i] as Outcome) ?? []);
    if (turn.length === 0) problems.push(`${this.#service} names no TURN server: ${FALLBACK}`);
    if (stun.length === 0 && turn.length === 0)
      problems.push(
        `no STUN server is known (of ${this.#service}, or in ice.stun): direct paths through NATs are not found`,
      );
    for (const problem of problems) if (this.#told.problem(problem)) this.#handlers.warn(problem);
    if (problems.length === 0) {
      if (this.#told.well()) this.#handlers.info('the TURN servers take our credentials');
    } else if (turn.length > 0) this.#later(this.#pauses.againMs, refused);
  }

  /** By credentials that are new, where those are refused: the others may be of a secret that is no more. */
  #later(afterMs: number, anew = true): void {
    const servers = this.#servers;
    this.#timer = setTimeout(() => {
      if (servers !== undefined && !(anew && this.#handlers.renew())) void this.check(servers);
    }, afterMs);
  }

  /** Once more, when other things say that something has changed; not while it is asked already, nor soon after. */
  again(now: number): void {
    if (this.#servers === undefined || now - this.#checkedAt < this.#pauses.againMs) return;
    void this.check(this.#servers);
  }

  stop(): void {
    this.#servers = undefined;
    this.#round++;
    clearTimeout(this.#timer);
  }

  #problem(server: TurnServer, outcome: Outcome): string | undefined {
    const name = `TURN server ${isIPv6(server.host) ? `[${server.host}]` : server.host}:${server.port}`;
    switch (outcome.kind) {
      case 'well':
        return undefined;
      case 'full':
        return `${name} gives no relay (${outcome.code}): its quotas or ports are used up; until there is room ${FALLBACK}`;
      case 'refused': {
        const why =
          outcome.code === 401 || outcome.code === 441 ? 'do both have the same secret (evio server init)?' : FALLBACK;
        return `${name} refuses the credentials that ${this.#service} gives out (${outcome.code}): ${why}`;
      }
      default:
        return `${name} does not answer: is it running, and UDP port ${server.port} open? Until then ${FALLBACK}`;
    }
  }
}
