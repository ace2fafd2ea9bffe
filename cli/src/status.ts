/** `evio status`: asked once, or until the node is well. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../../agent/src/api.ts';
import type { Finding } from '../../agent/src/diagnosis/finding.ts';
import { AgentError, NoAgentError, type Where, withAgent } from './agent-client.ts';
import { DEFAULT_NODE_FILE } from './commands/where.ts';
import type { Failure } from './failure.ts';

/** `running: false`: no agent answers, and this is what was found from outside. */
export type StatusReport =
  | ({ readonly running: true; readonly ok: boolean } & Status)
  | { readonly running: false; readonly ok: false; readonly error: string; readonly findings: readonly Finding[] };

export interface StatusOptions {
  readonly where: Where;
  /** Ask again until the node is well, so long at most; undefined: once. */
  readonly waitMs: number | undefined;
  readonly tell: (text: string) => void;
}

const AGAIN_MS = 500;

export async function askStatus({ where, waitMs, tell }: StatusOptions): Promise<StatusReport> {
  const end = performance.now() + (waitMs ?? 0);
  for (;;) {
    const report = await once(where);
    const waitsFor = report.running ? missing(report) : report.error;
    if (waitMs === undefined || waitsFor === undefined || performance.now() >= end)
      // Who waits wants more than the absence of faults.
      return waitMs !== undefined && waitsFor !== undefined ? { ...report, ok: false } : report;
    tell(`waiting: ${waitsFor}`);
    await sleep(Math.min(AGAIN_MS, Math.max(0, end - performance.now())));
  }
}

/** What a node that was just started does not have yet. */
function missing({ findings, signalling, tincan, ringComplete }: Status): string | undefined {
  const fault = findings.find(({ severity }) => severity === 'error');
  if (fault !== undefined) return fault.text;
  if (tincan === null) return 'tincan is not running';
  if (signalling.state !== 'online') return `signalling is ${signalling.state}`;
  return ringComplete ? undefined : 'the ring is not complete';
}

async function once(where: Where): Promise<StatusReport> {
  try {
    const status = await withAgent(where, (agent) => agent.request<Status>('status'));
    return { running: true, ok: status.findings.every(({ severity }) => severity !== 'error'), ...status };
  } catch (error) {
    const starting = error instanceof AgentError && (error.code === 'starting' || error.code === 'closed');
    if (!(error instanceof NoAgentError) && !starting) throw error;
    const [told, outside] = await Promise.all([starting ? toldSoFar(where) : [], fromOutside(where)]);
    const findings = [...told, ...outside];
    return { running: false, ok: false, error: (error as Failure).message, findings };
  }
}

/** A cluster's node is not started before it is enrolled, and its agent knows why it is not. */
async function toldSoFar(where: Where): Promise<readonly Finding[]> {
  try {
    const asked = withAgent(where, (agent) => agent.request<{ readonly findings: readonly Finding[] }>('findings'));
    return (await asked).findings;
  } catch {
    // Other agents have nothing to tell until they run, or this one has just begun to.
    return [];
  }
}

async function fromOutside({ config, runDir }: Where): Promise<readonly Finding[]> {
  const { awayFindings, machineFindings } = await import('./away.ts');
  const file = config ?? (runDir === undefined && existsSync(DEFAULT_NODE_FILE) ? DEFAULT_NODE_FILE : undefined);
  if (file === undefined) return machineFindings();
  const { loadNodeConfig } = await import('../../agent/src/config/load.ts');
  return awayFindings(loadNodeConfig(file, { expired: true }), Date.now());
}
