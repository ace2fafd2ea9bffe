/** Asks a running agent over agent.sock (agent/src/api.ts). */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import type { Status } from '../../agent/src/api.ts';
import { RUN_ROOT } from '../../agent/src/config/places.ts';
import { isObject, LineReader, parseObject } from '../../agent/src/io/json-lines.ts';
import { Failure, UsageError } from './failure.ts';

const SOCKET = 'agent.sock';
/** For an agent that is asked whether it is the one. */
const CHECK_MS = 1_000;

/** An error the agent answered. */
export class AgentError extends Failure {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Nobody is there to be asked. */
export class NoAgentError extends Failure {}

export interface Where {
  readonly runDir?: string | undefined;
  readonly config?: string | undefined;
}

/** The run directory that is meant: named, of a node file, or the only one with an agent (or `socket`) in it. */
export async function findRunDir({ runDir, config }: Where, root = RUN_ROOT, socket = SOCKET): Promise<string> {
  if (runDir !== undefined) return resolve(runDir);
  if (config !== undefined) {
    const running = socket === SOCKET ? await runDirOf(config, root) : undefined;
    if (running !== undefined) return running;
    // What checks a node file is more to load than all the rest of a question.
    const { loadNodeConfig } = await import('../../agent/src/config/load.ts');
    return loadNodeConfig(config, { expired: true }).runDir;
  }
  const found = runDirs(root).filter((dir) => existsSync(join(dir, socket)));
  if (found.length > 1) {
    throw new UsageError(`several overlays are here: ${found.join(', ')}; choose one with --run-dir or --config`);
  }
  const [only] = found;
  if (only === undefined) {
    throw new NoAgentError(
      `no agent runs here (no ${SOCKET} under ${root}); start it with: evio agent run --config FILE; or say where with --run-dir`,
    );
  }
  return only;
}

/**
 * Of an agent that runs with just this node file, which has not been touched since: it has checked it. Undefined: whoever asks has to, and
 * tells what is wrong.
 */
async function runDirOf(config: string, root: string): Promise<string | undefined> {
  const file = resolve(config);
  const known = peek(file);
  if (known === undefined) return undefined;
  for (const dir of known.runDir === undefined ? runDirs(root) : [known.runDir])
    if (existsSync(join(dir, SOCKET)) && (await runsWith(dir, file, known.touchedMs))) return dir;
  return undefined;
}

/** Without a word of what is wrong with it. */
function peek(file: string): { readonly runDir: string | undefined; readonly touchedMs: number } | undefined {
  try {
    const { ctimeMs: touchedMs } = statSync(file);
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const runDir = isObject(value) ? value.runDir : undefined;
    return { runDir: typeof runDir === 'string' ? runDir : undefined, touchedMs };
  } catch {
    return undefined;
  }
}

async function runsWith(dir: string, file: string, touchedMs: number): Promise<boolean> {
  try {
    const agent = await AgentClient.open(dir);
    try {
      const { node, agent: process } = await agent.request<Status>('status', {}, CHECK_MS);
      return node.file === file && Date.now() - process.uptimeMs > touchedMs;
    } finally {
      agent.close();
    }
  } catch {
    // None there, or none that is ready: it is asked, and told of, in the usual way.
    return false;
  }
}

function runDirs(root: string): readonly string[] {
  try {
    return readdirSync(root).map((name) => join(root, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES')
      throw new Failure(`cannot look into ${root}: run this as root (sudo)`);
    return [];
  }
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Failure): void;
  readonly timer: NodeJS.Timeout;
}

export class AgentClient {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;

  static open(runDir: string): Promise<AgentClient> {
    const path = join(runDir, SOCKET);
    return new Promise((done, fail) => {
      const socket = connect(path);
      socket.once('error', (error: NodeJS.ErrnoException) => fail(why(error, path, runDir)));
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        done(new AgentClient(socket));
      });
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = new LineReader();
    socket.on('data', (data: string | Buffer) => {
      if (typeof data === 'string') return;
      try {
        for (const line of lines.push(data)) this.#line(line);
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { reject, timer } of this.#pending.values()) {
        clearTimeout(timer);
        reject(new AgentError('closed', 'the agent ended before it answered; see its log'));
      }
      this.#pending.clear();
    });
  }

  request<T>(method: string, params: object = {}, timeoutMs = 10_000): Promise<T> {
    const id = this.#nextId++;
    return new Promise((done, fail) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        fail(
          new AgentError('timeout', `the agent did not answer "${method}" within ${timeoutMs / 1000} s; see its log`),
        );
      }, timeoutMs);
      // The agent is of the same version: what it answers has the shape api.ts says.
      this.#pending.set(id, { resolve: (result) => done(result as T), reject: fail, timer });
      this.#socket.write(`${JSON.stringify({ id, method, params })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #line(line: string): void {
    const message = parseObject(line);
    const pending = typeof message?.id === 'number' ? this.#pending.get(message.id) : undefined;
    if (message === undefined || pending === undefined) return;
    this.#pending.delete(message.id as number);
    clearTimeout(pending.timer);
    if (message.error === undefined) {
      pending.resolve(message.result);
      return;
    }
    const { code, message: text } = isObject(message.error) ? message.error : {};
    pending.reject(new AgentError(String(code ?? 'system'), String(text ?? 'the agent failed')));
  }
}

function why(error: NodeJS.ErrnoException, path: string, runDir: string): Failure {
  const start = 'start it with: evio agent run --config FILE';
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return new Failure(`cannot open ${path}: permission denied; run this as root (sudo)`);
    case 'ENOENT':
      return new NoAgentError(`no agent runs with ${runDir} (there is no ${SOCKET} in it); ${start}`);
    case 'ECONNREFUSED':
      return new NoAgentError(`the agent of ${runDir} is not running (nobody answers at ${SOCKET}); ${start}`);
    default:
      return new Failure(`cannot open ${path}: ${error.message}`);
  }
}

/** Opens a connection for the time of `work`. */
export async function withAgent<T>(where: Where, work: (agent: AgentClient) => Promise<T>): Promise<T> {
  const agent = await AgentClient.open(await findRunDir(where));
  try {
    return await work(agent);
  } finally {
    agent.close();
  }
}
