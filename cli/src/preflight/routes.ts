/** Routes of this machine, as /proc has them, and which of them meet a network. Pure. */
import {
  type Family,
  formatAddress,
  formatPrefix,
  isWithin,
  type Prefix,
  parsePrefix,
} from '../../../agent/src/wire/address.ts';

export interface Route {
  readonly prefix: Prefix;
  readonly device: string;
}

/** `/proc/net/route` (proc_net(5)): destination and mask as the machine keeps numbers, which is little endian where we run. */
export function routes4(text: string): readonly Route[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length >= 8)
    .map(([device = '', destination = '', , , , , , mask = '']) => {
      const length = [...BigInt(`0x${mask}`).toString(2)].filter((bit) => bit === '1').length;
      const bytes = Buffer.from(destination, 'hex').reverse();
      return { prefix: { family: 4 as Family, address: formatAddress(bytes), length }, device };
    });
}

/** `/proc/net/ipv6_route`: destination and length in hex, the device last. */
export function routes6(text: string): readonly Route[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length >= 10)
    .map((fields) => ({
      prefix: {
        family: 6 as Family,
        address: formatAddress(Buffer.from(fields[0] ?? '', 'hex')),
        length: Number.parseInt(fields[1] ?? '', 16),
      },
      device: fields[9] ?? '',
    }));
}

/** Not of a network that somebody else uses: the default route, what the kernel has for itself, and what Evio has set. */
const counts = ({ prefix, device }: Route): boolean =>
  prefix.length > 0 &&
  device !== 'lo' &&
  !/^evio\d*(-|$)/.test(device) &&
  !(prefix.family === 6 && isWithin(prefix, ['fe80::/10', 'ff00::/8']));

const meet = (a: Prefix, b: Prefix): boolean =>
  a.family === b.family && (isWithin(a, [formatPrefix(b)]) || isWithin(b, [formatPrefix(a)]));

/** The first route that has an address in common with the network, if there is one. Throws DecodeError for what is no network. */
export function meeting(cidr: string, routes: readonly Route[]): Route | undefined {
  const network = parsePrefix(cidr);
  return routes.filter(counts).find(({ prefix }) => meet(prefix, network));
}

export const routeText = ({ prefix, device }: Route): string => `${formatPrefix(prefix)} dev ${device}`;

/** Whether two networks have an address in common. */
export const cidrsMeet = (a: string, b: string): boolean => meet(parsePrefix(a), parsePrefix(b));
