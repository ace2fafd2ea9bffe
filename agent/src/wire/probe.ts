/** docs/wire.md §6.4: probes, the plaintext of C7. */
import { addressBytes, type Endpoint, formatAddress, parseAddress } from './address.ts';
import { DecodeError, Reader, u8, u16 } from './reader.ts';
import { SESSION_HEADER_BYTES, TAG_BYTES } from './record.ts';

const REQUEST = 1;
const RESPONSE = 2;
const PROVEN = 1;
const CHALLENGE_BYTES = 8;
const PROBE_BYTES = 32;
const ADDRESS_BYTES = 16;

export interface Probe {
  readonly kind: 'request' | 'response';
  readonly proven: boolean;
  /** Of the whole request record: header, probe, padding, tag. */
  readonly size: number;
  readonly challenge: Buffer;
  /** Where the request was seen to come from; responses on a direct path only. */
  readonly seen: Endpoint | undefined;
}

const recordBytes = (plaintext: number): number => SESSION_HEADER_BYTES + plaintext + TAG_BYTES;
export const PROBE_RECORD_MIN_BYTES = recordBytes(PROBE_BYTES);

export function encodeProbe(p: Probe): Buffer {
  const address = p.seen === undefined ? Buffer.alloc(0) : parseAddress(p.seen.address);
  const body = Buffer.concat([
    u8(p.kind === 'request' ? REQUEST : RESPONSE),
    u8(p.proven ? PROVEN : 0),
    u16(p.size),
    p.challenge,
    u8(p.seen?.family ?? 0),
    u8(0),
    u16(p.seen?.port ?? 0),
    address,
    Buffer.alloc(ADDRESS_BYTES - address.length),
  ]);
  const padding = p.kind === 'request' ? p.size - recordBytes(body.length) : 0;
  return Buffer.concat([body, Buffer.alloc(padding)]);
}

function readSeen(reader: Reader): Endpoint | undefined {
  const family = reader.u8();
  reader.zeros(1);
  const port = reader.u16();
  if (family === 0) {
    if (port !== 0) throw new DecodeError('a port without an address');
    reader.zeros(ADDRESS_BYTES);
    return undefined;
  }
  if (family !== 4 && family !== 6) throw new DecodeError(`address family ${family}`);
  const address = formatAddress(reader.take(addressBytes(family)));
  reader.zeros(ADDRESS_BYTES - addressBytes(family));
  return { family, address, port };
}

export function decodeProbe(bytes: Uint8Array): Probe {
  const reader = new Reader(bytes);
  const [code, flags, size] = [reader.u8(), reader.u8(), reader.u16()];
  if (code !== REQUEST && code !== RESPONSE) throw new DecodeError(`probe kind ${code}`);
  if (flags > PROVEN) throw new DecodeError(`probe flags ${flags}`);
  const challenge = reader.take(CHALLENGE_BYTES);
  const seen = readSeen(reader);
  const probe = { proven: flags === PROVEN, size, challenge, seen };
  if (code === RESPONSE) {
    reader.end();
    return { kind: 'response', ...probe };
  }
  if (seen !== undefined) throw new DecodeError('a request that tells an address');
  reader.zeros(reader.remaining);
  if (size !== recordBytes(bytes.length)) throw new DecodeError(`a probe of ${bytes.length} bytes that says ${size}`);
  return { kind: 'request', ...probe };
}
