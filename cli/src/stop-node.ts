/** Ending a node of this machine: its agent and tincan, or a tincan whose agent has ended. */

import { readFileSync } from 'node:fs';
import type { Status } from '../../agent/src/api.ts';
import { NoAgentError, type Where, withAgent } from './agent-client.ts';
import { endTincan } from './end-tincan.ts';
import { Failure } from './failure.ts';

const STOP_MS = 15_000;

export type Stopped =
  | { readonly kind: 'node'; readonly name: string; readonly pid: number }
  | { readonly kind: 'tincan'; readonly pid: number };

/** Throws NoAgentError when nothing of it runs. */
export async function stopNode(where: Where): Promise<Stopped> {
  try {
    const stopped = await withAgent(where, async (agent) => {
      const { node, agent: process } = await agent.request<Status>('status');
      await agent.request('stop');
      return { kind: 'node' as const, name: node.name, pid: process.pid };
    });
    await gone(stopped.pid);
    return stopped;
  } catch (error) {
    if (!(error instanceof NoAgentError)) throw error;
    const pid = await endTincan(where);
    if (pid === undefined) throw error;
    return { kind: 'tincan', pid };
  }
}

/** A zombie does not: the first process of some containers never looks after those that it has inherited. */
function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Until the process is gone: then tincan and the bridge are gone too. */
async function gone(pid: number): Promise<void> {
  const until = performance.now() + STOP_MS;
  while (runs(pid)) {
    if (performance.now() > until)
      throw new Failure(`the agent (pid ${pid}) did not end within ${STOP_MS / 1000} s; see its log`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
