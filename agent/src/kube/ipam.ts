/** How many addresses of a node's pieces pods have, from the names in the CNI plugin's store: one file for each address. Pure. */
import { contains, parsePrefix } from '../wire/address.ts';
import { DecodeError } from '../wire/reader.ts';
import type { Ipam } from './status.ts';

/** Of the family that has fewer left; undefined when there is none. */
export function ipamOf(subnets: readonly string[], names: readonly string[]): Ipam | undefined {
  const [least] = poolsOf(subnets, names).sort((a, b) => a.free - b.free);
  return least && { used: least.used, free: least.free };
}

/** Of each piece. */
export function poolsOf(subnets: readonly string[], names: readonly string[]): (Ipam & { readonly subnet: string })[] {
  return subnets.map((subnet) => {
    const prefix = parsePrefix(subnet);
    const used = names.filter((name) => within(prefix, name)).length;
    const bits = (prefix.family === 4 ? 32 : 128) - prefix.length;
    // The network's own, the first one, and in IPv4 the broadcast address (docs/cni.md).
    const reserved = prefix.family === 4 ? 3 : 2;
    return { subnet, used, free: Math.max(0, 2 ** bits - reserved - used) };
  });
}

function within(prefix: ReturnType<typeof parsePrefix>, name: string): boolean {
  try {
    return contains(prefix, name);
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
