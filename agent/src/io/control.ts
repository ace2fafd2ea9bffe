/** The agent's end of tincan's control socket (docs/wire.md §10.1): requests with a time limit, and events. */
import { connect, type Socket } from 'node:net';
import { isObject, LineReader, parseObject } from './json-lines.ts';

const REQUEST_TIMEOUT_MS = 5_000;

/** An error that tincan answered, or `closed` / `timeout` when it did not answer. */
export class ControlError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Pending {
  readonly method: string;
  resolve(result: unknown): void;
  reject(error: ControlError): void;
  readonly timer: NodeJS.Timeout;
}

export interface ControlHandlers {
  event(name: string, data: unknown): void;
  /** The connection is gone; every pending request has been rejected. */
  closed(reason: string): void;
}

export class Control {
  readonly #socket: Socket;
  readonly #handlers: ControlHandlers;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #closed = false;

  private constructor(socket: Socket, handlers: ControlHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    const lines = new LineReader();
    socket.on('data', (data: string | Buffer) => {
      if (typeof data === 'string') return;
      try {
        for (const line of lines.push(data)) this.#line(line);
      } catch (error) {
        this.#close(error instanceof Error ? error.message : String(error));
      }
    });
    socket.on('error', (error) => this.#close(error.message));
    socket.on('close', () => this.#close('closed by tincan'));
  }

  /** Rejects when nobody listens at `path`. */
  static open(path: string, handlers: ControlHandlers): Promise<Control> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Control(socket, handlers));
      });
    });
  }

  request(method: string, params: object | null, timeoutMs = REQUEST_TIMEOUT_MS): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new ControlError('closed', `${method}: tincan is away`));
        return;
      }
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new ControlError('timeout', `${method}: no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#pending.set(id, { method, resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ id, method, params })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#close('closed');
  }

  #line(line: string): void {
    const message = parseObject(line);
    if (message === undefined) return;
    if (typeof message.event === 'string') {
      this.#handlers.event(message.event, message.data);
      return;
    }
    const pending = typeof message.id === 'number' ? this.#pending.get(message.id) : undefined;
    if (pending === undefined) return;
    this.#pending.delete(message.id as number);
    clearTimeout(pending.timer);
    if (message.error === undefined) {
      pending.resolve(message.result);
      return;
    }
    const { code, message: text } = isObject(message.error) ? message.error : {};
    pending.reject(new ControlError(String(code ?? 'system'), `${pending.method}: ${String(text ?? 'failed')}`));
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    for (const { method, reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new ControlError('closed', `${method}: tincan is away`));
    }
    this.#pending.clear();
    this.#handlers.closed(reason);
  }
}
