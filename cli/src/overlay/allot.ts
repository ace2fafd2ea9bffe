/** Which addresses a node gets. Pure: the address book and the wishes go in. */

import { contains, formatAddress, type Prefix, parseAddress } from '../../../agent/src/wire/address.ts';
import { addressNumber, hostAddress, hostCount } from '../../../agent/src/wire/pool.ts';
import { Failure, UsageError } from '../failure.ts';

export interface Subnets {
  readonly subnet4?: Prefix | undefined;
  readonly subnet6?: Prefix | undefined;
}

export interface Wishes {
  readonly address4?: string | undefined;
  readonly address6?: string | undefined;
}

/** How the command line calls the wish for an address of this family. */
export type AddressOption = (family: 4 | 6) => string;

const BY_FAMILY: AddressOption = (family) => `--address${family}`;

function wished(subnet: Prefix, address: string, option: string, taken: ReadonlySet<string>): string {
  const shown = `${subnet.address}/${subnet.length}`;
  let canonical: string;
  try {
    canonical = formatAddress(parseAddress(address));
  } catch {
    throw new UsageError(`${option}: "${address}" is not allowed; allowed: an address of ${shown}`);
  }
  const n = contains(subnet, canonical) ? addressNumber(canonical) - addressNumber(subnet.address) : 0n;
  if (n < 1n || n > hostCount(subnet)) {
    throw new UsageError(`${option}: "${address}" is not allowed; allowed: a host address of ${shown}`);
  }
  if (taken.has(canonical))
    throw new UsageError(`${option}: ${canonical} belongs to another node; give another address`);
  return canonical;
}

/**
 * The lowest host number that is free in every subnet, so that a node's addresses end alike. `taken` holds addresses
 * without prefix lengths.
 */
export function allot(
  subnets: Subnets,
  wishes: Wishes,
  taken: ReadonlySet<string>,
  optionOf: AddressOption = BY_FAMILY,
): Prefix[] {
  const present = [
    { subnet: subnets.subnet4, wish: wishes.address4, option: optionOf(4) },
    { subnet: subnets.subnet6, wish: wishes.address6, option: optionOf(6) },
  ];
  for (const { subnet, wish, option } of present) {
    if (wish !== undefined && subnet === undefined) {
      throw new UsageError(`${option}: the overlay has no subnet of this family; leave it out`);
    }
  }
  const open = present.flatMap(({ subnet, wish, option }) => (subnet === undefined ? [] : [{ subnet, wish, option }]));
  const free = open.filter(({ wish }) => wish === undefined).map(({ subnet }) => subnet);
  const number = free.length === 0 ? 0n : lowestFree(free, taken);
  return open.map(({ subnet, wish, option }) => ({
    family: subnet.family,
    address: wish === undefined ? hostAddress(subnet, number) : wished(subnet, wish, option, taken),
    length: subnet.length,
  }));
}

function lowestFree(subnets: readonly Prefix[], taken: ReadonlySet<string>): bigint {
  for (let n = 1n; subnets.every((subnet) => n <= hostCount(subnet)); n++) {
    if (subnets.every((subnet) => !taken.has(hostAddress(subnet, n)))) return n;
  }
  throw new Failure(
    `no address is left in ${subnets.map((s) => `${s.address}/${s.length}`).join(' and ')}; revoke nodes that are gone`,
  );
}
