/** `evio agent run`, `stop` and `revocations`. */

import { readFileSync } from 'node:fs';
import type { Status } from '../../../agent/src/api.ts';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { Failure, UsageError } from '../failure.ts';
import { KUBERNETES_OPTIONS, type KubernetesArguments } from '../kubernetes-options.ts';
import { print } from '../output.ts';
import { type Command, command } from './command.ts';
import { whereOptions } from './where.ts';

const STOP_MS = 15_000;

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

export const agentCommands: readonly Command[] = [
  command({
    path: 'agent run',
    describe: 'Run this node until SIGINT (ends tincan too), or SIGTERM or SIGHUP (tincan carries on)',
    options: (yargs) => {
      const parser = yargs
        .option('config', { type: 'string', describe: 'The node file' })
        .option('kubernetes', {
          type: 'boolean',
          describe:
            "As a cluster's node, enrolled by the operator; tincan is another container's. The options below are for this",
          conflicts: 'config',
        })
        .option('cleanup', {
          type: 'boolean',
          describe: 'Take everything of Evio off this machine instead, and end',
          implies: 'kubernetes',
        });
      for (const [name, option] of Object.entries(KUBERNETES_OPTIONS)) {
        const fallback = 'default' in option ? `; ${option.default}` : '';
        parser.option(name, { type: 'string', describe: `${option.describe} (${option.env[0]}${fallback})` });
      }
      return parser;
    },
    run: async (args) => {
      if (args.kubernetes) {
        const { runKubernetesHere } = await import('../run-kubernetes.ts');
        return runKubernetesHere(args as KubernetesArguments, args.cleanup === true);
      }
      if (args.config === undefined) throw new UsageError('missing: --config; see evio agent run --help');
      const { runAgentHere } = await import('../run-agent.ts');
      return runAgentHere(args.config);
    },
  }),
  command({
    path: 'agent stop',
    describe: 'End the agent and tincan, or a tincan whose agent has ended, and take the bridge away',
    options: (yargs) => whereOptions(yargs),
    run: async (args, io) => {
      const { NoAgentError, withAgent } = await import('../agent-client.ts');
      const where = { runDir: args['run-dir'], config: args.config };
      try {
        const stopped = await withAgent(where, async (agent) => {
          const { node, agent: process } = await agent.request<Status>('status');
          await agent.request('stop');
          return { name: node.name, pid: process.pid };
        });
        await gone(stopped.pid);
        print(io, stopped, (s) => `node ${s.name}: the agent (pid ${s.pid}) and its tincan have ended\n`);
      } catch (error) {
        if (!(error instanceof NoAgentError)) throw error;
        const { endTincan } = await import('../end-tincan.ts');
        const tincan = await endTincan(where);
        if (tincan === undefined) throw error;
        print(io, { tincan }, (s) => `no agent ran; its tincan (pid ${s.tincan}) has ended\n`);
      }
    },
  }),
  command({
    path: 'agent upgrade',
    describe: 'Exchange tincan for the installed one; traffic stops for about a second',
    options: (yargs) => whereOptions(yargs),
    run: async (args, io) => {
      const { withAgent } = await import('../agent-client.ts');
      const { upgradeTincan } = await import('../upgrade-tincan.ts');
      const done = await withAgent({ runDir: args['run-dir'], config: args.config }, upgradeTincan);
      print(
        io,
        done,
        (d) => `tincan ${d.from.version} (pid ${d.from.pid}) gave way to ${d.to.version} (pid ${d.to.pid})\n`,
      );
    },
  }),
  command({
    path: 'agent unit',
    describe: 'Print a systemd unit that runs this node',
    options: (yargs) => yargs.option('config', { type: 'string', demandOption: true, describe: 'The node file' }),
    run: async (args, io) => {
      const { agentUnit } = await import('../agent-unit.ts');
      const unit = agentUnit(args.config, process);
      print(io, { unit }, (u) => u.unit);
    },
  }),
  command({
    path: 'agent revocations <file>',
    describe: 'Hand a signed revocation list to this node, which passes it on',
    options: (yargs) =>
      whereOptions(
        yargs.positional('file', { type: 'string', demandOption: true, describe: 'Of evio overlay revoke' }),
      ),
    run: async (args, io) => {
      const { withAgent } = await import('../agent-client.ts');
      let list: string;
      try {
        list = readFileSync(args.file, 'utf8').trim();
      } catch (error) {
        throw new UsageError(`cannot read ${args.file}: ${systemReason(error)}`);
      }
      const taken = await withAgent({ runDir: args['run-dir'], config: args.config }, (agent) =>
        agent.request<{ readonly serial: number; readonly revoked: number }>('revocations', { list }),
      );
      print(io, taken, (t) => `list number ${t.serial} is in force: ${t.revoked} nodes are revoked\n`);
    },
  }),
];
