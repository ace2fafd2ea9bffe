/**
 * One WebRTC connection as the tunnel's machine sees it: what has been said to the peer about it, and what still has to be.
 *
 * What ICE finds within GATHER_MS travels inside the description, and what it finds later in few messages: XMPP servers throttle,
 * and half of a message is what seals and addresses it (RFC 8838 §4.2 calls it half trickle when nothing follows). The answerer
 * checks nothing before it knows that its answer has arrived (see `RtcConnection.proceed`): the offerer shows that by its candidates,
 * be they none.
 *
 * No way of a message vouches for it: who changes its name in the room, or a node on the way that ends, loses what comes just then. An
 * offer without an answer is said once more, and whoever gets it twice answers twice.
 */
import type { EdgeKind } from '../api.ts';
import { earliest, type Instant } from '../machine.ts';
import { ICE_CANDIDATES_MAX } from '../wire/bodies.ts';
import { type SdpType, withCandidates } from './sdp.ts';
import type { TunnelAction, TunnelBody } from './types.ts';

export const GATHER_MS = 120;
/** An offer without an answer is given up. */
export const ANSWER_TIMEOUT_MS = 5_000;
/** An offer or its answer may have been lost: it is said again after this, the same one. */
export const REPEAT_MS = 1_000;
/** ICE over TURN and DTLS with one lost flight take about 3 s. */
export const CONNECT_TIMEOUT_MS = 7_000;
/** An answerer that heard no candidates begins its checks all the same: they may have been lost. */
export const PROCEED_MS = 1_000;
/** Later candidates go together: the library finds a relay's for each server, and each address of its own, in one go. */
export const BATCH_MS = 50;

/** What an offer or an answer says besides its SDP. */
export interface Circumstances {
  readonly udp: readonly string[];
  readonly kinds: readonly EdgeKind[];
}

export class Connection {
  /** 16 hex characters, drawn by the offerer. */
  readonly tunnel: string;
  readonly role: SdpType;
  #open = false;
  #giveUpAt: Instant;
  #sdp: string | undefined;
  /** Set while the description waits for candidates. */
  #sendAt: Instant | undefined;
  #sent = false;
  /** What the description was sent as. */
  #said: TunnelBody | undefined;
  /** When an offer is said again. */
  #repeatAt: Instant | undefined;
  /** Candidates that go inside the description. */
  readonly #early: string[] = [];
  /** Candidates that came later and wait: an offerer's for the answer, all for others that follow. */
  readonly #late: string[] = [];
  #tellAt: Instant | undefined;
  /** The peer has our description. */
  #known = false;
  /** When an answerer takes that for granted. */
  #proceedAt: Instant | undefined;

  readonly #repeats: boolean;

  /** `repeats`: an offer is said again; not to a peer that has not answered lately, which is probably dead. */
  constructor(tunnel: string, role: SdpType, now: Instant, repeats = false) {
    this.tunnel = tunnel;
    this.role = role;
    this.#repeats = repeats;
    this.#giveUpAt = now + (role === 'offer' ? ANSWER_TIMEOUT_MS : CONNECT_TIMEOUT_MS);
  }

  get open(): boolean {
    return this.#open;
  }

  /** The description has left. */
  get sent(): boolean {
    return this.#sent;
  }

  /** An offer that has left, and nothing shows that the peer has it. */
  get unanswered(): boolean {
    return this.role === 'offer' && this.#sent && !this.#known && !this.#open;
  }

  deadline(): Instant | undefined {
    return this.#open
      ? undefined
      : earliest(this.#sendAt, this.#tellAt, this.#repeatAt, this.#proceedAt, this.#giveUpAt);
  }

  overdue(now: Instant): boolean {
    return !this.#open && now >= this.#giveUpAt;
  }

  described(sdp: string, now: Instant): void {
    if (this.#sdp !== undefined) return;
    this.#sdp = sdp;
    this.#sendAt = now + GATHER_MS;
  }

  candidate(candidate: string, now: Instant): void {
    if (!this.#sent) {
      this.#early.push(candidate);
      return;
    }
    this.#late.push(candidate);
    if (this.role === 'answer' || this.#known) this.#tellAt ??= now + BATCH_MS;
  }

  /** Sends the description, if there is one that has not left. */
  describe({ udp, kinds }: Circumstances, now: Instant): readonly TunnelAction[] {
    if (this.#sdp === undefined || this.#sent) return [];
    this.#sent = true;
    this.#sendAt = undefined;
    const { tunnel } = this;
    const sdp = withCandidates(this.#sdp, this.#early.slice(0, ICE_CANDIDATES_MAX));
    if (this.role === 'offer') {
      this.#said = { type: 'offer', tunnel, sdp, udp, kinds };
      if (this.#repeats) this.#repeatAt = now + REPEAT_MS;
    } else {
      this.#said = { type: 'answer', tunnel, sdp, udp };
      if (!this.#known) this.#proceedAt = now + PROCEED_MS;
    }
    return [send(this.#said)];
  }

  /** The peer has not got what we described, as far as we know: the same again. */
  repeat(): readonly TunnelAction[] {
    this.#repeatAt = undefined;
    return this.#said === undefined || this.#known || this.#open ? [] : [send(this.#said)];
  }

  /** The answer to our offer is here. */
  answered(now: Instant): readonly TunnelAction[] {
    this.#known = true;
    this.#repeatAt = undefined;
    this.#giveUpAt = now + CONNECT_TIMEOUT_MS;
    return [this.#tell()];
  }

  /** The peer has our answer. */
  proceed(): readonly TunnelAction[] {
    if (this.role !== 'answer' || this.#known) return [];
    this.#known = true;
    this.#proceedAt = undefined;
    return [{ kind: 'rtc-proceed', tunnel: this.tunnel }];
  }

  opened(): void {
    this.#open = true;
  }

  /** What is due by now, but for giving up. */
  due(circumstances: Circumstances, now: Instant): readonly TunnelAction[] {
    if (this.#sendAt !== undefined && now >= this.#sendAt) return this.describe(circumstances, now);
    if (this.#tellAt !== undefined && now >= this.#tellAt) return [this.#tell()];
    if (this.#repeatAt !== undefined && now >= this.#repeatAt) return this.repeat();
    if (this.#proceedAt !== undefined && now >= this.#proceedAt) return this.proceed();
    return [];
  }

  #tell(): TunnelAction {
    this.#tellAt = undefined;
    return send({ type: 'candidates', tunnel: this.tunnel, candidates: this.#late.splice(0, ICE_CANDIDATES_MAX) });
  }
}

function send(body: TunnelBody): TunnelAction {
  return { kind: 'send', body };
}
