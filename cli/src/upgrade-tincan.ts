/** Asks an agent to exchange its tincan, and waits for the new one. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../../agent/src/api.ts';
import type { AgentClient } from './agent-client.ts';
import { Failure } from './failure.ts';

const BACK_MS = 10_000;

interface Tincan {
  readonly version: string;
  readonly pid: number;
}

export async function upgradeTincan(agent: AgentClient): Promise<{ readonly from: Tincan; readonly to: Tincan }> {
  const tincan = async (): Promise<Tincan | null> => (await agent.request<Status>('status')).tincan;
  const from = await tincan();
  if (from === null) throw new Failure('no tincan runs now; see the log of the agent');
  await agent.request('upgrade');
  const until = performance.now() + BACK_MS;
  for (;;) {
    const to = await tincan();
    if (to !== null && to.pid !== from.pid) return { from: named(from), to: named(to) };
    if (performance.now() > until)
      throw new Failure(
        `tincan (pid ${from.pid}) has ended and no other is there after ${BACK_MS / 1000} s; see the log of the agent`,
      );
    await sleep(50);
  }
}

const named = ({ version, pid }: Tincan): Tincan => ({ version, pid });
