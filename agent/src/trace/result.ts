/** What `evio trace` is told: the outcome, its verdict and the flows, with names. Pure. */
import type { TraceResult, TraceStation } from '../api.ts';
import type { NodeId } from '../wire/ids.ts';
import type { End } from './ends.ts';
import type { Outcome } from './machine.ts';
import type { Hop } from './types.ts';
import { judge } from './verdict.ts';

export interface ResultParts {
  readonly trace: string;
  readonly from: End;
  readonly to: End;
  readonly frameBytes: number;
  readonly outcome: Outcome;
  readonly lookups: TraceResult['lookups'];
  readonly ovs: boolean;
  readonly nameOf: (id: NodeId) => string;
}

export function resultOf({ trace, from, to, frameBytes, outcome, lookups, ovs, nameOf }: ResultParts): TraceResult {
  const verdict = judge(outcome, {
    self: from.id,
    destination: to.id,
    nameOf,
    ovs,
    target: to.pod ? 'pod' : 'node',
  });
  const { lost } = verdict;
  const hop = (by: Hop | null) => by && { ...by, name: nameOf(by.peer) };
  const stations = outcome.stations.map(({ id, next, told, refused }): TraceStation => {
    const role = id === from.id ? 'source' : id === to.id ? 'destination' : 'via';
    const counted = (which: 'there' | 'back') =>
      told === undefined
        ? null
        : { counts: told[which].counts, cameBy: hop(told[which].cameBy), leftBy: hop(told[which].leftBy) };
    return {
      id,
      name: nameOf(id),
      role,
      answered: told !== undefined,
      refused: refused ?? null,
      next: hop(next ?? null),
      there: counted('there'),
      back: counted('back'),
      kernel: told?.kernel ?? null,
    };
  });
  const end = ({ id, name, address, pod }: End) => ({ id, name, address, pod });
  return {
    trace,
    from: end(from),
    to: end(to),
    frames: outcome.frames,
    frameBytes,
    arrived: verdict.arrived,
    returned: verdict.returned,
    lost: lost && {
      at: nameOf(lost.at),
      before: lost.before === null ? null : nameOf(lost.before),
      direction: lost.direction,
      text: lost.text,
      fix: lost.fix,
    },
    lookups,
    stations,
  };
}
