/** Resident memory of Evio's processes, as the kernel counts it. */
import type { Report } from '../demo/report.ts';
import { NODES, residentMb } from './kube.ts';

export async function memory(report: Report): Promise<void> {
  const most = async (pattern: string): Promise<number> =>
    Math.max(0, ...(await Promise.all(NODES.map((node) => residentMb(node, pattern)))).flat());
  report.atMost('resident: agent, of the largest node', await most('[e]vio.mjs agent run'), 95, 'MB');
  report.atMost('resident: tincan, of the largest node', await most('[t]incan --run-dir'), 12, 'MB');
  report.atMost('resident: operator', await most('[e]vio-operator.mjs'), 160, 'MB');
}
