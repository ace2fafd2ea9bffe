/** The fields of an Ethernet frame, as the tables of a switch see it: as far as the pipeline matches them. */

import { toNumber } from '../../agent/src/sdn/openflow/index.ts';
import type { Fields } from './fake-switch.ts';

const ARP = 0x0806n;
const IPV6 = 0x86ddn;
const ICMPV6 = 58n;

export function fieldsOf(frame: Buffer): Fields {
  const at = (start: number, length: number) => toNumber(frame.subarray(start, start + length));
  const ethernet = { eth_dst: at(0, 6), eth_src: at(6, 6), eth_type: at(12, 2) };
  if (ethernet.eth_type === ARP) return { ...ethernet, arp_op: at(20, 2), arp_spa: at(28, 4), arp_tpa: at(38, 4) };
  if (ethernet.eth_type !== IPV6) return ethernet;
  const ipv6 = { ...ethernet, ip_proto: at(20, 1), ipv6_src: at(22, 16), ipv6_dst: at(38, 16) };
  if (ipv6.ip_proto !== ICMPV6) return ipv6;
  const icmp = { ...ipv6, icmpv6_type: at(54, 1) };
  return icmp.icmpv6_type === 135n ? { ...icmp, ipv6_nd_target: at(62, 16) } : icmp;
}
