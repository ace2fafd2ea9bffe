/** `evio flows`: what this node's switches forward, and with whom it talks. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Flows } from '../../../agent/src/api.ts';
import { Failure, UsageError } from '../failure.ts';
import { flowsText, since } from '../flows-text.ts';
import { print } from '../output.ts';
import { type Command, command } from './command.ts';
import { whereOptions } from './where.ts';

export const flowsCommands: readonly Command[] = [
  command({
    path: 'flows',
    describe: "What this node's switch forwards now: flows with match, actions and counters, and the busiest pairs",
    exitCodes: {
      0: 'the tables were read',
      1: 'a switch does not answer, or no agent runs',
    },
    options: (yargs) =>
      whereOptions(yargs)
        .option('all', { type: 'boolean', default: false, describe: 'Also flows that have counted nothing' })
        .option('watch', {
          type: 'boolean',
          default: false,
          describe: 'Again and again, with what was counted in between; with -o json one value a line',
        })
        .option('interval', { alias: 'i', type: 'number', default: 2, describe: 'Seconds from one to the next' }),
    run: async (args, io) => {
      const { all, watch, interval } = args;
      if (!(interval >= 0.1 && interval <= 3_600))
        throw new UsageError(`--interval: ${interval} is not allowed; allowed: 0.1 to 3600 seconds`);
      const { withAgent } = await import('../agent-client.ts');
      await withAgent({ runDir: args['run-dir'], config: args.config }, async (agent) => {
        const ask = () => agent.request<Flows>('flows');
        let last = await ask();
        let at = performance.now();
        if (!watch) {
          print(io, last, (flows) => flowsText(flows, { all }));
          const failed = last.switches.find(({ error }) => error !== null);
          if (failed !== undefined) throw new Failure(failed.error ?? '');
          return;
        }
        const stop = new AbortController();
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
        while (!stop.signal.aborted) {
          await sleep(interval * 1000, undefined, { signal: stop.signal }).catch(() => undefined);
          if (stop.signal.aborted) return;
          const [now, flows] = [performance.now(), await ask()];
          const more = since(last, flows);
          if (io.output === 'json') io.out(`${JSON.stringify(more)}\n`);
          else io.out(`${flowsText(more, { all, seconds: (now - at) / 1000 })}\n`);
          [last, at] = [flows, now];
        }
      });
    },
  }),
];
