/** What a command named. */
import type { NetcheckReport } from '../../../cli/src/netcheck/check.ts';
import type { StatusReport } from '../../../cli/src/status.ts';
import type { Named } from '../faults.ts';
import type { Asked } from '../lab.ts';

const named = (asked: Asked<{ readonly findings: Named['findings'] }>): Named => ({
  findings: asked.value?.findings ?? [],
  ms: asked.ms,
  note: asked.words || `it ended with ${asked.code}`,
});

export const fromNetcheck = (asked: Asked<NetcheckReport>): Named => named(asked);
export const fromStatus = (asked: Asked<StatusReport>): Named => named(asked);
