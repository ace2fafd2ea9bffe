/** A running node: the agent's machine with its adapters around it. */
import type { NodeConfig } from './config/node-config.ts';
import { type Pages, serveHealth } from './io/health.ts';
import type { Log } from './io/log.ts';
import { surroundings } from './io/surroundings.ts';
import { obstacle, StartError } from './obstacle.ts';
import { Renewer } from './renewer.ts';
import { Runner } from './runner.ts';

/**
 * Runs until the process is told to end. SIGINT and the API's `stop` end tincan too and take evio0 away; SIGTERM, and SIGHUP when the
 * terminal is closed, leave both, so that traffic goes on while the agent is exchanged. Told again, it goes on ending. Resolves with
 * the exit code; throws StartError when the node cannot run, and nothing is left then.
 */
export async function runAgent(config: NodeConfig, log: Log): Promise<number> {
  const problem = obstacle(surroundings());
  if (problem !== undefined) throw new StartError(problem);
  const runner = await Runner.claim(config.runDir, log, {
    tincan: 'own',
    news: () => renewer.news(),
    online: () => renewer.online(),
  });
  const renewer = new Renewer(runner, log);
  endOnSignals(runner);
  runner.start(config);
  renewer.start(config);
  const { port } = config.metrics;
  const pages =
    port === 0 ? undefined : serveHealth(port, pagesOf(runner), 'set another metrics.port', (line) => log.warn(line));
  return runner.ended.finally(() => {
    renewer.stop();
    pages?.close();
  });
}

/** Ready is a node that carries frames and knows of no fault. */
function pagesOf(runner: Runner): Pages {
  const starting = 'the node is starting';
  return {
    state: () => {
      const facts = runner.node?.facts;
      if (facts === undefined) return { ready: false, message: starting };
      const fault = facts.findings.find(({ severity }) => severity === 'error')?.text;
      if (fault !== undefined) return { ready: false, message: fault };
      return facts.tincan === undefined ? { ready: false, message: starting } : { ready: true, message: 'ok' };
    },
    metrics: async () => {
      const { node } = runner;
      if (node === undefined) throw new Error(starting);
      return node.metrics();
    },
  };
}

export function endOnSignals(runner: Runner): void {
  process.on('SIGINT', () => runner.end('stop'));
  process.on('SIGTERM', () => runner.end('leave'));
  // Started by nohup (the launcher says so), it outlives its terminal.
  process.on('SIGHUP', () => process.env.EVIO_NOHUP === undefined && runner.end('leave'));
}
