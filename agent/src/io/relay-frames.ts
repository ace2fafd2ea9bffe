/**
 * The relay socket's framing (docs/wire.md §10.3), made for throughput: records are handed on as ranges of the buffer they came in.
 *
 *     length (4) | port (2) | kind (1) | 0 (1) | payload
 *     kind 1: records, each size (2) and bytes     kind 2: credit (4)
 */

export const HEADER_BYTES = 8;
export const MAX_PAYLOAD_BYTES = 65_536;
export const KIND_RECORDS = 1;
export const KIND_CREDIT = 2;

export class RelayFormatError extends Error {}

export interface RecordSink {
  /** One record: `chunk[offset, offset + size)`. Every byte of the chunk before `offset` has been used and may be overwritten. */
  record(port: number, chunk: Buffer, offset: number, size: number): void;
  /** All records of one batch were handed over; `bytes` is what they cost of the credit. */
  batch(port: number, bytes: number): void;
}

/** Holds some batches of the largest size, so that what is left over is rarely moved. */
const BUFFER_BYTES = 256 * 1024;

/**
 * Cuts the stream into records, at whatever places the socket splits it. Only whole batches are handed on. The socket reads straight
 * into the one buffer there is: at a hundred thousand records a second a buffer for each read would be work for the collector.
 */
export class RelayReader {
  readonly #sink: RecordSink;
  readonly #buffer = Buffer.from(new ArrayBuffer(BUFFER_BYTES));
  #start = 0;
  #end = 0;

  constructor(sink: RecordSink) {
    this.#sink = sink;
  }

  /** Where the next bytes of the stream go. */
  space(): Buffer {
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    } else if (BUFFER_BYTES - this.#start < HEADER_BYTES + MAX_PAYLOAD_BYTES) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#buffer.subarray(this.#end);
  }

  /** So many bytes have come into `space()`. Throws RelayFormatError when the stream cannot be followed any longer. */
  filled(bytes: number): void {
    this.#end += bytes;
    const chunk = this.#buffer;
    while (this.#end - this.#start >= HEADER_BYTES) {
      const at = this.#start;
      const length = chunk.readUInt32BE(at);
      if (length > MAX_PAYLOAD_BYTES) throw new RelayFormatError(`a payload of ${length} bytes`);
      if (this.#end - at - HEADER_BYTES < length) break;
      const port = chunk.readUInt16BE(at + 4);
      const kind = chunk[at + 6];
      if (kind !== KIND_RECORDS || chunk[at + 7] !== 0) throw new RelayFormatError(`kind ${kind}`);
      this.#start = at + HEADER_BYTES + length;
      this.#records(chunk, at + HEADER_BYTES, length, port);
    }
  }

  #records(chunk: Buffer, start: number, length: number, port: number): void {
    const end = start + length;
    let at = start;
    while (at < end) {
      const size = end - at >= 2 ? chunk.readUInt16BE(at) : -1;
      if (size < 1 || at + 2 + size > end) throw new RelayFormatError('a record that does not fit its batch');
      this.#sink.record(port, chunk, at + 2, size);
      at += 2 + size;
    }
    this.#sink.batch(port, length);
  }
}

/** Gathers the records of one port into one batch. */
export class RelayBatch {
  readonly port: number;
  #buffer: Buffer;
  #used = HEADER_BYTES;

  /** `buffer` has at most HEADER_BYTES + MAX_PAYLOAD_BYTES. */
  constructor(port: number, buffer: Buffer) {
    this.port = port;
    this.#buffer = buffer;
  }

  get empty(): boolean {
    return this.#used === HEADER_BYTES;
  }

  /** False when it does not fit any more. */
  add(packet: Buffer, offset: number): boolean {
    const size = packet.length - offset;
    if (this.#used + 2 + size > this.#buffer.length) return false;
    this.#buffer.writeUInt16BE(size, this.#used);
    packet.copy(this.#buffer, this.#used + 2, offset);
    this.#used += 2 + size;
    return true;
  }

  /** The finished batch. */
  finish(): Buffer {
    this.#buffer.writeUInt32BE(this.#used - HEADER_BYTES, 0);
    this.#buffer.writeUInt16BE(this.port, 4);
    this.#buffer.writeUInt16BE(KIND_RECORDS << 8, 6);
    return this.#buffer.subarray(0, this.#used);
  }
}

export function credit(port: number, bytes: number): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + 4);
  frame.writeUInt32BE(4, 0);
  frame.writeUInt16BE(port, 4);
  frame.writeUInt16BE(KIND_CREDIT << 8, 6);
  frame.writeUInt32BE(bytes, 8);
  return frame;
}
