/**
 * When a node's data path is proven: before that no pod starts on it. tincan carries frames, the bridge has the node's addresses, and some
 * other member has answered, end to end; or there is no other. A node that was a member before and is cut off must start its pods all the
 * same: it waits for an answer for a while only. What was proven with this tincan need not be proven to the agent's next life. Pure.
 */
import type { Instant } from '../machine.ts';

/** A member that was reached before answers within a few seconds, if it can be reached at all. */
export const PATIENCE_MS = 30_000;
/** From one question to the next; each goes to another member. */
export const ASK_EVERY_MS = 1_000;

export interface ProofFacts {
  /** tincan has this node's identity. */
  readonly tincan: boolean;
  /** The node's addresses that its bridge does not have. */
  readonly missing: readonly string[];
  readonly bridge: string;
  /** Who the other members are is known as well as it gets. */
  readonly settled: boolean;
  /** The XMPP server is connected: only then is it known that there are none. */
  readonly online: boolean;
  readonly members: readonly string[];
  /** It was enrolled in an earlier life. */
  readonly known: boolean;
}

export type Proof =
  | { readonly ok: true; readonly message: string }
  | { readonly ok: false; readonly reason: 'DataPlaneAbsent' | 'Unverified'; readonly message: string };

const PENDING: Proof = { ok: false, reason: 'DataPlaneAbsent', message: 'the node has not been started yet' };

export class DataPathProof {
  #proven: string | undefined;
  #since: Instant | undefined;
  #askedAt: Instant | undefined;
  #next = 0;
  #now: Proof = PENDING;

  /** How it is, by the last facts: once proven it stays so for as long as tincan and the addresses are there. */
  get state(): Proof {
    return this.#now;
  }

  /** It was proven at some time. */
  get proven(): boolean {
    return this.#proven !== undefined;
  }

  /** A member answered. */
  answered(name: string): void {
    this.#proven ??= `${name} answers`;
  }

  /** It was proven to an agent before this one, with the tincan that runs. */
  carriedOn(): void {
    this.#proven ??= 'it was proven before the agent was started again';
  }

  /** The member to ask now, if any. */
  handle(facts: ProofFacts | undefined, now: Instant): string | undefined {
    if (facts === undefined) {
      this.#now = PENDING;
      return undefined;
    }
    const absent = absence(facts);
    if (absent !== undefined) {
      this.#since = undefined;
      this.#now = { ok: false, reason: 'DataPlaneAbsent', message: absent };
      return undefined;
    }
    this.#since ??= now;
    this.#proven ??= this.#withoutAnswer(facts, now - this.#since);
    if (this.#proven !== undefined) {
      this.#now = { ok: true, message: this.#proven };
      return undefined;
    }
    const { members } = facts;
    const waiting =
      members.length === 0
        ? 'who else is a member is not known yet'
        : `none of ${members.length} other members answers`;
    this.#now = { ok: false, reason: 'Unverified', message: waiting };
    if (members.length === 0 || (this.#askedAt !== undefined && now - this.#askedAt < ASK_EVERY_MS)) return undefined;
    this.#askedAt = now;
    return members[this.#next++ % members.length];
  }

  #withoutAnswer({ settled, online, members, known }: ProofFacts, waitedMs: number): string | undefined {
    if (settled && online && members.length === 0) return 'there is no other member yet';
    return known && waitedMs >= PATIENCE_MS ? 'no other member answers; it goes on as it did before' : undefined;
  }
}

function absence({ tincan, missing, bridge }: ProofFacts): string | undefined {
  if (!tincan) return 'no tincan carries the frames of this node; see the evio-dataplane pod';
  return missing.length === 0 ? undefined : `${bridge} lacks ${missing.join(' and ')}`;
}
