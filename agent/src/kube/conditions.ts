/** The conditions of an EvioNode, from how its node is. Pure. */
import type { Condition, NodeConditionType, Reason } from '../../../crds/src/condition.ts';
import type { NodeFacts } from '../view.ts';
import type { Standing } from './enroller.ts';
import type { Proof } from './proof.ts';

/** How the CNI configuration stands. */
export type PodNetwork =
  /** Pods have another network (HostNetwork), or the node is not enrolled. */
  | { readonly kind: 'not-wanted' }
  /** It is in place; the message says what is missed, if anything. */
  | { readonly kind: 'configured'; readonly message: string }
  | { readonly kind: 'missing'; readonly message: string };

export interface Picture {
  readonly standing: Standing;
  readonly facts: NodeFacts | undefined;
  readonly proof: Proof;
  readonly pods: PodNetwork;
}

export interface Verdict {
  readonly type: NodeConditionType;
  readonly status: Condition['status'];
  readonly reason: Reason;
  readonly message: string;
}

/** What a message may be long: nobody reads more. */
const MESSAGE_MAX = 1_000;

/** Ready first, as people read. */
export function verdicts(picture: Picture): readonly Verdict[] {
  const parts = [agentReady(picture), dataPlaneReady(picture), podNetworkReady(picture)];
  const failing = parts.find((part) => part.status !== 'True');
  const ready: Verdict =
    failing === undefined
      ? { type: 'Ready', status: 'True', reason: 'Ready', message: '' }
      : { ...failing, type: 'Ready' };
  return [ready, ...parts, signallingConnected(picture), ringJoined(picture), addressConflict(picture)].map((one) => ({
    ...one,
    message: one.message.slice(0, MESSAGE_MAX),
  }));
}

/** A node that was enrolled once runs on with that: a later enrolment that is refused says so here, and traffic passes all the same. */
function agentReady({ standing, facts }: Picture): Verdict {
  const type = 'AgentReady';
  if (standing.kind === 'refused' && facts === undefined)
    return { type, status: 'False', reason: 'EnrolmentInvalid', message: standing.message };
  if (standing.kind === 'refused')
    return {
      type,
      status: 'True',
      reason: 'EnrolmentInvalid',
      message: `${standing.message}; it runs on with the former one`,
    };
  if (standing.kind === 'awaiting')
    return { type, status: 'False', reason: 'AwaitingEnrolment', message: standing.message };
  return { type, status: 'True', reason: 'Running', message: causes(facts, (code) => NODE.test(code)).join('; ') };
}

/** Of the node itself: who it is, its clock, its disk. */
const NODE = /^(revoked|clock|certificate-|address-duplicate|identity-twin|state-)/;
/** Of the ways to the others. */
const WAYS = /^(udp-|turn-|stun-|tincan-|ovs-|peer-|path-)/;

/** What is wrong, and what to do about it. */
const causes = (facts: NodeFacts | undefined, of: (code: string) => boolean): readonly string[] =>
  facts?.findings.filter(({ code }) => of(code)).map(({ text, fix }) => `${steady(text)}: ${fix}`) ?? [];

/** Without the time of day: what a clock says now would be written anew every minute. */
const steady = (text: string): string =>
  text.replace(/ \(it says [^)]*\)/, '').replace(/; certificates are judged .*$/, '');

function dataPlaneReady({ proof, facts }: Picture): Verdict {
  const type = 'DataPlaneReady';
  // Some prefixes are not reached, or pods' sources not checked: traffic passes all the same.
  const prefixes = facts?.problems.filter(({ kind }) => kind !== CONFLICT).map(({ text }) => text) ?? [];
  const wrong = [...prefixes, ...causes(facts, (code) => WAYS.test(code))];
  if (proof.ok) return { type, status: 'True', reason: 'Verified', message: [proof.message, ...wrong].join('; ') };
  return { type, status: 'False', reason: proof.reason, message: [proof.message, ...wrong].join('; ') };
}

function podNetworkReady({ pods }: Picture): Verdict {
  const type = 'PodNetworkReady';
  switch (pods.kind) {
    case 'not-wanted':
      return { type, status: 'True', reason: 'NotWanted', message: '' };
    case 'configured':
      return { type, status: 'True', reason: 'Configured', message: pods.message };
    case 'missing':
      return { type, status: 'False', reason: 'Pending', message: pods.message };
  }
}

function signallingConnected({ facts }: Picture): Verdict {
  const type = 'SignallingConnected';
  if (facts === undefined) return { type, status: 'Unknown', reason: 'Pending', message: '' };
  const { online, error } = facts.signalling;
  if (online) return { type, status: 'True', reason: 'Connected', message: '' };
  const [cause] = causes(facts, (code) => /^(xmpp-|room-missing|not-a-member)/.test(code));
  return { type, status: 'False', reason: 'Disconnected', message: cause ?? error ?? 'connecting' };
}

function ringJoined({ facts }: Picture): Verdict {
  const type = 'RingJoined';
  if (facts === undefined) return { type, status: 'Unknown', reason: 'Pending', message: '' };
  if (facts.ringComplete) return { type, status: 'True', reason: 'RingComplete', message: '' };
  const missing = facts.edges
    .filter(({ kinds, path }) => path !== 'direct' && path !== 'webrtc' && kinds.some((kind) => RING.has(kind)))
    .map(({ name }) => name);
  const message = missing.length === 0 ? '' : `no tunnel to ${missing.slice(0, 8).join(', ')}`;
  return { type, status: 'False', reason: 'RingIncomplete', message };
}

const RING: ReadonlySet<string> = new Set(['successor', 'predecessor']);

const CONFLICT = 'address-conflict';

function addressConflict({ facts }: Picture): Verdict {
  const type = 'AddressConflict';
  if (facts === undefined) return { type, status: 'Unknown', reason: 'Pending', message: '' };
  const conflicts = facts.problems.filter(({ kind }) => kind === CONFLICT).map(({ text }) => text);
  if (conflicts.length === 0) return { type, status: 'False', reason: 'NoConflict', message: '' };
  return { type, status: 'True', reason: 'RouteOverlaps', message: conflicts.slice(0, 4).join('; ') };
}

/** Gives conditions their times: a status that stays keeps the time it came. */
export class Conditions {
  readonly #since = new Map<string, { readonly status: string; readonly time: string; readonly first: boolean }>();

  /** From an earlier life, as the object has them: a status that was there at our start may have come long before. */
  adopt(conditions: readonly Condition[]): void {
    for (const { type, status, lastTransitionTime: time } of conditions) {
      const ours = this.#since.get(type);
      if (ours === undefined || (ours.first && ours.status === status))
        this.#since.set(type, { status, time, first: false });
    }
  }

  /** `wallMs`: milliseconds since 1970. */
  stamp(list: readonly Verdict[], observedGeneration: number | undefined, wallMs: number): Condition[] {
    return list.map(({ type, status, reason, message }) => {
      const before = this.#since.get(type);
      const time = before?.status === status ? before.time : rfc3339(wallMs);
      const first = before === undefined || (before.first && before.status === status);
      this.#since.set(type, { status, time, first });
      return {
        type,
        status,
        ...(observedGeneration === undefined ? {} : { observedGeneration }),
        lastTransitionTime: time,
        reason,
        message,
      };
    });
  }
}

/** Whole seconds, as Kubernetes writes its own times. */
export const rfc3339 = (wallMs: number): string => new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
