/** IP addresses and prefixes between bytes and text. IPv6 text is canonical (RFC 5952), so that text can be compared. */
import { isIPv4, isIPv6 } from 'node:net';
import { DecodeError } from './reader.ts';

export type Family = 4 | 6;

/** An address with a prefix length: either a network (host bits zero) or an address within one. */
export interface Prefix {
  readonly family: Family;
  readonly address: string;
  readonly length: number;
}

/** A UDP endpoint. */
export interface Endpoint {
  readonly family: Family;
  readonly address: string;
  readonly port: number;
}

export const addressBytes = (family: Family): number => (family === 4 ? 4 : 16);

export function familyOf(address: string): Family {
  if (isIPv4(address)) return 4;
  if (isIPv6(address) && !address.includes('%')) return 6;
  throw new DecodeError(`"${address}" is no IP address`);
}

export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new DecodeError(`an address of ${bytes.length} bytes`);
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const [start, count] = longestZeroRun(words);
  const hex = (part: number[]) => part.map((w) => w.toString(16)).join(':');
  return count < 2 ? hex(words) : `${hex(words.slice(0, start))}::${hex(words.slice(start + count))}`;
}

function longestZeroRun(words: readonly number[]): readonly [start: number, count: number] {
  let best: readonly [number, number] = [0, 0];
  for (let i = 0; i < words.length; i++) {
    let n = 0;
    while (words[i + n] === 0) n++;
    if (n > best[1]) best = [i, n];
    i += n;
  }
  return best;
}

export function parseAddress(text: string): Buffer {
  if (familyOf(text) === 4) return Buffer.from(text.split('.').map(Number));
  const [head = '', tail] = text.split('::');
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Buffer.from(all.flatMap((w) => [w >> 8, w & 0xff]));
}

function words(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

export function parsePrefix(text: string): Prefix {
  const [, address = '', digits = ''] = /^([^/]+)\/([0-9]{1,3})$/.exec(text) ?? [];
  if (address === '') throw new DecodeError(`"${text}" is no prefix like 10.0.0.0/16`);
  const family = familyOf(address);
  const length = Number(digits);
  if (length > 8 * addressBytes(family)) throw new DecodeError(`prefix length ${length} is too long for "${address}"`);
  return { family, address: formatAddress(parseAddress(address)), length };
}

export const formatPrefix = (p: Prefix): string => `${p.address}/${p.length}`;

/** The first `length` bits kept, the others zero. */
export function maskBits(bytes: Uint8Array, length: number): Buffer {
  return Buffer.from(bytes.map((b, i) => b & (0xff00 >> Math.min(8, Math.max(0, length - 8 * i)))));
}

export function networkOf(prefix: Prefix): Prefix {
  return { ...prefix, address: formatAddress(maskBits(parseAddress(prefix.address), prefix.length)) };
}

export const isNetwork = (prefix: Prefix): boolean => networkOf(prefix).address === prefix.address;

export function contains(network: Prefix, address: string): boolean {
  if (familyOf(address) !== network.family) return false;
  const masked = maskBits(parseAddress(address), network.length);
  return masked.equals(maskBits(parseAddress(network.address), network.length));
}

/** Whether all of `prefix` lies within one of these networks. Throws DecodeError where one is none. */
export const isWithin = (prefix: Prefix, networks: readonly string[]): boolean =>
  networks.map(parsePrefix).some((other) => other.length <= prefix.length && contains(other, prefix.address));

export const formatEndpoint = (e: Endpoint): string =>
  e.family === 4 ? `${e.address}:${e.port}` : `[${e.address}]:${e.port}`;

/** "192.0.2.1:7000" or "[2001:db8::1]:7000". */
export function parseEndpoint(text: string): Endpoint {
  const [, v6, v4, digits = ''] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? '';
  const port = Number(digits);
  const family = address === '' ? undefined : familyOf(address);
  if (family !== (v6 === undefined ? 4 : 6) || port < 1 || port > 65535)
    throw new DecodeError(`"${text}" is no endpoint like 192.0.2.1:7000`);
  return { family, address: formatAddress(parseAddress(address)), port };
}
