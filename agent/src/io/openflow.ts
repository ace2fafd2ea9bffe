/** The agent's end of tincan's OpenFlow socket (docs/wire.md §10.2): bytes to messages and back, and connecting again. */

import { connect, type Socket } from 'node:net';
import { decode, encode, type Message, Splitter } from '../sdn/openflow/index.ts';
import { DecodeError } from '../wire/reader.ts';

const RETRY_MS = 200;

export interface OpenFlowHandlers {
  connected(): void;
  message(message: Message): void;
  /** A message without sense; the stream goes on. */
  undecodable(reason: string): void;
  disconnected(): void;
}

export class OpenFlowSocket {
  readonly #path: string;
  readonly #handlers: OpenFlowHandlers;
  #socket: Socket | undefined;
  #connected = false;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(path: string, handlers: OpenFlowHandlers) {
    this.#path = path;
    this.#handlers = handlers;
  }

  /** Connects, and again whenever the connection is lost, until `stop`. */
  start(): void {
    if (this.#stopped || this.#socket !== undefined) return;
    const socket = connect(this.#path);
    const splitter = new Splitter();
    this.#socket = socket;
    socket.on('connect', () => {
      this.#connected = true;
      this.#handlers.connected();
    });
    socket.on('data', (data: string | Buffer) => {
      if (typeof data !== 'string') this.#received(splitter, data);
    });
    // The reason does not matter: 'close' follows.
    socket.on('error', () => {});
    socket.on('close', () => this.#closed());
  }

  send(messages: readonly Message[]): void {
    if (this.#connected && messages.length > 0) this.#socket?.write(Buffer.concat(messages.map(encode)));
  }

  /** Gives this connection up; another one is made. */
  close(): void {
    this.#socket?.destroy();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  #received(splitter: Splitter, data: Buffer): void {
    let messages: readonly Buffer[];
    try {
      messages = splitter.push(data);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      // No length can be trusted any more: begin anew.
      this.#handlers.undecodable(error.message);
      this.close();
      return;
    }
    for (const bytes of messages) this.#one(bytes);
  }

  #one(bytes: Buffer): void {
    let message: Message;
    try {
      message = decode(bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#handlers.undecodable(error.message);
      return;
    }
    this.#handlers.message(message);
  }

  #closed(): void {
    this.#socket = undefined;
    const wasConnected = this.#connected;
    this.#connected = false;
    if (wasConnected) this.#handlers.disconnected();
    if (this.#stopped) return;
    this.#retry = setTimeout(() => this.start(), RETRY_MS);
    this.#retry.unref();
  }
}
