/** From what pods found to what a step says: passed or not, which pairs, and which node they have in common. Pure. */
import type { Found, Miss, Stand, StepId } from './order.ts';

export type Outcome = 'passed' | 'failed' | 'skipped';

export interface StepReport {
  readonly number: number;
  readonly id: StepId;
  readonly title: string;
  readonly outcome: Outcome;
  /** "12 pairs", or why it was skipped. */
  readonly about: string;
  readonly seconds: number;
  /** What failed, a line each, with names of nodes. */
  readonly problems: readonly string[];
  /** What is worth to know although it passed. */
  readonly notes: readonly string[];
}

interface Kind {
  readonly title: string;
  readonly stand: Stand;
  /** What is counted. */
  readonly unit: string;
  /** Said when no pod had anything to ask. */
  readonly none: string;
}

export const KINDS: Readonly<Record<StepId, Kind>> = {
  pods: { title: 'a pod on every node', stand: 'pod', unit: 'nodes', none: 'no nodes' },
  pod4: { title: 'pod to pod, IPv4', stand: 'pod', unit: 'pairs', none: 'no two pods with IPv4' },
  pod6: { title: 'pod to pod, IPv6', stand: 'pod', unit: 'pairs', none: 'no two pods with IPv6' },
  whole: { title: 'packets as large as the MTU', stand: 'pod', unit: 'pairs', none: 'no two pods' },
  host: { title: 'host to pod', stand: 'host', unit: 'pairs', none: 'no pods' },
  'cluster-ip': { title: 'a Service by its ClusterIP', stand: 'pod', unit: 'asked', none: 'no ClusterIP' },
  name: { title: 'a Service by its name', stand: 'pod', unit: 'asked', none: 'no ClusterIP' },
  'node-port': { title: 'a NodePort at every node', stand: 'pod', unit: 'asked', none: 'no Node has an InternalIP' },
  outside: { title: 'the outside', stand: 'pod', unit: 'asked', none: 'nothing to ask' },
  logs: { title: 'kubectl logs from every node', stand: 'pod', unit: 'nodes', none: 'no pods' },
};

/** What one asking pod told: its node, and its word on this step; undefined when it never came to it. */
export interface Told {
  readonly node: string;
  readonly found: Found | undefined;
  /** Why it never came to it. */
  readonly why?: string;
}

/** `nodes`: all that take part. */
export function judge(number: number, id: StepId, told: readonly Told[], nodes: readonly string[]): StepReport {
  const { title, unit, none } = KINDS[id];
  const silent = told.filter(({ found }) => found === undefined);
  const words = told.flatMap(({ node, found }) => (found === undefined ? [] : [{ node, found }]));
  const asked = words.reduce((sum, { found }) => sum + found.asked, 0);
  const misses = words.reduce((sum, { found }) => sum + found.failed.length + (found.more ?? 0), 0);
  const retried = words.reduce((sum, { found }) => sum + found.retried, 0);
  const seconds = Math.max(0, ...words.map(({ found }) => found.ms)) / 1000;
  const failed = misses > 0 || silent.length > 0;
  if (!failed && asked === 0)
    return { number, id, title, outcome: 'skipped', about: none, seconds, problems: [], notes: [] };
  const pairs = words.flatMap(({ node, found }) => found.failed.map((miss) => ({ from: node, ...miss })));
  const culprit = misses > 1 ? commonNode(pairs, nodes, words) : undefined;
  return {
    number,
    id,
    title,
    outcome: failed ? 'failed' : 'passed',
    about: misses > 0 ? `${misses} of ${asked} ${unit}` : `${asked} ${unit}`,
    seconds,
    problems: [
      ...words.flatMap(({ node, found }) => lines(node, found)),
      ...silent.map(({ node, why }) => `${node}: its pod did not ask: ${why ?? 'it did not come so far'}`),
      ...(culprit === undefined ? [] : [culprit]),
    ],
    notes: !failed && retried > 0 ? [`${retried} of ${asked} needed more than one try`] : [],
  };
}

/** Those asked in vain by one pod, with the same reason on one line. */
function lines(node: string, { failed, more = 0 }: Found): readonly string[] {
  const byReason = Map.groupBy(failed, ({ why }: Miss) => why);
  return [
    ...[...byReason].map(([why, some]) => `${node} to ${[...new Set(some.map(({ to }) => to))].join(', ')}: ${why}`),
    ...(more > 0 ? [`${node}: ${more} more`] : []),
  ];
}

interface Pair {
  readonly from: string;
  readonly to: string;
}

/** A node that is in every pair that failed, when others have nothing to complain of among themselves. */
function commonNode(
  pairs: readonly Pair[],
  nodes: readonly string[],
  words: readonly { readonly found: Found }[],
): string | undefined {
  // What was cut away could be of others.
  if (nodes.length < 3 || words.some(({ found }) => (found.more ?? 0) > 0)) return undefined;
  const common = nodes.filter((node) =>
    pairs.every(({ from, to }) => from === node || to.split(' of ').at(-1) === node),
  );
  const [node] = common;
  return common.length === 1 ? `all of these have ${node} in common` : undefined;
}
