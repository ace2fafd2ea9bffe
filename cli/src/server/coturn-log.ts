/** Which lines of coturn's log a person should see. */

/** So many addresses are remembered. */
const PEERS_MAX = 1_000;

/**
 * Nodes ask for every address of their peers, also for private ones, which the relay refuses: coturn says so each time, in a line for the
 * address and one for the request. The first of an address is told.
 */
export function coturnMatters(): (line: string) => boolean {
  const refused = new Set<string>();
  return (line) => {
    const peer = /\bA peer IP (\S+) denied in the range/.exec(line)?.[1];
    if (peer !== undefined) {
      if (refused.has(peer)) return false;
      // The oldest one is told again, should it come again.
      for (const oldest of refused) {
        if (refused.size < PEERS_MAX) break;
        refused.delete(oldest);
      }
      refused.add(peer);
      return true;
    }
    if (/\berror 403: Forbidden IP\b/.test(line)) return false;
    return /ERROR|WARNING|Cannot/.test(line) && !/CONFIG|deprecat|sqlite|userdb/i.test(line);
  };
}
