/**
 * Which of several operators acts: who holds a Lease (coordination.k8s.io/v1), as client-go's leaderelection does it and together with it.
 *
 * Every write carries the resource version it is based on, so of two that want the lease one gets it. No clock of another machine is
 * trusted: a candidate counts from when it saw the holder's last sign, on a clock that only goes forward and goes on while the machine
 * sleeps; the holder counts from before it sent its own. So the holder's time is over first, whatever befalls clocks and processes.
 */
import type { Instant, Machine, Random } from '../../../agent/src/machine.ts';

/** What is known of a Lease. */
export interface LeaseState {
  /** Empty when it was given back. */
  readonly holder: string;
  readonly durationMs: number;
  readonly transitions: number;
  readonly resourceVersion: string;
}

/** What is to be written; `acquired` when the holder changes. */
export interface LeaseClaim {
  readonly holder: string;
  readonly durationMs: number;
  readonly transitions: number;
  readonly acquired: boolean;
  /** Undefined to create it: fails when somebody else does. */
  readonly resourceVersion: string | undefined;
}

export type LeaderEvent =
  | { readonly kind: 'start' }
  /** Gives the lease back, if it is held. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'deadline' }
  /** Undefined when there is no such Lease. */
  | { readonly kind: 'read'; readonly id: number; readonly lease: LeaseState | undefined }
  | { readonly kind: 'written'; readonly id: number; readonly lease: LeaseState }
  /** Somebody else wrote first. */
  | { readonly kind: 'conflict'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };

export type LeaderAction =
  | { readonly kind: 'read'; readonly id: number }
  | { readonly kind: 'write'; readonly id: number; readonly claim: LeaseClaim }
  /** From here on this process acts. */
  | { readonly kind: 'lead' }
  /** It acts no more, and must end: what it was doing may be half done. Nothing comes after it. */
  | { readonly kind: 'lost'; readonly why: string }
  /** The end after `stop`. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'report'; readonly line: string };

/** client-go's defaults. */
export const LEASE_MS = 15_000;
/** A holder that could not renew for this long stops. */
export const RENEW_DEADLINE_MS = 10_000;
export const RETRY_MS = 2_000;
/** A request that is not answered by then is tried again. */
export const REQUEST_MS = 4_000;

export interface LeaderOptions {
  /** Of this process alone, even after a restart under the same name. */
  readonly identity: string;
  readonly random: Random;
}

interface Request {
  readonly id: number;
  readonly sentAt: Instant;
  readonly until: Instant;
  readonly what: 'read' | 'acquire' | 'renew' | 'release';
}

export class LeaderMachine implements Machine<LeaderEvent, LeaderAction> {
  readonly #options: LeaderOptions;
  #state: 'idle' | 'candidate' | 'leading' | 'releasing' | 'over' = 'idle';
  #request: Request | undefined;
  #nextAt: Instant | undefined;
  #lastId = 0;
  /** As last seen, and since when it is so. */
  #seen: { readonly lease: LeaseState; readonly at: Instant } | undefined;
  #renewedAt: Instant = 0;
  #toldHolder = '';
  #toldFailure = '';

  constructor(options: LeaderOptions) {
    this.#options = options;
  }

  /** This process acts, and nobody else can have taken over by now. To be asked right before each write: it may have been paused. */
  leads(now: Instant): boolean {
    return this.#state === 'leading' && now - this.#renewedAt < RENEW_DEADLINE_MS;
  }

  /** Empty while unknown. */
  get holder(): string {
    return this.#seen?.lease.holder ?? '';
  }

  deadline(): Instant | undefined {
    const at = this.#request?.until ?? this.#nextAt;
    if (this.#state !== 'leading' || at === undefined) return at;
    return Math.min(at, this.#renewedAt + RENEW_DEADLINE_MS);
  }

  handle(event: LeaderEvent, now: Instant): readonly LeaderAction[] {
    if (this.#state === 'over') return [];
    // A process that was paused, or cut off, finds out before anything else.
    if (this.#state === 'leading' && now - this.#renewedAt >= RENEW_DEADLINE_MS && !this.#renews(event))
      return this.#end({ kind: 'lost', why: `the lease could not be renewed for ${RENEW_DEADLINE_MS / 1000} s` });
    switch (event.kind) {
      case 'start':
        if (this.#state !== 'idle') return [];
        this.#state = 'candidate';
        return [this.#read(now)];
      case 'stop':
        return this.#stop(now);
      case 'deadline':
        return this.#deadline(now);
      default:
        return this.#answer(event, now);
    }
  }

  /** Its success proves that nobody took the lease meanwhile: a write based on an older version is refused. */
  #renews(event: LeaderEvent): boolean {
    return event.kind === 'written' && event.id === this.#request?.id && this.#request.what === 'renew';
  }

  #answer(event: Exclude<LeaderEvent, { kind: 'start' | 'stop' | 'deadline' }>, now: Instant): readonly LeaderAction[] {
    const request = this.#request;
    if (request === undefined || request.id !== event.id) return [];
    this.#request = undefined;
    if (this.#state === 'releasing') {
      if (event.kind === 'written') this.#see(event.lease, now);
      return request.what === 'release' ? this.#end({ kind: 'stopped' }) : this.#release(now);
    }
    switch (event.kind) {
      case 'read':
        return this.#found(event.lease, now);
      case 'written':
        this.#see(event.lease, now);
        return this.#held(request, now);
      case 'conflict':
        // Who was faster, or was it our own write whose answer was lost?
        return [this.#read(now)];
      case 'failed':
        this.#again(now);
        return this.#failed(event.message);
    }
  }

  #found(lease: LeaseState | undefined, now: Instant): readonly LeaderAction[] {
    const { identity } = this.#options;
    this.#toldFailure = '';
    if (lease === undefined) {
      if (this.#state === 'leading') return this.#end({ kind: 'lost', why: 'the lease was deleted' });
      return [this.#write('acquire', { transitions: 0, acquired: true, resourceVersion: undefined }, now)];
    }
    const seenAt = this.#see(lease, now);
    const { holder, transitions, resourceVersion } = lease;
    if (this.#state === 'leading') {
      if (holder !== identity) return this.#end({ kind: 'lost', why: `${holder || 'nobody'} holds the lease now` });
      return [this.#write('renew', { transitions, acquired: false, resourceVersion }, now)];
    }
    const free = holder === '' || holder === identity || now - seenAt >= lease.durationMs;
    if (!free) {
      this.#again(now);
      return this.#waits(holder);
    }
    const changed = holder !== identity;
    const claim = { transitions: transitions + (changed ? 1 : 0), acquired: changed, resourceVersion };
    return [this.#write('acquire', claim, now)];
  }

  #held(request: Request, now: Instant): readonly LeaderAction[] {
    this.#toldFailure = '';
    this.#renewedAt = request.sentAt;
    this.#again(now);
    if (this.#state !== 'candidate') return [];
    // The answer took so long that somebody else may hold it already: renewed first, then led.
    if (now - request.sentAt >= RENEW_DEADLINE_MS) return [];
    this.#state = 'leading';
    return [{ kind: 'lead' }];
  }

  #deadline(now: Instant): readonly LeaderAction[] {
    const request = this.#request;
    if (request !== undefined) {
      if (now < request.until) return [];
      this.#request = undefined;
      if (this.#state === 'releasing') return this.#end({ kind: 'stopped' });
      // The time of a try was spent waiting: no pause before the next.
      return [...this.#failed('no answer from the API server'), this.#next(now)];
    }
    if (this.#nextAt === undefined || now < this.#nextAt) return [];
    return [this.#next(now)];
  }

  #next(now: Instant): LeaderAction {
    this.#nextAt = undefined;
    const seen = this.#seen?.lease;
    if (this.#state !== 'leading' || seen === undefined) return this.#read(now);
    const { transitions, resourceVersion } = seen;
    return this.#write('renew', { transitions, acquired: false, resourceVersion }, now);
  }

  #stop(now: Instant): readonly LeaderAction[] {
    if (this.#state === 'releasing') return [];
    if (this.#state !== 'leading') return this.#end({ kind: 'stopped' });
    this.#state = 'releasing';
    this.#nextAt = undefined;
    // What is on its way changes the resource version: its answer is waited for.
    return this.#request === undefined ? this.#release(now) : [];
  }

  /** As client-go does it: nobody for a second, so that others need not wait. */
  #release(now: Instant): readonly LeaderAction[] {
    const seen = this.#seen?.lease;
    if (seen === undefined) return this.#end({ kind: 'stopped' });
    const { transitions, resourceVersion } = seen;
    const claim = { transitions, acquired: false, resourceVersion, holder: '', durationMs: 1000 };
    return [this.#write('release', claim, now)];
  }

  /** Since when the lease is as it is: any write of its holder makes it live anew. */
  #see(lease: LeaseState, now: Instant): Instant {
    if (this.#seen?.lease.resourceVersion !== lease.resourceVersion || this.#seen.lease.holder !== lease.holder)
      this.#seen = { lease, at: now };
    return this.#seen.at;
  }

  #read(now: Instant): LeaderAction {
    const { id } = this.#ask('read', now);
    return { kind: 'read', id };
  }

  #write(
    what: Request['what'],
    claim: Omit<LeaseClaim, 'holder' | 'durationMs'> & Partial<LeaseClaim>,
    now: Instant,
  ): LeaderAction {
    const { id } = this.#ask(what, now);
    const whole = { holder: this.#options.identity, durationMs: LEASE_MS, ...claim };
    return { kind: 'write', id, claim: whole };
  }

  #ask(what: Request['what'], now: Instant): Request {
    this.#nextAt = undefined;
    this.#request = { id: ++this.#lastId, sentAt: now, until: now + REQUEST_MS, what };
    return this.#request;
  }

  #again(now: Instant): void {
    this.#nextAt = now + RETRY_MS * (this.#state === 'leading' ? 1 : 1 + 0.2 * this.#options.random());
  }

  #failed(message: string): readonly LeaderAction[] {
    if (this.#toldFailure === message) return [];
    this.#toldFailure = message;
    return [{ kind: 'report', line: `leader election: ${message}` }];
  }

  #waits(holder: string): readonly LeaderAction[] {
    if (this.#toldHolder === holder) return [];
    this.#toldHolder = holder;
    return [{ kind: 'report', line: `${holder} leads; this process waits to take over` }];
  }

  #end(last: LeaderAction): readonly LeaderAction[] {
    this.#state = 'over';
    this.#request = undefined;
    this.#nextAt = undefined;
    return [last];
  }
}
