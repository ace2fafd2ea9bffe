/**
 * coturn's own word of what it relayed. A verbose coturn 4.6 prints two lines for an allocation after every 4096 packets of it
 * (the sum of all four counts), with what was added since its last lines:
 *
 *     session 001000000000000021: usage: realm=<r>, username=<1795719064:lte1.mesh>, rp=1123, rb=1111873, sp=932, sb=118721
 *     session 001000000000000021: peer usage: realm=<r>, username=<1795719064:lte1.mesh>, rp=930, rb=114945, sp=1111, sb=1105645
 *
 * Received and sent packets and bytes of UDP payload: `usage` on the client's side, its control messages included, `peer usage`
 * on the allocation's. The last lines come when an allocation ends, which a closed WebRTC connection leaves to its lifetime (10
 * minutes). So up to 4095 packets of each allocation are not in the sums yet; half of them it gave out.
 */
export const UNSAID_PACKETS = 2048;

export interface Usage {
  /** Allocations that have said something. */
  readonly allocations: number;
  readonly fromPeers: number;
  readonly toPeers: number;
}

const LINE = /session (\d+): peer usage: realm=<[^>]*>, username=<\d+:([^>]+)>, rp=\d+, rb=(\d+), sp=\d+, sb=(\d+)/g;

/** Bytes relayed so far, by the name of the node that holds the allocations; nodes of other overlays are left out. */
export function usageOf(log: string, overlay: string): ReadonlyMap<string, Usage> {
  const sessions = new Map<string, Set<string>>();
  const found = new Map<string, Usage>();
  for (const [, session, account, received, sent] of log.matchAll(LINE)) {
    if (session === undefined || !account?.endsWith(`.${overlay}`)) continue;
    // An agent makes an allocation to see whether its credentials are taken, and gives it back unused.
    if (Number(received) + Number(sent) === 0) continue;
    const node = account.slice(0, -overlay.length - 1);
    const known = sessions.get(node) ?? new Set();
    sessions.set(node, known.add(session));
    const before = found.get(node);
    found.set(node, {
      allocations: known.size,
      fromPeers: (before?.fromPeers ?? 0) + Number(received),
      toPeers: (before?.toPeers ?? 0) + Number(sent),
    });
  }
  return found;
}
