/** A running node: the agent's machine with its adapters around it. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeConfig } from './config/node-config.ts';
import { ApiServer, TakenError } from './io/api-server.ts';
import type { Log } from './io/log.ts';
import { raisePriority } from './io/priority.ts';
import { systemReason } from './io/system-error.ts';
import { feedWatchdog } from './io/systemd.ts';
import { Node } from './node.ts';
import { obstacle, StartError } from './obstacle.ts';

/** Ending takes a second at most, four when tincan does not answer. */
const END_MS = 8_000;

/**
 * Runs until the process is told to end. SIGINT and the API's `stop` end tincan too and take evio0 away; SIGTERM, and SIGHUP when the
 * terminal is closed, leave both, so that traffic goes on while the agent is exchanged. Told again, it goes on ending. Resolves with
 * the exit code; throws StartError when the node cannot run, and nothing is left then.
 */
export async function runAgent(config: NodeConfig, log: Log): Promise<number> {
  const problem = obstacle(surroundings());
  if (problem !== undefined) throw new StartError(problem);
  const api = await ApiServer.claim(join(config.runDir, 'agent.sock'), (message) => log.warn(message)).catch(
    (error: unknown) => {
      throw new StartError(cannotUse(config.runDir, error));
    },
  );
  // It carries the records of relayed tunnels.
  raisePriority();
  feedWatchdog();
  const node = new Node(config, log, randomBytes);
  const ended = Promise.withResolvers<number>();
  let ending = false;
  const end = (how: 'stop' | 'leave') => {
    if (ending) return;
    ending = true;
    log.info(how === 'stop' ? 'stopping, tincan too' : 'stopping; tincan goes on');
    const late = setTimeout(() => {
      log.error(`stopping took more than ${END_MS / 1000} s: ending at once`);
      ended.resolve(1);
    }, END_MS);
    late.unref();
    void node[how]().then(
      (done) => ended.resolve(done ? 0 : 1),
      (error: unknown) => {
        log.error(`stopping failed: ${error instanceof Error ? error.message : String(error)}`);
        ended.resolve(1);
      },
    );
  };
  process.on('SIGINT', () => end('stop'));
  process.on('SIGTERM', () => end('leave'));
  // Started by nohup (the launcher says so), it outlives its terminal.
  process.on('SIGHUP', () => process.env.EVIO_NOHUP === undefined && end('leave'));
  const fail = (error: unknown) => {
    // What a start meets because it is being ended is no news.
    if (ending) return;
    ending = true;
    void node.abandon().finally(() => ended.reject(error));
  };
  node.start(api, () => end('stop'), fail).catch(fail);
  return ended.promise;
}

function surroundings() {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return {
    euid: process.geteuid?.() ?? -1,
    capabilities: BigInt(`0x${capabilities}`),
    tunError: openError('/dev/net/tun'),
  };
}

function openError(path: string): string | undefined {
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function cannotUse(runDir: string, error: unknown): string {
  if (error instanceof TakenError) {
    const who = error.pid === undefined ? 'an agent that does not answer' : `an agent (pid ${error.pid})`;
    return `${who} runs already with the run directory ${runDir}: stop it with "evio agent stop", or set another runDir`;
  }
  if ((error as NodeJS.ErrnoException).code === undefined)
    return error instanceof Error ? error.message : String(error);
  return `cannot use the run directory ${runDir}: ${systemReason(error)}; make it writable for root, or set another runDir`;
}
