/** Addresses that WebRTC is to leave alone, because they belong to interfaces that the node file excludes. */
import { BlockList, isIP } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';

/** What `os.networkInterfaces()` gives. */
export type Interfaces = Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, 'cidr'>[] | undefined>>;

/**
 * Whether `address` is one of an interface among `names` (exact names), or in a subnet of it: by the first ours would be told, by the
 * second a peer's would be tried. IPv4-mapped addresses are no addresses here, as everywhere in signalling.
 */
export function isOnExcluded(address: string, names: readonly string[], interfaces: Interfaces): boolean {
  const family = isIP(address);
  if (family === 0 || names.length === 0) return false;
  const subnets = new BlockList();
  for (const { cidr } of names.flatMap((name) => interfaces[name] ?? [])) {
    const [network = '', length = ''] = cidr?.split('/') ?? [];
    const of = isIP(network);
    if (of !== 0) subnets.addSubnet(network, Number(length), of === 6 ? 'ipv6' : 'ipv4');
  }
  return subnets.check(address, family === 6 ? 'ipv6' : 'ipv4');
}
