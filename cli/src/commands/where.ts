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

/** Options that say which cluster is meant, where a command asks one. */
export const clusterOptions = <T>(yargs: Argv<T>) =>
  yargs
    .option('kubeconfig', {
      type: 'string',
      describe: 'Who you are to the cluster (default: KUBECONFIG, ~/.kube/config)',
    })
    .option('context', { type: 'string', describe: 'Of the kubeconfig (default: its current one)' });
