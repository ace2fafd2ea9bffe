/** Peer ranges of coturn, written as it wants them: `first-last`, or one address. */

import { formatAddress, maskBits, parseAddress, parsePrefix } from '../../../agent/src/wire/address.ts';
import { UsageError } from '../failure.ts';

/**
 * Where a relay must not send: an authenticated node would otherwise reach, from the server's own address, what only the
 * server may reach. Documentation ranges (RFC 5737) are not in the list: they are never routed anyway.
 */
export const DENIED_PEERS: readonly string[] = [
  '0.0.0.0/8', // this host (RFC 1122)
  '10.0.0.0/8', // private (RFC 1918); Kubernetes pods and services are in here as a rule
  '100.64.0.0/10', // carrier-grade NAT (RFC 6598)
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local (RFC 3927), and the metadata service of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // IETF protocol assignments (RFC 6890)
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarking (RFC 2544)
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  // Not "::/128": a range from "::" to "::" is every address to coturn. It refuses the unspecified address as loopback by itself.
  '::1/128', // loopback
  '::ffff:0:0/96', // IPv4-mapped: the IPv4 list would be walked around
  '64:ff9b::/96', // NAT64 (RFC 6052): likewise
  '64:ff9b:1::/48', // local NAT64 (RFC 8215)
  '100::/64', // discard (RFC 6666)
  '2002::/16', // 6to4: IPv4 inside (RFC 3056)
  'fc00::/7', // unique local (RFC 4193)
  'fe80::/10', // link-local
  'ff00::/8', // multicast
];

/** `10.0.0.0/8` to `10.0.0.0-10.255.255.255`; an address stands for itself. */
export function coturnRange(text: string, option: string): string {
  const [first, last] = bounds(text, option);
  // To coturn a range that ends in the unspecified address has no end (ioa_addr_in_range), and denies every address.
  if (/^(::|0\.0\.0\.0)$/.test(last)) {
    throw new UsageError(`${option}: "${text}" is not allowed; coturn never relays to the unspecified address`);
  }
  return text.includes('/') ? `${first}-${last}` : first;
}

function bounds(text: string, option: string): readonly [first: string, last: string] {
  try {
    const prefix = parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
    const address = parseAddress(prefix.address);
    const first = maskBits(address, prefix.length);
    const ones = maskBits(Buffer.alloc(address.length, 0xff), prefix.length);
    const last = Buffer.from(first.map((byte, i) => byte | (~(ones[i] ?? 0) & 0xff)));
    return [formatAddress(first), formatAddress(last)];
  } catch {
    throw new UsageError(`${option}: "${text}" is not allowed; allowed: an address or a prefix like 10.0.0.0/8`);
  }
}
