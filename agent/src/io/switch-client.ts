/**
 * A connection of its own to a switch, for one question: what its tables hold, with counters, or a frame to send through them. The
 * controller's connection and role are not touched (OpenFlow 1.3.5 §6.3.4: equal is what every connection begins as).
 */
import { ALL_FLOWS, type FlowSelection, type FlowStats, type Message, PORT, VERSION } from '../sdn/openflow/index.ts';
import { COOKIE } from '../sdn/parts.ts';
import { OpenFlowSocket } from './openflow.ts';

const TIMEOUT_MS = 2_000;
const WHOLE_COOKIE = 0xffffffffffffffffn;

/** The switch is not there, or does not answer; the message is one line. */
export class SwitchError extends Error {}

export class SwitchClient {
  readonly #what: string;
  readonly #socket: OpenFlowSocket;
  readonly #up = Promise.withResolvers<void>();
  #waiting: { readonly xid: number; readonly flows: FlowStats[]; done(flows: readonly FlowStats[]): void } | undefined;
  #fail: ((reason: string) => void) | undefined;
  #undecodable: (() => void) | undefined;
  #xid = 0;
  #refused: string | undefined;

  /** @param what as people call it, for errors */
  private constructor(what: string, path: string) {
    this.#what = what;
    this.#socket = new OpenFlowSocket(path, {
      connected: () => this.#socket.send([{ type: 'hello', xid: this.#next(), versions: [VERSION] }]),
      message: (message) => this.#message(message),
      undecodable: () => this.#undecodable?.(),
      disconnected: () => this.#fail?.('it closed the connection'),
    });
  }

  /** Throws SwitchError. */
  static async open(what: string, path: string): Promise<SwitchClient> {
    const client = new SwitchClient(what, path);
    client.#socket.start();
    try {
      await client.#within(client.#up.promise, `nothing answers at ${path}`);
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /**
   * Every flow, with its counters; only Evio's where somebody else's have words that we do not know, as Open vSwitch has many. Throws
   * SwitchError.
   */
  async flows(): Promise<readonly FlowStats[]> {
    const all = this.#flows(ALL_FLOWS);
    const unknown = new Promise<undefined>((done) => {
      this.#undecodable = () => done(undefined);
    });
    // If it is never answered, that is no news any more.
    all.catch(() => undefined);
    return (
      (await Promise.race([all, unknown])) ?? this.#flows({ ...ALL_FLOWS, cookie: COOKIE, cookieMask: WHOLE_COOKIE })
    );
  }

  async #flows(selection: FlowSelection): Promise<readonly FlowStats[]> {
    const xid = this.#next();
    const answer = new Promise<readonly FlowStats[]>((done) => {
      this.#waiting = { xid, flows: [], done };
    });
    this.#socket.send([{ type: 'multipart-request', xid, more: false, body: { of: 'flows', selection } }]);
    return this.#within(answer, 'it does not tell its flows');
  }

  /** Sends a frame through all tables, as if it had come by that port. That it does not take it is in `refused`, a moment later. */
  send(frame: Buffer, inPort: number): void {
    const actions = [{ type: 'output', port: PORT.table }] as const;
    this.#socket.send([{ type: 'packet-out', xid: this.#next(), inPort, actions, frame }]);
  }

  /** What the switch refused, in one line. */
  get refused(): string | undefined {
    return this.#refused;
  }

  close(): void {
    this.#socket.stop();
  }

  #message(message: Message): void {
    switch (message.type) {
      case 'hello':
        this.#up.resolve();
        return;
      case 'echo-request':
        this.#socket.send([{ type: 'echo-reply', xid: message.xid, data: message.data }]);
        return;
      case 'error':
        this.#refused = `${this.#what} refuses it: error type ${message.errorType} code ${message.code}`;
        if (message.xid === this.#waiting?.xid) this.#fail?.('it refuses to tell its flows');
        return;
      case 'multipart-reply': {
        const waiting = this.#waiting;
        if (waiting === undefined || message.xid !== waiting.xid || message.body.of !== 'flows') return;
        for (const flow of message.body.flows) waiting.flows.push(flow);
        if (!message.more) waiting.done(waiting.flows);
        return;
      }
      default:
        return;
    }
  }

  #within<T>(answer: Promise<T>, otherwise: string): Promise<T> {
    return new Promise((done, reject) => {
      const fail = (reason: string) => reject(new SwitchError(`${this.#what}: ${reason}`));
      const timer = setTimeout(() => fail(otherwise), TIMEOUT_MS);
      this.#fail = fail;
      void answer.then((value) => done(value)).finally(() => clearTimeout(timer));
    });
  }

  #next(): number {
    this.#xid++;
    return this.#xid;
  }
}
