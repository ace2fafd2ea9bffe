/**
 * What a node's conditions say when they change, as Events: `kubectl describe` then shows what came and went, which the conditions, that
 * know the present only, do not. Pure.
 */
import {
  type Condition,
  NODE_CONDITION,
  NODE_CONDITIONS,
  type NodeConditionType,
} from '../../../crds/src/condition.ts';
import type { Note } from './recorder.ts';

export interface Transition extends Note {
  /** Ready is told of the Node, where people look first, and the parts of it of the EvioNode. */
  readonly about: 'node' | 'member';
}

const BAD: Readonly<Record<NodeConditionType, Condition['status']>> = {
  Ready: 'False',
  AgentReady: 'False',
  DataPlaneReady: 'False',
  SignallingConnected: 'False',
  RingJoined: 'False',
  PodNetworkReady: 'False',
  AddressConflict: 'True',
};

const isNodeCondition = (type: string): type is NodeConditionType => Object.hasOwn(NODE_CONDITIONS, type);

/**
 * A condition that became bad, is so for another reason now, or is no longer. One that was not there before tells of a beginning, which
 * is no event.
 */
export function transitions(
  before: readonly Condition[] | undefined,
  after: readonly Condition[] | undefined,
): readonly Transition[] {
  return (after ?? []).flatMap((now) => {
    const was = before?.find(({ type }) => type === now.type);
    return was === undefined || !isNodeCondition(now.type) ? [] : transition(now.type, was, now);
  });
}

function transition(type: NodeConditionType, was: Condition, now: Condition): readonly Transition[] {
  const [before, bad] = [was.status === BAD[type], now.status === BAD[type]];
  if (!before && !bad) return [];
  // An agent that has just begun knows nothing yet.
  if (!bad && now.status === 'Unknown') return [];
  if (before && bad && was.reason === now.reason) return [];
  const common = { type: bad ? 'Warning' : 'Normal', action: 'Report' } as const;
  if (type === NODE_CONDITION.Ready) {
    const note = bad ? `${now.reason}: ${now.message}` : 'traffic of this node and its pods passes again';
    return [{ ...common, about: 'node', reason: bad ? 'EvioNotReady' : 'EvioReady', note: `Evio: ${note}` }];
  }
  const over = BAD[type] === 'False' ? 'again' : 'no more';
  return [
    { ...common, about: 'member', reason: now.reason, note: `${type}: ${now.message || (bad ? now.reason : over)}` },
  ];
}
