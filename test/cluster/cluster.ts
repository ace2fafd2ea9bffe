/** A cluster that is there as long as this process runs, or stays with KEEP=1. */
import { existsSync } from 'node:fs';
import { say } from '../demo/report.ts';
import { attempt, must, NODES, STATE } from './kube.ts';

export function refuse(why: string): never {
  process.stderr.write(`evio: ${why}\n`);
  process.exit(1);
}

/** Ends the process where none can be brought up. `verb`: how a user calls it. */
export function demandRoom(verb: string): void {
  if (process.getuid?.() !== 0)
    refuse(`the cluster needs network namespaces and has to run as root; try: sudo make ${verb}`);
  if (existsSync(STATE)) refuse(`a cluster is up already (${STATE}); remove it with: make cluster-down`);
}

/** Brings one up for `run`, which does not throw, and takes it down, also when the process is told to end. */
export async function onCluster(run: () => Promise<void>): Promise<void> {
  let ended = false;
  let rising: Promise<unknown> = Promise.resolve();
  const cleanUp = async (): Promise<void> => {
    if (ended) return;
    ended = true;
    // It goes on by itself, and what it makes after this would stay.
    await rising.catch(() => undefined);
    if (process.env.KEEP === '1') say('KEEP=1: the cluster stays up; make cluster-down removes it');
    else await attempt('down.sh', []);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      say(`${name}: cleaning up`);
      void cleanUp().then(() => process.exit(130));
    });
  try {
    say(
      `a cluster of ${process.env.NODES?.split(' ').length ?? NODES.length} nodes, ${process.env.NAT ?? 'punchable'} NATs`,
    );
    const up = must('up.sh', []);
    rising = up;
    say((await up).trim());
    await run();
  } finally {
    await cleanUp();
  }
}
