/**
 * Who came into a large overlay asks its neighbours for all members, some at a time in the order of their ids, so that nobody is sent more
 * than it has asked for.
 */
import type { Instant } from '../machine.ts';
import type { NodeId } from '../wire/ids.ts';

/** After that the next neighbour is asked. */
export const ANSWER_MS = 3_000;
/** Before the first. */
const NOBODY: NodeId = '0'.repeat(32);

export type PullAction =
  | { readonly kind: 'ask'; readonly peer: NodeId; readonly after: NodeId }
  /** Nobody comes after the last. */
  | { readonly kind: 'done' };

export class Pull {
  #peer: NodeId | undefined;
  #after = NOBODY;
  #until: Instant | undefined;
  #done = false;

  get done(): boolean {
    return this.#done;
  }

  /** When `ask` is to be called again. */
  deadline(): Instant | undefined {
    return this.#until;
  }

  /** Asks one of the neighbours, unless one was asked a moment ago. */
  ask(neighbours: readonly NodeId[], now: Instant): readonly PullAction[] {
    if (this.#done || (this.#until !== undefined && now < this.#until && neighbours.includes(this.#peer ?? '')))
      return [];
    // Another one than the one that did not answer.
    const place = this.#peer === undefined ? -1 : neighbours.indexOf(this.#peer);
    this.#peer = neighbours[(place + 1) % Math.max(1, neighbours.length)];
    if (this.#peer === undefined) {
      this.#until = undefined;
      return [];
    }
    return [this.#next(this.#peer, now)];
  }

  /** A peer says who comes after a member. */
  took(from: NodeId, after: NodeId, ids: readonly NodeId[], now: Instant): readonly PullAction[] {
    if (this.#done || from !== this.#peer || after !== this.#after) return [];
    // Or it would go on for ever.
    if (!ids.every((id, i) => id > (ids[i - 1] ?? after))) return [];
    const last = ids.at(-1);
    if (last === undefined) {
      this.#done = true;
      this.#until = undefined;
      return [{ kind: 'done' }];
    }
    this.#after = last;
    return [this.#next(from, now)];
  }

  #next(peer: NodeId, now: Instant): PullAction {
    this.#until = now + ANSWER_MS;
    return { kind: 'ask', peer, after: this.#after };
  }
}
