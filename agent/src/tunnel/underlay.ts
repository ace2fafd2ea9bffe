/**
 * Which addresses may be an end of a tunnel. The overlay's own subnets are left out, or the overlay would be carried by itself;
 * loopback, link-local, multicast and the like are left out because a peer must not make us send there (docs/wire.md §6.4).
 */
import { BlockList, isIP } from 'node:net';

const NEVER: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'],
  ['255.255.255.255', 32, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['::1', 128, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

/** "10.0.0.0/8" or "fd00::/8". */
export type Prefix = string;

export class Underlay {
  readonly #blocked = new BlockList();

  /** `overlay`: the overlay's subnets and what is routed behind its nodes. */
  constructor(overlay: readonly Prefix[]) {
    for (const [network, length, family] of NEVER) this.#blocked.addSubnet(network, length, family);
    for (const prefix of overlay) {
      const [network = '', length = ''] = prefix.split('/');
      this.#blocked.addSubnet(network, Number(length), isIP(network) === 6 ? 'ipv6' : 'ipv4');
    }
  }

  usable(address: string): boolean {
    const family = isIP(address);
    // An IPv4-mapped address is IPv4 in disguise; nobody who means well sends one. (As a rule of the list it would match all of IPv4.)
    if (/^::ffff:/i.test(address)) return false;
    return family !== 0 && !this.#blocked.check(address, family === 6 ? 'ipv6' : 'ipv4');
  }
}
