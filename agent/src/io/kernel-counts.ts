/**
 * What the kernel behind the switch has counted since it started: its ICMP, and the link by which its routes lead to an address (a pod's
 * veth). From proc(5) and /sys/class/net, which anybody may read.
 */
import { readFileSync } from 'node:fs';
import type { KernelCounts, LinkCounts } from '../trace/types.ts';
import { familyOf, formatAddress, parseAddress } from '../wire/address.ts';

export interface Places {
  readonly proc: string;
  readonly sys: string;
}

const PLACES: Places = { proc: '/proc/net', sys: '/sys/class/net' };

/** @param behind an address behind this node whose link is to be counted. Null where the kernel does not tell. */
export function kernelCounts(behind: string | undefined, { proc, sys }: Places = PLACES): KernelCounts | null {
  try {
    const four = snmp(readFileSync(`${proc}/snmp`, 'utf8'));
    const six = snmp6(read(`${proc}/snmp6`));
    return {
      echoIn: (four.get('InEchos') ?? 0) + (six.get('Icmp6InEchos') ?? 0),
      replyOut: (four.get('OutEchoReps') ?? 0) + (six.get('Icmp6OutEchoReplies') ?? 0),
      link: behind === undefined ? null : linkCounts(behind, proc, sys),
    };
  } catch {
    // Where /proc does not tell, nobody knows.
    return null;
  }
}

function linkCounts(address: string, proc: string, sys: string): LinkCounts | null {
  const name = linkTo(address, read(`${proc}/route`), read(`${proc}/ipv6_route`));
  if (name === undefined) return null;
  const statistic = (what: string) => Number(readFileSync(`${sys}/${name}/statistics/${what}`, 'utf8'));
  return {
    name,
    sent: statistic('tx_packets'),
    received: statistic('rx_packets'),
    dropped: statistic('tx_dropped') + statistic('rx_dropped'),
  };
}

const ROUTE_UP = 1;
const ROUTE_REJECT = 0x200;

/** The link of the longest route to exactly one address: what is farther than that is no veth. */
export function linkTo(address: string, routes4: string, routes6: string): string | undefined {
  if (familyOf(address) === 4)
    return routes4
      .split('\n')
      .slice(1)
      .map((line) => line.split(/\s+/))
      .find(([, destination, , flags, , , , mask]) => {
        const usable = (Number.parseInt(flags ?? '0', 16) & (ROUTE_UP | ROUTE_REJECT)) === ROUTE_UP;
        return usable && mask === 'FFFFFFFF' && sameAddress(destination ?? '', address);
      })?.[0];
  const wanted = parseAddress(address).toString('hex');
  return routes6
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(
      ([destination, length, , , , , , , , name]) => destination === wanted && length === '80' && name !== 'lo',
    )?.[9];
}

/** Written as the number that the four bytes are in this machine's memory: all we run on are little endian. */
const sameAddress = (hex: string, address: string): boolean =>
  formatAddress(Buffer.from(hex, 'hex').reverse()) === address;

/** A kernel without IPv6 has no such file. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Two lines for each protocol: names, then values. */
function snmp(text: string): ReadonlyMap<string, number> {
  const [names, values] = text.split('\n').filter((line) => line.startsWith('Icmp: '));
  const numbers = (values ?? '').split(/\s+/);
  return new Map((names ?? '').split(/\s+/).map((name, i) => [name, Number(numbers[i] ?? 0)]));
}

/** A line for each counter. */
function snmp6(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .map((line) => line.split(/\s+/))
      .map(([name, value]) => [name ?? '', Number(value ?? 0)]),
  );
}
