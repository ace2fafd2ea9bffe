/** `evio trace A B`: marked frames from one node to another, and who had them. */

import type { TraceResult } from '../../../agent/src/api.ts';
import { UsageError } from '../failure.ts';
import { print } from '../output.ts';
import { Progress } from '../progress.ts';
import { traceText } from '../trace-text.ts';
import { type Command, command } from './command.ts';
import { whereOptions } from './where.ts';

const FRAMES = { least: 1, most: 20, usual: 3 } as const;
/** Sixteen stations that are silent, each asked for two seconds, the frames, and another node's agent that tells of it. */
const PATIENCE_MS = 60_000;

export const traceCommands: readonly Command[] = [
  command({
    path: 'trace <from> <to>',
    describe:
      'Sends marked frames from a node or pod to another, and asks every node on the way what became of them; from another node than this one its agent sends them',
    exitCodes: {
      0: 'they arrived, and were answered',
      1: 'they were lost: the text, and lost.at in JSON, name the node and the reason; or no agent runs here, or where it is to begin',
      2: 'the command line is wrong, or names nobody',
    },
    options: (yargs) =>
      whereOptions(yargs)
        .positional('from', {
          type: 'string',
          demandOption: true,
          describe:
            'Where it begins, this node or another: name, id or overlay address; or a pod: its address, or NAMESPACE/POD',
        })
        .positional('to', {
          type: 'string',
          demandOption: true,
          describe: 'Another node: name, id or overlay address; or a pod: its address, or NAMESPACE/POD',
        })
        .option('frames', { alias: 'c', type: 'number', default: FRAMES.usual, describe: 'How many to send' })
        .option('kubeconfig', {
          type: 'string',
          describe: 'For NAMESPACE/POD: who you are to the cluster (default: KUBECONFIG, ~/.kube/config)',
        })
        .option('context', { type: 'string', describe: 'Of the kubeconfig (default: its current one)' }),
    run: async (args, io) => {
      const { frames } = args;
      if (!(Number.isInteger(frames) && frames >= FRAMES.least && frames <= FRAMES.most))
        throw new UsageError(`--frames: ${frames} is not allowed; allowed: ${FRAMES.least} to ${FRAMES.most}`);
      const { podsToAddresses } = await import('../pod-address.ts');
      const access = { kubeconfig: args.kubeconfig, context: args.context };
      const [from = '', to = ''] = await podsToAddresses([args.from, args.to], access);
      const { AgentError, withAgent } = await import('../agent-client.ts');
      const progress = new Progress();
      progress.tell(`asking the nodes between ${args.from} and ${args.to}`);
      try {
        const result = await withAgent({ runDir: args['run-dir'], config: args.config }, (agent) =>
          agent.request<TraceResult>('trace', { from, to, frames }, PATIENCE_MS),
        ).catch((error: unknown) => {
          if (error instanceof AgentError && error.code === 'not-found') throw new UsageError(error.message);
          throw error;
        });
        progress.end();
        print(io, result, traceText);
        if (!result.arrived) process.exitCode = 1;
      } finally {
        progress.end();
      }
    },
  }),
];
