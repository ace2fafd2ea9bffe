/** One agent, as `evio agent run` runs it. */
import { loadNodeConfig } from '../../../agent/src/config/load.ts';
import { createLog } from '../../../agent/src/io/log.ts';
import { runAgent } from '../../../agent/src/main.ts';

const config = loadNodeConfig(process.argv[2] ?? '');
process.exit(await runAgent(config, createLog(config.log, { component: 'agent' })));
