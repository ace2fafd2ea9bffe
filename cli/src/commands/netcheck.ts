/** `evio netcheck`: what this machine's network lets a node do. */

import { existsSync } from 'node:fs';
import { UsageError } from '../failure.ts';
import { print } from '../output.ts';
import { Progress } from '../progress.ts';
import { type Command, command } from './command.ts';
import { DEFAULT_NODE_FILE } from './where.ts';

/** Seconds; RFC 4787 §4.3 asks NATs for five minutes, and nobody waits longer. */
const LIFETIME = { min: 5, max: 3_600 } as const;

export const netcheckCommands: readonly Command[] = [
  command({
    path: 'netcheck',
    describe: 'What the network lets this node do: UDP, NAT, STUN, TURN, XMPP. Needs no running agent',
    exitCodes: {
      0: 'no fault was found (there may be warnings)',
      1: 'a fault was found, and is named',
    },
    options: (yargs) =>
      yargs
        .option('config', { type: 'string', describe: `The node file (default: ${DEFAULT_NODE_FILE}, if it is there)` })
        .option('lifetime', {
          type: 'number',
          describe:
            "Also find out how long the NAT keeps a mapping that is idle; waits so many seconds at most, '300' for instance",
        }),
    run: async (args, io) => {
      const { lifetime } = args;
      if (lifetime !== undefined && !(lifetime >= LIFETIME.min && lifetime <= LIFETIME.max))
        throw new UsageError(
          `--lifetime: ${lifetime} is not allowed; allowed: ${LIFETIME.min} to ${LIFETIME.max} seconds`,
        );
      const file = args.config ?? (existsSync(DEFAULT_NODE_FILE) ? DEFAULT_NODE_FILE : undefined);
      if (file === undefined)
        throw new UsageError(`missing: --config (there is no ${DEFAULT_NODE_FILE}); see evio netcheck --help`);
      const { loadNodeConfig } = await import('../../../agent/src/config/load.ts');
      const { netcheck } = await import('../netcheck/check.ts');
      const { netcheckText } = await import('../netcheck/text.ts');
      const config = loadNodeConfig(file, { expired: true });
      const progress = new Progress();
      try {
        const report = await netcheck(config, {
          lifetimeS: lifetime,
          wallMs: Date.now(),
          tell: (text) => progress.tell(text),
        });
        progress.end();
        print(io, report, (r) => netcheckText(r, lifetime !== undefined));
        if (!report.ok) process.exitCode = 1;
      } finally {
        progress.end();
      }
    },
  }),
];
