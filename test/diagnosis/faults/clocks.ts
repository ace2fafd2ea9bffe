/** Clocks that cannot be right. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EVIO, type Joined } from '../../demo/overlay.ts';
import { start } from '../../demo/shell.ts';
import type { Fault } from '../faults.ts';
import { codesOf, type Lab } from '../lab.ts';
import { fromNetcheck, fromStatus } from './words.ts';

/** Debian's libfaketime, for processes with threads; monotonic clocks are left alone. `offset` as FAKETIME has it: `-10y`, `+10m`. */
export function withClock(offset: string): readonly string[] {
  const library = readdirSync('/usr/lib')
    .map((folder) => join('/usr/lib', folder, 'faketime'))
    .flatMap((folder) => {
      try {
        return readdirSync(folder).map((name) => join(folder, name));
      } catch {
        return [];
      }
    })
    .find((path) => path.endsWith('libfaketimeMT.so.1'));
  if (library === undefined) throw new Error('there is no libfaketimeMT.so.1: apt-get install faketime');
  return [
    'env',
    `LD_PRELOAD=${library}`,
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
    'DONT_FAKE_MONOTONIC=1',
    `FAKETIME=${offset}`,
  ];
}

/** An agent with that clock, beside one whose clock is right. */
async function beside(lab: Lab, offset: string): Promise<ReturnType<typeof fromStatus>> {
  const [right, wrong] = [await lab.node('cloud1'), await lab.node('cloud2')];
  try {
    await lab.start(right);
    startWith(lab, wrong, withClock(offset));
    return fromStatus(await lab.statusWhen(wrong, (report) => codesOf(report).includes('clock')));
  } finally {
    await Promise.all([lab.stop(right), lab.stop(wrong)]);
  }
}

/** Begins the agent's command with these words. */
export function startWith(lab: Lab, node: Joined, before: readonly string[]): void {
  lab.keep(
    start(node.name, join(node.runDir, '..', 'agent.log'), ...before, EVIO, 'agent', 'run', '--config', node.config),
  );
}

export const CLOCK_FAULTS: readonly Fault[] = [
  {
    name: 'clock skew',
    words: /clock/,
    variants: [
      {
        what: 'ten years behind, without an agent',
        by: 'netcheck',
        codes: ['clock'],
        run: async (lab) => fromNetcheck(await lab.netcheck(await lab.node('home1'), { before: withClock('-10y') })),
      },
      {
        what: 'five years ahead, beside another member',
        by: 'status',
        codes: ['clock'],
        run: (lab) => beside(lab, '+5y'),
      },
    ],
  },
];
