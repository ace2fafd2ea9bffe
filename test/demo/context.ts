/** What every stage of the demo shares: the report, the pace, and what the internet's shape lets us expect. */
import type { ChildProcess } from 'node:child_process';
import type { NatClass } from '../../agent/src/api.ts';
import type { Crossing } from './crossing.ts';
import { worst } from './faults.ts';
import { type Attachment, byName } from './internet.ts';
import { type Pair, pairName, type Watched } from './measure.ts';
import { type Joined, reportName } from './overlay.ts';
import { gaps } from './ping.ts';
import { Report } from './report.ts';

export const SHORT = process.argv.includes('--short');
export const KEEP = process.env.KEEP === '1';

/** The pairs no direct path can join: a random-port NAT with any NAT but none. */
export const RELAYED = new Set(
  [
    ['lte1', 'home1'],
    ['lte1', 'home2'],
    ['lte1', 'desk1'],
    ['lte1', 'office1'],
    ['office1', 'home1'],
    ['office1', 'home2'],
    ['office1', 'desk1'],
  ].flatMap(([a, b]) => [`${a}-${b}`, `${b}-${a}`]),
);

export const CLASS_OF: Readonly<Record<Attachment, NatClass>> = {
  public: 'none',
  'port-preserving': 'endpoint-independent',
  'random-port': 'address-dependent',
};

export const expectedCrossing = (pair: Pair): Crossing => {
  if (RELAYED.has(pairName(pair))) return 'relayed';
  return byName(pair.from.name).outside === byName(pair.to.name).outside ? 'lan' : 'direct';
};

export const report = new Report(reportName('demo'), SHORT);
export const children: ChildProcess[] = [];
export const keep = (child: ChildProcess): void => {
  children.push(child);
};

export const touching = (watched: readonly Watched[], name: string): readonly Watched[] =>
  watched.filter(({ pair }) => pair.from.name === name || pair.to.name === name);
export const others = (watched: readonly Watched[], name: string): readonly Watched[] =>
  watched.filter(({ pair }) => pair.from.name !== name && pair.to.name !== name);
export const relayed = (watched: readonly Watched[]): readonly Watched[] =>
  watched.filter(({ pair }) => RELAYED.has(pairName(pair)));
export const direct = (watched: readonly Watched[]): readonly Watched[] =>
  watched.filter(({ pair }) => !RELAYED.has(pairName(pair)));
export const lostOf = (watched: readonly Watched[]): number => watched.reduce((sum, one) => sum + one.lost, 0);
export const sentOf = (watched: readonly Watched[]): number => watched.reduce((sum, one) => sum + one.run.sent, 0);
/** One check: nothing that these pairs sent was lost. */
export const noneLost = (name: string, watched: readonly Watched[], of: 'any' | 'relayed' = 'any'): void =>
  report.none(name, lostOf(watched), sentOf(watched), of);
export const outageOf = (watched: readonly Watched[]): number => worst(watched, (one) => one.outageMs) / 1000;

export function remember(name: string, watched: readonly Watched[]): void {
  report.details[`fault.${name}`] = watched
    .filter((one) => one.lost > 0)
    .map(({ pair, run, lost, outageMs }) => ({
      pair: pairName(pair),
      lost,
      outageMs,
      sent: run.sent,
      gaps: gaps(run).slice(0, 5),
    }));
}

/** The node of that name. */
export function named(nodes: readonly Joined[], name: string): Joined {
  const found = nodes.find((node) => node.name === name);
  if (found === undefined) throw new Error(`no node ${name} in this overlay`);
  return found;
}
