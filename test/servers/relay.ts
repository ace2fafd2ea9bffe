/** Two sockets that lead to each other: what one gets the other sends, and neither outlives the other. */
import type { Duplex } from 'node:stream';

export function relay(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
}
