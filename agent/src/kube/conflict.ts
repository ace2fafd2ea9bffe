/** Routes of this machine that overlap with what the overlay or the pods use: one of the two would not be reached. Pure. */
import { contains, formatAddress, type Prefix, parsePrefix } from '../wire/address.ts';
import { DecodeError } from '../wire/reader.ts';

export interface Route {
  readonly interface: string;
  readonly prefix: Prefix;
}

/** `/proc/net/route` (proc_pid_net(5)): addresses are hex of a little-endian word. */
export function routes4(text: string): readonly Route[] {
  return text.split('\n').flatMap((line) => {
    const [name, destination, , , , , , mask] = line.split('\t');
    if (name === undefined || !isHex(destination, 8) || !isHex(mask, 8)) return [];
    const length = [...Buffer.from(mask, 'hex')].reduce((bits, byte) => bits + ones(byte), 0);
    const address = formatAddress(Buffer.from(destination, 'hex').reverse());
    return [{ interface: name, prefix: { family: 4, address, length } }];
  });
}

/** `/proc/net/ipv6_route`: destination, its length, source, its length, next hop, metric, counts, flags, interface; all hex but the last. */
export function routes6(text: string): readonly Route[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [destination, length, name] = [fields[0], fields[1], fields[9]];
    if (name === undefined || !isHex(destination, 32) || !isHex(length, 2)) return [];
    const address = formatAddress(Buffer.from(destination, 'hex'));
    return [{ interface: name, prefix: { family: 6, address, length: Number.parseInt(length, 16) } }];
  });
}

const isHex = (text: string | undefined, digits: number): text is string =>
  text !== undefined && text.length === digits && /^[0-9A-Fa-f]+$/.test(text);

const ones = (byte: number): number => byte.toString(2).replaceAll('0', '').length;

/** A line for each; `own` are our interfaces: the bridge, and the prefix of pods' links. Ranges in CIDR notation. */
export function conflicts(
  routes: readonly Route[],
  ranges: readonly string[],
  own: { readonly bridge: string; readonly pods: string },
): readonly string[] {
  const taken = ranges.flatMap(prefixOf);
  return (
    routes
      .filter(({ interface: name }) => name !== own.bridge && name !== 'lo' && !name.startsWith(own.pods))
      // Everything else goes by the default route: a range within it is in nobody's way.
      .filter(({ prefix }) => prefix.length > 0)
      .flatMap(({ interface: name, prefix }) => {
        const range = taken.find((one) => overlap(one, prefix));
        if (range === undefined) return [];
        return [
          `${prefix.address}/${prefix.length} on ${name} overlaps ${range.address}/${range.length} of the network`,
        ];
      })
  );
}

function prefixOf(text: string): readonly Prefix[] {
  try {
    return [parsePrefix(text)];
  } catch (error) {
    if (error instanceof DecodeError) return [];
    throw error;
  }
}

function overlap(a: Prefix, b: Prefix): boolean {
  if (a.family !== b.family) return false;
  const [wide, narrow] = a.length <= b.length ? [a, b] : [b, a];
  return contains(wide, narrow.address);
}
