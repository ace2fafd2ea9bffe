/**
 * JSON-RPC 1.0 as OVSDB speaks it (RFC 7047 §4): objects one after the other with nothing between them, so the end of one is found by
 * counting braces. Bytes come in, messages go out. After an error nothing of the stream can be trusted: it has to begin anew.
 */

/** A database of thousands of ports stays far below this; whoever sends more is no database. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type RpcMessage =
  | { readonly kind: 'request'; readonly method: string; readonly params: readonly Json[]; readonly id: Json }
  | { readonly kind: 'notification'; readonly method: string; readonly params: readonly Json[] }
  | { readonly kind: 'reply'; readonly id: Json; readonly result: Json; readonly error: Json };

export interface Split {
  readonly messages: readonly RpcMessage[];
  /** What was wrong after these messages. */
  readonly error?: string;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d]);

export class RpcSplitter {
  #parts: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #error: string | undefined;

  push(data: Buffer): Split {
    const messages: RpcMessage[] = [];
    let start = 0;
    for (let i = 0; i < data.length && this.#error === undefined; i++) {
      const byte = data[i] ?? 0;
      if (this.#depth === 0) {
        if (SPACES.has(byte)) start = i + 1;
        else if (byte === OPEN) {
          this.#depth = 1;
          start = i;
        } else
          this.#error = `what came is no JSON object (it begins with ${JSON.stringify(excerpt(data.subarray(i)))})`;
      } else if (this.#ends(byte)) {
        this.#keep(data.subarray(start, i + 1));
        start = i + 1;
        const message = this.#error === undefined ? this.#take() : undefined;
        if (message !== undefined) messages.push(message);
      }
    }
    if (this.#depth > 0 && this.#error === undefined) this.#keep(data.subarray(start));
    return this.#error === undefined ? { messages } : { messages, error: this.#error };
  }

  /** Whether the object that is being read ends with this byte. UTF-8 needs no care: all its further bytes are above 0x7f. */
  #ends(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
      return false;
    }
    if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN) this.#depth++;
    else if (byte === CLOSE) this.#depth--;
    return this.#depth === 0;
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > MESSAGE_BYTES_MAX) {
      this.#error = `a message of more than ${MESSAGE_BYTES_MAX} bytes`;
      this.#parts = [];
    } else if (part.length > 0) this.#parts.push(part);
  }

  #take(): RpcMessage | undefined {
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    const message = messageOf(parse(bytes.toString('utf8')));
    if (message === undefined) this.#error = `what came is no JSON-RPC message: ${JSON.stringify(excerpt(bytes))}`;
    return message;
  }
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function messageOf(value: Json | undefined): RpcMessage | undefined {
  if (!isRecord(value)) return undefined;
  const { method, params, id = null } = value;
  if (method !== undefined) {
    if (typeof method !== 'string' || !isList(params)) return undefined;
    return id === null ? { kind: 'notification', method, params } : { kind: 'request', method, params, id };
  }
  if (id === null || (value.result === undefined && value.error === undefined)) return undefined;
  return { kind: 'reply', id, result: value.result ?? null, error: value.error ?? null };
}

export function isRecord(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function excerpt(bytes: Buffer): string {
  return bytes.length <= 40 ? bytes.toString('latin1') : `${bytes.toString('latin1', 0, 40)}…`;
}
