/** docs/wire.md §6.5: control records, the plaintext of C8. */
import type { Label } from './ids.ts';
import { DecodeError, Reader, u16, u32, u64 } from './reader.ts';

const AGENT_MESSAGE_MAX_BYTES = 16 * 1024;

export type Control =
  | { readonly channel: 'confirmation' }
  | { readonly channel: 'agent'; readonly body: Buffer }
  | { readonly channel: 'adjacency'; readonly sequence: number; readonly labels: readonly Label[] }
  | { readonly channel: 'revocations'; readonly object: Buffer }
  | { readonly channel: 'certificate'; readonly object: Buffer };

const head = (channel: number): Buffer => Buffer.of(channel, 0);

export function encodeControl(c: Control): Buffer {
  switch (c.channel) {
    case 'confirmation':
      return head(0);
    case 'agent':
      return Buffer.concat([head(1), c.body]);
    case 'adjacency':
      return Buffer.concat([head(2), u32(c.sequence), u16(c.labels.length), ...c.labels.map(u64)]);
    case 'revocations':
      return Buffer.concat([head(3), c.object]);
    case 'certificate':
      return Buffer.concat([head(4), c.object]);
  }
}

export function decodeControl(bytes: Uint8Array): Control {
  const reader = new Reader(bytes);
  const channel = reader.u8();
  reader.zeros(1);
  switch (channel) {
    case 0:
      reader.end();
      return { channel: 'confirmation' };
    case 1:
      if (reader.remaining > AGENT_MESSAGE_MAX_BYTES)
        throw new DecodeError(`an agent message of ${reader.remaining} bytes`);
      return { channel: 'agent', body: reader.rest() };
    case 2: {
      const sequence = reader.u32();
      const labels = Array.from({ length: reader.u16() }, () => reader.u64());
      reader.end();
      return { channel: 'adjacency', sequence, labels };
    }
    case 3:
      return { channel: 'revocations', object: reader.rest() };
    case 4:
      return { channel: 'certificate', object: reader.rest() };
    default:
      throw new DecodeError(`control channel ${channel}`);
  }
}
