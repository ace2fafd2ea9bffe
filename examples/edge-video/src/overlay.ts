/** The overlay's interface: when it is there, and whether it is still the same one. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Place {
  readonly address: string;
  /** The kernel gives each interface another one, also one that comes again under its old name. */
  readonly index: string;
  /** As in CIDR notation: address and prefix length. */
  readonly cidr: string;
}

const LOOK_MS = 1_000;

/** What a look finds of an interface that is there. */
export interface Found {
  readonly index: string;
  /** Node.js tells addresses of interfaces that are up and have a carrier; undefined of others. */
  readonly address: Pick<Place, 'address' | 'cidr'> | undefined;
  readonly carrier: boolean;
}

/** Undefined when there is no such interface. */
function look(link: string): Found | undefined {
  const file = (name: string): string => readFileSync(`/sys/class/net/${link}/${name}`, 'utf8').trim();
  try {
    const index = file('ifindex');
    const found = networkInterfaces()[link]?.find(({ family }) => family === 'IPv4');
    const address = found?.cidr == null ? undefined : { address: found.address, cidr: found.cidr };
    return { index, address, carrier: hasCarrier(() => file('carrier')) };
  } catch {
    return undefined; // Not there, or gone between two looks.
  }
}

/** The kernel refuses the question (EINVAL) for an interface that is down. */
function hasCarrier(ask: () => string): boolean {
  try {
    return ask() === '1';
  } catch {
    return false;
  }
}

/** Waits for the interface to have an IPv4 address. */
export async function overlayPlace(link: string, say: (text: string) => void): Promise<Place> {
  for (let first = true; ; first = false) {
    const found = look(link);
    if (found?.address !== undefined) return { ...found.address, index: found.index };
    if (first) say(`waiting for ${link} to have an address`);
    await sleep(LOOK_MS);
  }
}

/**
 * Whether it is the same interface as before. While it has no carrier, as after a crash of the node until another tincan has taken it over,
 * nobody tells its address, and all that is bound to it stays.
 */
export function samePlace(place: Place, found: Found | undefined): boolean {
  if (found?.index !== place.index) return false;
  return found.address === undefined ? !found.carrier : found.address.address === place.address;
}

/**
 * Calls `gone` once when the interface is another one: memberships of multicast groups went with the former one. To begin anew is all
 * there is to do then, so whoever runs this has to start it again.
 */
export function watchPlace(link: string, place: Place, gone: () => void): void {
  const timer = setInterval(() => {
    if (samePlace(place, look(link))) return;
    // The carrier may have come between the two questions of one look.
    if (samePlace(place, look(link))) return;
    clearInterval(timer);
    gone();
  }, LOOK_MS);
}
