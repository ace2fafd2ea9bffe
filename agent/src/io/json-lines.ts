/** One JSON object a line, as on control.sock and agent.sock (docs/wire.md §10.1). */

export const MAX_LINE_BYTES = 1024 * 1024;

export class LineError extends Error {}

/** Cuts a byte stream into lines. A line that does not end within `maxBytes` is an error: the other side is not what we think. */
export class LineReader {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes = MAX_LINE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** There is the beginning of a line whose end has not come. */
  get pending(): boolean {
    return this.#bytes > 0;
  }

  push(data: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = data.indexOf(10); end !== -1; end = data.indexOf(10, start)) {
      this.#keep(data.subarray(start, end));
      lines.push(Buffer.concat(this.#parts).toString('utf8'));
      this.#parts = [];
      this.#bytes = 0;
      start = end + 1;
    }
    this.#keep(data.subarray(start));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) throw new LineError(`a line of more than ${this.#maxBytes} bytes`);
    if (part.length > 0) this.#parts.push(part);
  }
}

/** The object on a line, or undefined when there is none. */
export function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
