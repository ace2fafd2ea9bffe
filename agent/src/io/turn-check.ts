/** Asks the TURN servers that the XMPP server names whether they take its credentials, and says what a person has to put right. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { type TurnAnswer, TurnQuestion } from '../signal/turn.ts';
import { Told } from '../told.ts';
import type { IceServers, TurnServer } from './rtc.ts';

/** A request is repeated after these pauses (RFC 8489 §6.2.1); no answer after the last is none. */
const PAUSES_MS = [500, 1_000, 2_000];
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

  /** `service`: of the XMPP server, for the messages. */
  constructor(service: string, handlers: TurnCheckHandlers) {
    this.#service = service;
    this.#handlers = handlers;
  }

  /** What the XMPP server names now. */
  async check({ stun, turn }: IceServers): Promise<void> {
    clearTimeout(this.#timer);
    const round = ++this.#round;
    const problems = (await Promise.all(turn.map((server) => this.#ask(server)))).flat();
    if (round !== this.#round) return;
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

  stop(): void {
    this.#round++;
    clearTimeout(this.#timer);
  }

  async #ask(server: TurnServer): Promise<readonly string[]> {
    const name = `TURN server ${isIPv6(server.host) ? `[${server.host}]` : server.host}:${server.port}`;
    const answer = await ask(server);
    if (answer === undefined)
      return [`${name} does not answer: is it running, and UDP port ${server.port} open? Until then ${FALLBACK}`];
    if (answer.kind === 'taken') return [];
    const why =
      answer.code === 401 || answer.code === 441 ? 'do both have the same secret (evio server init)?' : FALLBACK;
    return [`${name} refuses the credentials that ${this.#service} gives out (${answer.code}): ${why}`];
  }
}

/** Undefined: no answer. */
function ask(server: TurnServer): Promise<TurnAnswer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4');
    const question = new TurnQuestion(server, randomBytes);
    let timer: NodeJS.Timeout | undefined;
    const end = (answer: TurnAnswer | undefined) => {
      clearTimeout(timer);
      timer = undefined;
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      resolve(answer);
    };
    const send = (datagram: Buffer, pauses = PAUSES_MS) => {
      clearTimeout(timer);
      // "Connection refused" comes when the server has just been restarted too: only silence to the end counts.
      socket.send(datagram, server.port, server.host, () => undefined);
      const [pause, ...rest] = pauses;
      timer = setTimeout(() => {
        if (rest.length > 0) send(datagram, rest);
        else {
          end(undefined);
          socket.close();
        }
      }, pause);
    };
    socket.on('error', () => undefined);
    socket.on('message', (datagram) => {
      const step = question.receive(datagram);
      if (step.answer === undefined) {
        if (step.send !== undefined) send(step.send);
        return;
      }
      end(step.answer);
      if (step.send === undefined) socket.close();
      else socket.send(step.send, server.port, server.host, () => socket.close());
    });
    send(question.start());
  });
}
