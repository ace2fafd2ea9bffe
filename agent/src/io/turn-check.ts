/** Asks the TURN servers that the XMPP server names whether they take its credentials, and says what a person has to put right. */
import { isIPv6 } from 'node:net';
import type { ServerFact } from '../diagnosis/relays.ts';
import { Told } from '../told.ts';
import type { IceServers, TurnServer } from './rtc.ts';
import { askTurn, type Outcome } from './udp-ask.ts';

/** As long as something is wrong. */
const AGAIN_MS = 30_000;
const FALLBACK = 'nodes between which there is no direct path reach each other only by other nodes';

export interface TurnCheckHandlers {
  warn(message: string): void;
  info(message: string): void;
}

export class TurnCheck {
  readonly #service: string;
  readonly #handlers: TurnCheckHandlers;
  readonly #told = new Told();
  #timer: NodeJS.Timeout | undefined;
  #round = 0;
  #servers: IceServers | undefined;
  #checkedAt = 0;
  #facts: readonly ServerFact[] | undefined;

  /** `service`: of the XMPP server, for the messages. */
  constructor(service: string, handlers: TurnCheckHandlers) {
    this.#service = service;
    this.#handlers = handlers;
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
    const outcomes = await Promise.all(turn.map(askTurn));
    if (round !== this.#round) return;
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
    } else if (turn.length > 0) this.#timer = setTimeout(() => void this.check({ stun, turn }), AGAIN_MS);
  }

  /** Once more, when other things say that something has changed; not while it is asked already, nor soon after. */
  again(now: number): void {
    if (this.#servers === undefined || now - this.#checkedAt < AGAIN_MS) return;
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
