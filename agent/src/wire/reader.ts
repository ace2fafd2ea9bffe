/** What every parser of bytes from outside throws, and the only thing it throws: caught and counted in one place. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** Big-endian fields, read in order. Reading past the end is a `DecodeError`, never a short value. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#at;
  }

  /** A view of the next bytes, not a copy. */
  take(length: number): Buffer {
    if (length > this.remaining) throw new DecodeError(`cut short: ${length} bytes wanted, ${this.remaining} left`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  u32(): number {
    return this.take(4).readUInt32BE();
  }

  u64(): bigint {
    return this.take(8).readBigUInt64BE();
  }

  rest(): Buffer {
    return this.take(this.remaining);
  }

  /** "Must be zero" bytes. */
  zeros(length: number): void {
    if (this.take(length).some((b) => b !== 0)) throw new DecodeError('a reserved byte is not zero');
  }

  end(): void {
    if (this.remaining > 0) throw new DecodeError(`${this.remaining} bytes too many`);
  }
}

export const u8 = (n: number): Buffer => Buffer.of(n);

export function u16(n: number): Buffer {
  const b = Buffer.alloc(2);
  b.writeUInt16BE(n);
  return b;
}

export function u32(n: number): Buffer {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(n);
  return b;
}

export function u64(n: bigint | number): Buffer {
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(BigInt(n));
  return b;
}

/** Standard base64 with padding, nothing else: Node's own decoder skips what it does not know. */
export function fromBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new DecodeError('not base64 with padding (RFC 4648 §4)');
  return bytes;
}

/** Lower-case hex of exactly `length` bytes. */
export function fromHex(text: string, length: number): Buffer {
  if (text.length !== 2 * length || !/^[0-9a-f]*$/.test(text))
    throw new DecodeError(`not ${2 * length} lower-case hex characters`);
  return Buffer.from(text, 'hex');
}

/** A parser that throws, as the check of a schema. */
export const passes = (parse: (text: string) => unknown) => (text: string) => {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
};
