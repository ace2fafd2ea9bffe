/**
 * Wanted peers without a tunnel that works, and since when they are suspected of being dead.
 *
 * A suspicion changes nothing but whom we want besides: the ring closes over a suspect, and we go on trying to reach it.
 */

import { earliest, type Instant } from '../machine.ts';
import type { NodeId } from './label.ts';

/** A peer that was never reached is suspected after this. One whose tunnel broke is suspected at once. */
export const SUSPECT_AFTER_MS = 5_000;
/** A suspect we stopped wanting gets another chance after this. */
export const FORGET_AFTER_MS = 60_000;

export class Absences {
  /** The instant from which each absent peer is suspected. */
  readonly #suspectAt = new Map<NodeId, Instant>();
  readonly #wanted = new Set<NodeId>();

  suspected(peer: NodeId, now: Instant): boolean {
    const at = this.#suspectAt.get(peer);
    return at !== undefined && now >= at;
  }

  suspects(now: Instant): readonly NodeId[] {
    return [...this.#suspectAt.keys()].filter((peer) => this.suspected(peer, now));
  }

  broke(peer: NodeId, now: Instant): void {
    this.#suspectAt.set(peer, now);
  }

  arrived(peer: NodeId): void {
    this.#suspectAt.delete(peer);
  }

  /** Notes who is wanted and absent now, and forgets who is no member or long unwanted. */
  update(wantedAbsent: Iterable<NodeId>, isMember: (peer: NodeId) => boolean, now: Instant): void {
    this.#wanted.clear();
    for (const peer of wantedAbsent) {
      this.#wanted.add(peer);
      if (!this.#suspectAt.has(peer)) this.#suspectAt.set(peer, now + SUSPECT_AFTER_MS);
    }
    for (const [peer, at] of this.#suspectAt) {
      const over = !this.#wanted.has(peer) && now >= at + FORGET_AFTER_MS;
      if (over || !isMember(peer)) this.#suspectAt.delete(peer);
    }
  }

  /** When the next suspicion begins or is forgotten. */
  deadline(now: Instant): Instant | undefined {
    return earliest(
      ...[...this.#suspectAt].map(([peer, at]) =>
        at > now ? at : this.#wanted.has(peer) ? undefined : at + FORGET_AFTER_MS,
      ),
    );
  }
}
