/** The class of NAT in front of a socket, by how it is seen from two STUN addresses (RFC 4787 §4.1, RFC 5780 §4.3). */
import type { NatClass } from './api.ts';

/** A local candidate as tincan reports it (docs/wire.md §10.1). */
export interface LocalCandidate {
  /** "ip:port". */
  readonly address: string;
  readonly type: 'host' | 'srflx';
  /** The STUN address that saw it, for `srflx`. */
  readonly server: string | null;
}

/**
 * Families are judged apart: a node may have IPv6 without translation and IPv4 behind one. The worst is told, because it decides
 * whether two nodes can meet on the family all of them have.
 */
export function natClass(candidates: readonly LocalCandidate[]): NatClass {
  const classes = [false, true].map((ipv6) => familyClass(candidates.filter((c) => isIpv6(c.address) === ipv6)));
  return SEVERITY.find((one) => classes.includes(one)) ?? 'unknown';
}

const SEVERITY: readonly NatClass[] = ['address-dependent', 'endpoint-independent', 'none'];

function familyClass(candidates: readonly LocalCandidate[]): NatClass {
  const hosts = new Set(candidates.filter((c) => c.type === 'host').map((c) => c.address));
  const seen = candidates.filter((c) => c.type === 'srflx');
  const servers = new Set(seen.map((c) => c.server));
  const mapped = new Set(seen.map((c) => c.address));
  // Our own address, seen from outside: nothing translates.
  if (seen.length > 0 && [...mapped].every((address) => hosts.has(address))) return 'none';
  if (servers.size < 2) return 'unknown';
  return mapped.size === 1 ? 'endpoint-independent' : 'address-dependent';
}

function isIpv6(address: string): boolean {
  return address.startsWith('[');
}
