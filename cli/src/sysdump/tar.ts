/** A tar archive of small files (POSIX ustar): enough for `tar -x`, without another program. Pure. */

export interface Entry {
  /** Relative, at most 100 bytes. */
  readonly name: string;
  readonly content: Buffer;
}

const BLOCK = 512;

/** `mtime`: seconds since 1970, of all files. */
export function tar(entries: readonly Entry[], mtime: number): Buffer {
  return Buffer.concat([
    ...entries.flatMap((entry) => [header(entry, mtime), entry.content, padding(entry.content.length)]),
    Buffer.alloc(2 * BLOCK),
  ]);
}

function header({ name, content }: Entry, mtime: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  if (Buffer.byteLength(name) > 100) throw new RangeError(`${name}: a name too long for an archive`);
  block.write(name, 0);
  const octal = (value: number, at: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, '0'), at);
  };
  octal(0o600, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(content.length, 124, 12);
  octal(mtime, 136, 12);
  // The sum counts its own field as spaces.
  block.write('        ', 148);
  block.write('0', 156);
  block.write('ustar\u000000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

const padding = (length: number): Buffer => Buffer.alloc((BLOCK - (length % BLOCK)) % BLOCK);
