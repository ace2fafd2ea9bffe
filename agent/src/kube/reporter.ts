/**
 * When the status is written: at once where a person or the operator waits for it, else what has changed in half a minute together, so
 * that a thousand nodes are no load on the API server. Pure.
 */
import type { EvioNodeStatus } from '../../../crds/src/evio-node.ts';
import { Backoff } from '../kube-api/backoff.ts';
import { earliest, type Instant, type Machine, type Random } from '../machine.ts';
import { Share } from '../share.ts';

export const COALESCE_MS = 30_000;
/** What goes at once may come and go, too. */
const AT_ONCE = { perSecond: 1 / 5, burst: 6 };
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

export type ReporterEvent =
  /** The status as it would be written now. */
  | { readonly kind: 'wanted'; readonly status: EvioNodeStatus }
  /** The EvioNode as the API server has it; undefined: there is none to write to. */
  | { readonly kind: 'seen'; readonly node: { readonly uid: string; readonly keyed: boolean } | undefined }
  | { readonly kind: 'written' }
  | { readonly kind: 'failed'; readonly retryAfterMs: number }
  | { readonly kind: 'deadline' };

export interface ReporterAction {
  readonly kind: 'write';
  readonly status: EvioNodeStatus;
}

export class Reporter implements Machine<ReporterEvent, ReporterAction> {
  readonly #backoff: Backoff;
  readonly #atOnce = new Share(AT_ONCE);
  #uid: string | undefined;
  #wanted: EvioNodeStatus | undefined;
  /** What the API server has from us. */
  #written: EvioNodeStatus | undefined;
  /** What is on its way. */
  #writing: EvioNodeStatus | undefined;
  #writtenAt: Instant | undefined;
  #retryAt: Instant | undefined;
  #dueAt: Instant | undefined;

  constructor(random: Random) {
    this.#backoff = new Backoff({ firstMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, random });
  }

  deadline(): Instant | undefined {
    return earliest(this.#dueAt, this.#retryAt);
  }

  handle(event: ReporterEvent, now: Instant): readonly ReporterAction[] {
    switch (event.kind) {
      case 'wanted':
        this.#wanted = event.status;
        break;
      case 'seen':
        // Made anew, or somebody has emptied it.
        if (event.node === undefined || event.node.uid !== this.#uid || !event.node.keyed) this.#written = undefined;
        if (event.node?.uid !== this.#uid) this.#retryAt = undefined;
        this.#uid = event.node?.uid;
        break;
      case 'written':
        this.#written = this.#writing;
        this.#writing = undefined;
        this.#backoff.reset();
        break;
      case 'failed':
        this.#writing = undefined;
        this.#retryAt = now + this.#backoff.pauseMs(event.retryAfterMs);
        break;
      case 'deadline':
        break;
    }
    return this.#step(now);
  }

  #step(now: Instant): readonly ReporterAction[] {
    this.#dueAt = undefined;
    const wanted = this.#wanted;
    if (this.#uid === undefined || wanted === undefined || this.#writing !== undefined) return [];
    if (this.#retryAt !== undefined && now < this.#retryAt) return [];
    this.#retryAt = undefined;
    if (this.#written !== undefined && same(this.#written, wanted)) return [];
    if (!this.#goesAtOnce(wanted, now)) {
      const due = (this.#writtenAt ?? now) + COALESCE_MS;
      if (now < due) {
        this.#dueAt = due;
        return [];
      }
    }
    this.#writing = wanted;
    this.#writtenAt = now;
    return [{ kind: 'write', status: wanted }];
  }

  #goesAtOnce(wanted: EvioNodeStatus, now: Instant): boolean {
    const written = this.#written;
    return (written === undefined || !same(pressing(written), pressing(wanted))) && this.#atOnce.take('', now);
  }
}

/** What somebody waits for. */
function pressing({ keys, observedSerial, conditions }: EvioNodeStatus): unknown {
  return { keys, observedSerial, conditions: conditions?.map(({ type, status, reason }) => [type, status, reason]) };
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
