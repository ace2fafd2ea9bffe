/** Host numbers and pieces of a subnet: one arithmetic for whoever allots addresses (the command and the operator). */
import { addressBytes, formatAddress, type Prefix, parseAddress } from './address.ts';

const bitsOf = (prefix: Prefix): number => 8 * addressBytes(prefix.family);

export const addressNumber = (address: string): bigint => BigInt(`0x${parseAddress(address).toString('hex')}`);

export function numberAddress(value: bigint, bytes: number): string {
  return formatAddress(Buffer.from(value.toString(16).padStart(2 * bytes, '0'), 'hex'));
}

/** How many addresses hosts may have: all but the network's own, and in IPv4 but the broadcast address. */
export function hostCount(subnet: Prefix): bigint {
  const size = 1n << BigInt(bitsOf(subnet) - subnet.length);
  return subnet.family === 4 ? size - 2n : size - 1n;
}

/** The address of host number `n`, from 1. */
export function hostAddress(subnet: Prefix, n: bigint): string {
  return numberAddress(addressNumber(subnet.address) + n, addressBytes(subnet.family));
}

/** How many pieces of prefix length `length` a subnet has; 0 when it is smaller than one. */
export function pieceCount(subnet: Prefix, length: number): bigint {
  return length < subnet.length || length > bitsOf(subnet) ? 0n : 1n << BigInt(length - subnet.length);
}

/** Piece number `n`, from 0. */
export function pieceOf(subnet: Prefix, length: number, n: bigint): Prefix {
  const size = 1n << BigInt(bitsOf(subnet) - length);
  const address = numberAddress(addressNumber(subnet.address) + n * size, addressBytes(subnet.family));
  return { family: subnet.family, address, length };
}

/** First and last address of a prefix, as numbers. */
export function rangeOf(prefix: Prefix): readonly [first: bigint, last: bigint] {
  const size = 1n << BigInt(bitsOf(prefix) - prefix.length);
  const first = (addressNumber(prefix.address) / size) * size;
  return [first, first + size - 1n];
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  if (a.family !== b.family) return false;
  const [[a1, a2], [b1, b2]] = [rangeOf(a), rangeOf(b)];
  return a1 <= b2 && b1 <= a2;
}
