/** Options that say which agent is meant. */

import type { Argv } from 'yargs';

/** Of `evio join`, and of the host package's unit. */
export const DEFAULT_NODE_FILE = '/etc/evio/node.json';

export const whereOptions = <T>(yargs: Argv<T>) =>
  yargs
    .option('run-dir', {
      type: 'string',
      describe: "The agent's run directory (default: the only one under /run/evio)",
    })
    .option('config', { type: 'string', describe: "The agent's node file, instead of --run-dir" })
    .conflicts('run-dir', 'config');
