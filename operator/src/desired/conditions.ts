/** Conditions as metav1.Condition wants them: the time of a transition stays while the status does. */
import type { Condition } from '../../../crds/src/condition.ts';

export interface Verdict {
  readonly type: string;
  readonly status: Condition['status'];
  readonly reason: string;
  /** Empty when there is nothing to say. */
  readonly message: string;
}

const MESSAGE_MAX = 1024;

/** `now` in RFC 3339; `generation` of the object that the verdicts are about. */
export function mergeConditions(
  present: readonly Condition[],
  verdicts: readonly Verdict[],
  generation: number | undefined,
  now: string,
): Condition[] {
  return verdicts.map(({ type, status, reason, message }) => {
    const before = present.find((c) => c.type === type);
    return {
      type,
      status,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
      reason,
      message: message.length <= MESSAGE_MAX ? message : `${message.slice(0, MESSAGE_MAX - 1)}…`,
    };
  });
}

/** Of an object's status. */
export const conditionOf = (
  status: { readonly conditions?: readonly Condition[] | undefined } | undefined,
  type: string,
): Condition | undefined => status?.conditions?.find((c) => c.type === type);

export const holds = (
  status: { readonly conditions?: readonly Condition[] | undefined } | undefined,
  type: string,
): boolean => conditionOf(status, type)?.status === 'True';

const NAMES_SHOWN = 5;

/** `a, b and 3 more`. */
export function named(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  return names.length <= NAMES_SHOWN ? shown : `${shown} and ${names.length - NAMES_SHOWN} more`;
}
