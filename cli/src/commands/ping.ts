/** `evio ping NODE`: round trips over the overlay, and by which path. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Argv } from 'yargs';
import type { Peer, PingResult } from '../../../agent/src/api.ts';
import type { AgentClient } from '../agent-client.ts';
import { Failure, UsageError } from '../failure.ts';
import { type Io, print } from '../output.ts';
import { PingStatistics, summaryText } from '../ping-statistics.ts';
import { type Command, command } from './command.ts';
import { whereOptions } from './where.ts';

const options = (yargs: Argv) =>
  whereOptions(yargs)
    .positional('node', { type: 'string', demandOption: true, describe: 'Name or node id' })
    .option('count', { alias: 'c', type: 'number', describe: 'Stop after so many (default: at Ctrl-C)' })
    .option('interval', { alias: 'i', type: 'number', default: 1, describe: 'Seconds from one to the next' })
    .option('timeout', { alias: 'W', type: 'number', default: 2, describe: 'Seconds to wait for an answer' });

interface Series {
  readonly target: { readonly id: string; readonly name: string };
  readonly count: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly stop: AbortSignal;
}

export const pingCommands: readonly Command[] = [
  command({
    path: 'ping <node>',
    describe: 'Round trips to a node, by which path, and when that changes',
    options,
    run: async (args, io) => {
      if (args.count !== undefined && !(Number.isInteger(args.count) && args.count >= 1)) {
        throw new UsageError(`--count: ${args.count} is not allowed; allowed: a whole number from 1`);
      }
      const intervalMs = milliseconds('interval', args.interval, 0.01, 3600);
      const timeoutMs = milliseconds('timeout', args.timeout, 0.01, 60);
      const { withAgent } = await import('../agent-client.ts');
      const stop = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
      const statistics = await withAgent({ runDir: args['run-dir'], config: args.config }, async (agent) => {
        const target = await find(agent, args.node);
        const series = {
          target,
          count: args.count ?? Number.POSITIVE_INFINITY,
          intervalMs,
          timeoutMs,
          stop: stop.signal,
        };
        return pingAll(agent, series, io);
      });
      const summary = statistics.summary();
      print(io, summary, summaryText);
      if (summary.received === 0) process.exitCode = 1;
    },
  }),
];

function milliseconds(option: string, seconds: number, min: number, max: number): number {
  if (seconds >= min && seconds <= max) return Math.round(seconds * 1000);
  throw new UsageError(`--${option}: ${seconds} is not allowed; allowed: ${min} to ${max} seconds`);
}

/** Asked once: a name that nobody has is told at once, and not as a loss. */
async function find(agent: AgentClient, named: string): Promise<Series['target']> {
  const { peers } = await agent.request<{ readonly peers: readonly Peer[] }>('peers');
  const found = peers.find((p) => p.name === named || p.id === named);
  if (found !== undefined) return found;
  const known = peers.map((p) => p.name).join(', ') || 'none yet';
  throw new Failure(`no other member is named "${named}"; known members: ${known}`);
}

async function pingAll(agent: AgentClient, series: Series, io: Io): Promise<PingStatistics> {
  const { target, count, intervalMs, timeoutMs, stop } = series;
  const statistics = new PingStatistics(target);
  const say = (line: string): void => {
    if (io.output === 'text') io.out(`${line}\n`);
  };
  const stopped = new Promise<'stopped'>((resolve) => stop.addEventListener('abort', () => resolve('stopped')));
  for (let seq = 1; seq <= count && !stop.aborted; seq++) {
    const next = performance.now() + intervalMs;
    const answer = await Promise.race([ask(agent, target.id, timeoutMs), stopped]);
    if (answer === 'stopped') break;
    if (answer === undefined) {
      statistics.lost();
      say(`${target.name}: seq=${seq} no answer within ${timeoutMs / 1000} s`);
    } else {
      const change = statistics.answered(answer);
      const hops = answer.hops > 1 ? ` hops=${answer.hops}` : '';
      const note = change === undefined ? '' : ` (path changed from ${change.from} to ${change.to})`;
      say(`${target.name}: seq=${seq} path=${answer.path}${hops} time=${answer.rttMs.toFixed(3)} ms${note}`);
    }
    if (seq < count)
      await Promise.race([
        sleep(Math.max(0, next - performance.now()), undefined, { ref: true, signal: stop }).catch(() => undefined),
        stopped,
      ]);
  }
  return statistics;
}

/** Undefined: not answered. */
async function ask(agent: AgentClient, to: string, timeoutMs: number): Promise<PingResult | undefined> {
  const { AgentError } = await import('../agent-client.ts');
  try {
    return await agent.request<PingResult>('ping', { to, timeoutMs }, timeoutMs + 5_000);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'not-found') return undefined;
    throw error;
  }
}
