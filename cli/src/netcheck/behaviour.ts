/** What a NAT does, by what was seen of it (RFC 4787's words, RFC 5780's tests). Pure. */
import { type Endpoint, sameEndpoint } from './endpoint.ts';

/**
 * `none`: not translated. `endpoint-independent`: one mapping for all destinations, two such nodes meet directly. `address-dependent`: another
 * one for each address. `address-and-port-dependent`: another one for each port too. `dependent`: one of these two. `unknown`: too few
 * servers to tell.
 */
export type Mapping =
  | 'none'
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'dependent'
  | 'unknown';
/** Whom it lets in: everybody, who was written to, or that port of whom was written to. `none`: everybody, and nothing is translated. */
export type Filtering =
  | 'none'
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'unknown';

/** One socket, as a server sees it. */
export interface Sight {
  readonly by: Endpoint;
  readonly mapped: Endpoint;
}

/** `local`: the socket's own addresses, with its port. */
export function mappingOf(sights: readonly Sight[], local: readonly Endpoint[]): Mapping {
  if (sights.length === 0) return 'unknown';
  if (sights.every(({ mapped }) => local.some((own) => sameEndpoint(own, mapped)))) return 'none';
  const differ = (some: readonly Sight[]): boolean =>
    some.some(({ mapped }) => !sameEndpoint(mapped, (some[0] as Sight).mapped));
  const servers = [...new Set(sights.map(({ by }) => by.address))];
  if (!differ(sights)) return servers.length > 1 ? 'endpoint-independent' : 'unknown';
  const ofOne = servers.map((address) => sights.filter(({ by }) => by.address === address));
  if (ofOne.some(differ)) return 'address-and-port-dependent';
  return ofOne.some((some) => some.length > 1) ? 'address-dependent' : 'dependent';
}

/** Whether an answer came from the server's other address and port, and from its other port; undefined: could not be asked. */
export function filteringOf(
  mapping: Mapping,
  answers: { readonly fromOtherAddress: boolean; readonly fromOtherPort: boolean } | undefined,
): Filtering {
  if (answers === undefined) return 'unknown';
  if (answers.fromOtherAddress) return mapping === 'none' ? 'none' : 'endpoint-independent';
  return answers.fromOtherPort ? 'address-dependent' : 'address-and-port-dependent';
}

/** A mapping that was idle for so long was still there, or was not. */
export interface Idle {
  readonly idleS: number;
  readonly alive: boolean;
}

/** Seconds: it lives at least, and less than. Undefined: nothing was seen on that side. */
export interface Lifetime {
  readonly atLeastS: number | undefined;
  readonly lessThanS: number | undefined;
}

export function lifetimeOf(seen: readonly Idle[]): Lifetime {
  const dead = seen.filter(({ alive }) => !alive).map(({ idleS }) => idleS);
  const lessThanS = dead.length === 0 ? undefined : Math.min(...dead);
  const alive = seen.filter(({ alive: is, idleS }) => is && idleS < (lessThanS ?? Number.POSITIVE_INFINITY));
  return { atLeastS: alive.length === 0 ? undefined : Math.max(...alive.map(({ idleS }) => idleS)), lessThanS };
}

/** What two nodes can expect of it, in a sentence. */
export function outlook(mapping: Mapping, filtering: Filtering): string {
  switch (mapping) {
    case 'none':
      return filtering === 'none' || filtering === 'unknown'
        ? 'every node can have a direct path to this one'
        : 'no translation, a firewall: direct paths by hole punching';
    case 'endpoint-independent':
      return 'direct paths to nodes without NAT and behind NATs of this kind; by TURN to the others';
    case 'unknown':
      return 'not known: it takes two STUN addresses to tell';
    default:
      return 'direct paths to nodes without NAT only; others go by TURN';
  }
}
