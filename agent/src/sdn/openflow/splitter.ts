/** Cuts a byte stream into OpenFlow messages, by the length in each header. */

import { DecodeError } from '../../wire/reader.ts';
import { HEADER_BYTES } from './message.ts';

export class Splitter {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * The whole messages that `bytes` completes. Throws a `DecodeError` for a length no message can have: the stream is lost then.
   */
  push(bytes: Uint8Array): readonly Buffer[] {
    let rest = Buffer.concat([this.#rest, bytes]);
    const messages: Buffer[] = [];
    while (rest.length >= HEADER_BYTES) {
      const length = rest.readUInt16BE(2);
      if (length < HEADER_BYTES) throw new DecodeError(`an OpenFlow message of ${length} bytes`);
      if (rest.length < length) break;
      messages.push(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
    this.#rest = rest;
    return messages;
  }
}
