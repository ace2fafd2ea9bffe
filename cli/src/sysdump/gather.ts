/** What a report of a fault needs to hold, from one node: what the agent knows, what the system shows, logs. Nothing is changed. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Status } from '../../../agent/src/api.ts';
import { besideNodeFile } from '../../../agent/src/config/files.ts';
import { secretPaths } from '../../../agent/src/config/load.ts';
import { isObject } from '../../../agent/src/io/json-lines.ts';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { type AgentClient, AgentClient as Client } from '../agent-client.ts';
import { run } from '../process.ts';
import type { Secret } from './redact.ts';

export interface Gathered {
  /** By the name in the archive. */
  readonly files: ReadonlyMap<string, string>;
  readonly secrets: readonly Secret[];
  /** What could not be had, and why: a line each. */
  readonly missing: readonly string[];
}

/** The end of a log is what is asked for. */
const LOG_BYTES = 1024 * 1024;
const COMMAND_MS = 5_000;

/** Programs and their words; what is not installed is said. */
const COMMANDS: readonly (readonly [string, readonly [string, ...string[]]])[] = [
  ['system/uname.txt', ['uname', '-a']],
  ['system/addresses.txt', ['ip', '-d', 'address']],
  ['system/links.txt', ['ip', '-s', '-s', 'link']],
  ['system/routes4.txt', ['ip', '-4', 'route', 'show', 'table', 'all']],
  ['system/routes6.txt', ['ip', '-6', 'route', 'show', 'table', 'all']],
  ['system/rules.txt', ['ip', 'rule']],
  ['system/neighbours.txt', ['ip', 'neigh']],
  ['system/udp-sockets.txt', ['ss', '-Hunap']],
  ['system/nftables.txt', ['nft', 'list', 'ruleset']],
  ['system/disks.txt', ['df', '-h']],
  ['system/time.txt', ['timedatectl', 'status']],
  ['logs/journal.txt', ['journalctl', '--no-pager', '-n', '3000', '-u', 'evio*']],
];

/** `runDir` of a node whose agent may run; `file` its node file, unless that is to be asked of the agent. Rejects with nothing. */
export async function gather(
  runDir: string,
  file: string | undefined,
  tell: (text: string) => void,
): Promise<Gathered> {
  const files = new Map<string, string>();
  const missing: string[] = [];
  const miss = (what: string, error: unknown): void => {
    missing.push(`${what}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
  };
  const tried = async (what: string, make: () => string | Promise<string>): Promise<void> => {
    tell(what);
    try {
      files.set(what, await make());
    } catch (error) {
      miss(what, error);
    }
  };

  let nodeFile = file;
  await withAgent(runDir, miss, async (agent) => {
    for (const method of ['status', 'peers', 'graph'] as const)
      await tried(`agent/${method}.json`, async () => {
        const answer = await agent.request(method);
        if (method === 'status') nodeFile ??= (answer as Status).node.file;
        return `${JSON.stringify(answer, null, 2)}\n`;
      });
  });

  const secrets: Secret[] = [];
  let stateDir: string | undefined;
  if (nodeFile === undefined)
    missing.push('config/node.json: which one it is would be told by the agent, or by --config');
  else {
    const path = nodeFile;
    await tried('config/node.json', () => {
      const text = readFileSync(path, 'utf8');
      const value: unknown = JSON.parse(text);
      secrets.push(...secretsOf(path, value));
      stateDir = isObject(value) && typeof value.stateDir === 'string' ? value.stateDir : undefined;
      return withoutSecrets(value);
    });
  }
  await tried('logs/tincan.log', () => tail(join(runDir, 'tincan.log')));
  await tried('state/run-directory.txt', () => listing(runDir));
  const state = stateDir;
  if (state !== undefined) await tried('state/state-directory.txt', () => listing(state));
  await tried('system/os-release.txt', () => readFileSync('/etc/os-release', 'utf8'));
  await tried('system/resolv.conf', () => readFileSync('/etc/resolv.conf', 'utf8'));
  for (const [name, [program, ...args]] of COMMANDS)
    await tried(name, async () => {
      const done = await run(program, args, { timeoutMs: COMMAND_MS });
      const words = done.code === 0 ? '' : `\n(exit code ${done.code}) ${done.stderr}`;
      return `${done.stdout}${words}`;
    });
  return { files, secrets, missing };
}

async function withAgent(
  runDir: string,
  miss: (what: string, error: unknown) => void,
  ask: (agent: AgentClient) => Promise<void>,
): Promise<void> {
  let agent: AgentClient;
  try {
    agent = await Client.open(runDir);
  } catch (error) {
    miss('agent/', error);
    return;
  }
  try {
    await ask(agent);
  } finally {
    agent.close();
  }
}

/** The values of the node file's secrets, in place or in files of their own. */
function secretsOf(path: string, value: unknown): readonly Secret[] {
  return secretPaths().flatMap(([section, key]): readonly Secret[] => {
    const source = isObject(value) && isObject(value[section]) ? value[section][key] : undefined;
    const name = `${section}.${key}`;
    if (typeof source === 'string') return [{ name, value: source }];
    if (!isObject(source) || typeof source.file !== 'string') return [];
    try {
      return [{ name, value: readFileSync(besideNodeFile(path, source.file), 'utf8').trim() }];
    } catch {
      // What cannot be read cannot be in the dump by us.
      return [];
    }
  });
}

/** By their keys: also one that is too short to be looked for. */
function withoutSecrets(value: unknown): string {
  const copy = structuredClone(value);
  for (const [section, key] of secretPaths())
    if (isObject(copy) && isObject(copy[section]) && typeof copy[section][key] === 'string')
      (copy[section] as Record<string, unknown>)[key] = '(redacted)';
  return `${JSON.stringify(copy, null, 2)}\n`;
}

function tail(path: string): string {
  const bytes = readFileSync(path);
  return bytes.subarray(Math.max(0, bytes.length - LOG_BYTES)).toString('utf8');
}

function listing(dir: string): string {
  return readdirSync(dir)
    .sort()
    .map((name) => {
      try {
        const { size, mode, mtime } = statSync(join(dir, name));
        return `${(mode & 0o7777).toString(8).padStart(4, '0')} ${String(size).padStart(10)} ${mtime.toISOString()} ${name}\n`;
      } catch (error) {
        return `${name}: ${systemReason(error)}\n`;
      }
    })
    .join('');
}
