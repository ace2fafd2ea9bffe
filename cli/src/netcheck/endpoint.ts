/** An address with a port, as STUN carries it. */
import { isIPv6 } from 'node:net';

/** 12 bytes in hex. */
export type TransactionId = string;

export interface Endpoint {
  /** Without brackets. */
  readonly address: string;
  readonly port: number;
}

export const endpointText = ({ address, port }: Endpoint): string =>
  `${isIPv6(address) ? `[${address}]` : address}:${port}`;

export const sameEndpoint = (a: Endpoint, b: Endpoint): boolean => a.address === b.address && a.port === b.port;

/** RFC 8489 §14.1, and §14.2 with `mask`: the magic cookie and the transaction id. */
export function endpointOf(value: Buffer | undefined, mask: Buffer | undefined): Endpoint | undefined {
  if (value === undefined || value.length < 8) return undefined;
  const clear = (at: number, byte: number): number => byte ^ (mask?.[at] ?? 0);
  const family = value[1];
  const port = (clear(0, value[2] ?? 0) << 8) | clear(1, value[3] ?? 0);
  const bytes = value.subarray(4).map((byte, at) => clear(at, byte));
  if (family === 1 && bytes.length === 4) return { address: bytes.join('.'), port };
  if (family !== 2 || bytes.length !== 16) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  // The URL parser knows the short form of RFC 5952.
  return { address: new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1), port };
}
