/**
 * A machine that stood still (suspended, or its processes frozen) measured nothing: what was looked at meanwhile is done again.
 */
import { Report, say } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import type { Run } from './whole.ts';

const LOOK_MS = 500;
/** Longer than a busy machine lets a process wait. */
const STILL_MS = 8_000;
const TRIES = 5;

export class Steady {
  #stood = 0;

  constructor() {
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      if (now - last > STILL_MS) {
        this.#stood++;
        say(`the machine stood still for ${((now - last) / 1_000).toFixed(0)} s`);
      }
      last = now;
    }, LOOK_MS).unref();
  }

  /** Does a part of the run, after `mend` once more when the machine stood still meanwhile; only the last time counts. */
  async part(run: Run, work: (run: Run) => Promise<void>, mend: () => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries++) {
      const before = this.#stood;
      const report = new Report('scale', false);
      let failure: unknown;
      try {
        await work({ ...run, report });
      } catch (error) {
        failure = error;
      }
      await sleep(2 * LOOK_MS);
      if (this.#stood === before || tries === TRIES) {
        for (const check of report.checks) run.report.note(check);
        Object.assign(run.report.details, report.details);
        if (failure !== undefined) throw failure;
        return;
      }
      say('this part counts for nothing and is done again');
      await mend();
    }
  }
}
