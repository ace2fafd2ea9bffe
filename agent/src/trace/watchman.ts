/**
 * Which traces of others this node counts for. Any member may ask, for frames of its own only, and so many at once; what exceeds its
 * share is answered by nothing.
 */
import type { Instant } from '../machine.ts';
import { Share } from '../share.ts';
import type { NodeId } from '../wire/ids.ts';
import type { KernelCounts } from './types.ts';

/** Questions of one member. A trace asks each station two to eight times. */
const QUESTIONS = { perSecond: 5, burst: 40 };
/** How long tincan counts for one. */
export const WATCH_MS = 30_000;
export const WATCHES_OF_ONE = 4;
/** tincan has room for 16; our own traces need some. */
export const WATCHES_OF_ALL = 12;

interface Watched {
  readonly by: NodeId;
  readonly behind: string | undefined;
  readonly since: Instant;
  /** When it began. */
  readonly kernel: KernelCounts | null;
}

export class Watchman {
  readonly #questions = new Share(QUESTIONS);
  readonly #watched = new Map<string, Watched>();

  /** Whether a question of that member is looked at. */
  hears(from: NodeId, now: Instant): boolean {
    return this.#questions.take(from, now);
  }

  /** Whether to count for this trace; one that is counted already is. `kernel`: as the kernel counts now, with the link to `behind`. */
  takes(from: NodeId, trace: string, kernel: KernelCounts | null, now: Instant, behind?: string): boolean {
    for (const [one, { since }] of this.#watched) if (now - since >= WATCH_MS) this.#watched.delete(one);
    const known = this.#watched.get(trace);
    if (known !== undefined) return known.by === from;
    const own = [...this.#watched].filter(([, { by }]) => by === from);
    // Whoever traces again and again is done with the first.
    const [oldest] = own;
    if (oldest !== undefined && own.length >= WATCHES_OF_ONE) this.#watched.delete(oldest[0]);
    if (this.#watched.size >= WATCHES_OF_ALL) return false;
    this.#watched.set(trace, { by: from, since: now, kernel, behind });
    return true;
  }

  /** What the kernel counted when the watch began; undefined: this member watches no such trace. */
  since(from: NodeId, trace: string): Pick<Watched, 'kernel' | 'behind'> | undefined {
    const known = this.#watched.get(trace);
    return known?.by === from ? known : undefined;
  }
}

/** How much more; null where either is not known. */
export function kernelSince(before: KernelCounts | null, after: KernelCounts | null): KernelCounts | null {
  if (before === null || after === null) return null;
  const more = (was: number, is: number) => Math.max(0, is - was);
  const [was, is] = [before.link, after.link];
  const link = is && {
    name: is.name,
    sent: more(was?.sent ?? 0, is.sent),
    received: more(was?.received ?? 0, is.received),
    dropped: more(was?.dropped ?? 0, is.dropped),
  };
  return {
    echoIn: more(before.echoIn, after.echoIn),
    replyOut: more(before.replyOut, after.replyOut),
    // A pod that came meanwhile has another link, which counts from nothing.
    link: was === null || was.name === is?.name ? link : null,
  };
}
