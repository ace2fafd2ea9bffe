/** `evio agent run`: the agent in this process, to its end. */

import { loadNodeConfig } from '../../agent/src/config/load.ts';
import { createLog } from '../../agent/src/io/log.ts';
import { runAgent } from '../../agent/src/main.ts';
import { report } from './report.ts';

/** Does not return. */
export async function runAgentHere(file: string): Promise<never> {
  let code: number;
  try {
    // Whether the certificate has run out or the clock is wrong shows when other members are heard.
    const config = loadNodeConfig(file, { expired: true });
    const identity = { component: 'agent', node: config.name, overlay: config.overlay.parameters.name } as const;
    code = await runAgent(config, createLog(config.log, identity));
  } catch (error) {
    code = report(error);
  }
  // WebRTC's threads do not end by themselves.
  process.exit(code);
}
