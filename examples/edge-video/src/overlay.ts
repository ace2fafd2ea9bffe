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

function look(link: string): Place | undefined {
  const found = networkInterfaces()[link]?.find(({ family }) => family === 'IPv4');
  if (found?.cidr == null) return undefined;
  try {
    const index = readFileSync(`/sys/class/net/${link}/ifindex`, 'utf8').trim();
    return { address: found.address, index, cidr: found.cidr };
  } catch {
    return undefined; // Gone between the two looks.
  }
}

/** Waits for the interface to have an IPv4 address. */
export async function overlayPlace(link: string, say: (text: string) => void): Promise<Place> {
  for (let first = true; ; first = false) {
    const place = look(link);
    if (place !== undefined) return place;
    if (first) say(`waiting for ${link} to have an address`);
    await sleep(LOOK_MS);
  }
}

/**
 * Calls `gone` once when the interface is another one: memberships of multicast groups went with the former one. To begin anew is all
 * there is to do then, so whoever runs this has to start it again.
 */
export function watchPlace(link: string, place: Place, gone: () => void): void {
  const timer = setInterval(() => {
    const now = look(link);
    if (now?.address === place.address && now.index === place.index) return;
    clearInterval(timer);
    gone();
  }, LOOK_MS);
}
