/** The class of NAT in front of a socket, by how it is seen from several places (RFC 4787 §4.1, RFC 5780 §4.3). Pure. */
import type { NatClass } from './api.ts';
import { hostPortOf } from './config/service.ts';

/** A local candidate as tincan reports it (docs/wire.md §10.1). */
export interface LocalCandidate {
  /** "ip:port". */
  readonly address: string;
  readonly type: 'host' | 'srflx';
  /** The STUN address that saw it, for `srflx`. */
  readonly server: string | null;
}

/** How a peer on a direct path sees this socket, as "ip:port". */
export interface Sighting {
  readonly address: string;
  /** Where the peer is, as this socket addresses it. */
  readonly by: string;
}

/**
 * Families are judged apart: a node may have IPv6 without translation and IPv4 behind one. The worst is told, because it decides
 * whether two nodes can meet on the family all of them have.
 */
export function natClass(candidates: readonly LocalCandidate[], sightings: readonly Sighting[] = []): NatClass {
  const classes = [false, true].map((ipv6) =>
    familyClass(
      candidates.filter((c) => isIpv6(c.address) === ipv6),
      sightings.filter((s) => isIpv6(s.address) === ipv6),
    ),
  );
  return SEVERITY.find((one) => classes.includes(one)) ?? 'unknown';
}

const SEVERITY: readonly NatClass[] = ['address-dependent', 'endpoint-independent', 'none'];

function familyClass(candidates: readonly LocalCandidate[], sightings: readonly Sighting[]): NatClass {
  const hosts = new Set(candidates.filter((c) => c.type === 'host').map((c) => c.address));
  const seen = candidates.flatMap(({ type, address, server }): readonly Sighting[] =>
    type === 'srflx' && server !== null ? [{ address, by: server }] : [],
  );
  // Our own address, seen from outside: nothing translates.
  if (seen.length > 0 && seen.every(({ address }) => hosts.has(address))) return 'none';
  // A peer in our own network sees what no server can.
  const outside = new Set(seen.map(({ address }) => hostOf(address)));
  const points = [...seen, ...sightings.filter(({ address }) => outside.has(hostOf(address)))];
  if (new Set(points.map(({ address }) => address)).size > 1) return 'address-dependent';
  // Two ports of one address do not tell a mapping for each address from one for all.
  return new Set(points.map(({ by }) => hostOf(by))).size > 1 ? 'endpoint-independent' : 'unknown';
}

const hostOf = (address: string): string => hostPortOf(address).host;

function isIpv6(address: string): boolean {
  return address.startsWith('[');
}
