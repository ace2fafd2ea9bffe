/** What the `evio` command asks the agent: JSON lines over agent.sock in the run directory (agent/src/api.ts). */
import { chmodSync, linkSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { isObject, LineReader, parseObject } from './json-lines.ts';
import { makeDirectory, removeEmpty, systemReason } from './system-error.ts';

/** Answers one request; what it throws is answered as an error. */
export type ApiHandler = (method: string, params: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** An error the command shows as it is. */
export class ApiError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Another agent answers at the socket. */
export class TakenError extends Error {
  readonly pid: number | undefined;
  constructor(pid: number | undefined) {
    super('another agent answers there');
    this.pid = pid;
  }
}

const starting: ApiHandler = () => Promise.reject(new ApiError('starting', 'the agent is starting; ask again'));

const ASK_MS = 1_000;
const LOOK_MS = 5_000;

/**
 * The socket is also what keeps a second agent away: it is made under a name of its own and then linked to `path`, which only one can
 * do, and whose owner lives as long as somebody answers there, whatever ended him.
 */
export class ApiServer {
  readonly #path: string;
  readonly #report: (message: string) => void;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #inode = 0n;
  #handler: ApiHandler = starting;
  #look: NodeJS.Timeout | undefined;
  #told = '';
  /** The first directory that had to be made for the run directory. */
  #made: string | undefined;

  private constructor(path: string, report: (message: string) => void) {
    this.#path = path;
    this.#report = report;
  }

  /** Throws a TakenError when another agent is there, and one line when the run directory cannot be made or used. */
  static async claim(path: string, report: (message: string) => void): Promise<ApiServer> {
    const api = new ApiServer(path, report);
    await api.#claim().catch((error: unknown) => {
      api.#removeMade();
      throw error;
    });
    api.#look = setInterval(() => void api.#again(), LOOK_MS);
    return api;
  }

  /** From here on requests are answered by `handler`; by none while the node is started. */
  answerBy(handler: ApiHandler = starting): void {
    this.#handler = handler;
  }

  close(): void {
    clearInterval(this.#look);
    if (this.#ours()) remove(this.#path);
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** For a node that could not start: removes the run directory too, if it was not there before. */
  abandon(): void {
    this.close();
    this.#removeMade();
  }

  #removeMade(): void {
    if (this.#made === undefined) return;
    const runDir = dirname(this.#path);
    rmSync(runDir, { recursive: true, force: true });
    removeEmpty(dirname(runDir), this.#made);
  }

  async #claim(): Promise<void> {
    const own = besides(this.#path, 'a');
    const runDir = dirname(this.#path);
    try {
      const made = makeDirectory(runDir, 0o700);
      this.#made ??= made;
    } catch (error) {
      throw new Error(`cannot make the run directory ${runDir}: ${systemReason(error)}`);
    }
    remove(own);
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      serve(socket, (method, params) => this.#handler(method, params));
    });
    // The run directory has mode 0700, so nobody comes in between.
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(own, resolve);
    });
    try {
      chmodSync(own, 0o600);
      await linkFree(own, this.#path);
    } catch (error) {
      server.close();
      throw error;
    } finally {
      remove(own);
    }
    this.#server?.close();
    this.#server = server;
    this.#inode = statSync(this.#path, { bigint: true }).ino;
  }

  #ours(): boolean {
    try {
      return statSync(this.#path, { bigint: true }).ino === this.#inode;
    } catch {
      return false;
    }
  }

  /** The run directory was emptied under us: without the socket nobody could look, or stop the agent. */
  async #again(): Promise<void> {
    if (this.#ours()) return;
    let said: string;
    try {
      await this.#claim();
      said = `${this.#path} was gone and is there again`;
    } catch (error) {
      said = `${this.#path} is gone: ${systemReason(error)}`;
    }
    if (said !== this.#told) this.#report(said);
    this.#told = said;
  }
}

/** Gives `own` the name `path`, if no one who lives has it. */
async function linkFree(own: string, path: string): Promise<void> {
  for (;;) {
    try {
      linkSync(own, path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    await refuseIfAlive(path);
    // Nobody answers there. Of several that find it so, each moves away what it found, and puts back what lives after all.
    const stale = besides(path, 's');
    try {
      renameSync(path, stale);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      continue;
    }
    try {
      await refuseIfAlive(stale);
    } catch (error) {
      linkSync(stale, path);
      throw error;
    } finally {
      remove(stale);
    }
  }
}

async function refuseIfAlive(path: string): Promise<void> {
  const holder = await holderOf(path);
  if (holder !== null) throw new TakenError(holder.pid);
}

/** Null when nobody listens; an agent that is held listens and says nothing. */
function holderOf(path: string): Promise<{ readonly pid: number | undefined } | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const lines = new LineReader();
    const done = (holder: { readonly pid: number | undefined } | null) => {
      socket.destroy();
      resolve(holder);
    };
    socket.setTimeout(ASK_MS, () => done({ pid: undefined }));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code === 'EAGAIN' ? { pid: undefined } : null));
    socket.once('connect', () => socket.write(`${JSON.stringify({ id: 1, method: 'pid' })}\n`));
    socket.on('data', (data: string | Buffer) => {
      for (const line of typeof data === 'string' ? [] : lines.push(data)) {
        const result = parseObject(line)?.result;
        done({ pid: isObject(result) && typeof result.pid === 'number' ? result.pid : undefined });
      }
    });
    socket.once('close', () => done(null));
  });
}

/** A name of this process alone, and short: a run directory may be just short enough for "control.sock". */
const besides = (path: string, what: string): string => join(dirname(path), `${what}.${process.pid.toString(36)}`);

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was not there, or cannot be removed: then what comes next says so.
  }
}

function serve(socket: Socket, handler: ApiHandler): void {
  const lines = new LineReader();
  socket.on('error', () => {});
  socket.on('data', (data: string | Buffer) => {
    if (typeof data === 'string') return;
    try {
      for (const line of lines.push(data)) void answer(socket, handler, line);
    } catch {
      socket.destroy();
    }
  });
}

async function answer(socket: Socket, handler: ApiHandler, line: string): Promise<void> {
  const request = parseObject(line);
  const id = request?.id ?? null;
  const reply = (body: object) => {
    if (!socket.destroyed) socket.write(`${JSON.stringify({ id, ...body })}\n`);
  };
  if (typeof request?.method !== 'string') {
    reply({ error: { code: 'bad-request', message: 'not a request' } });
    return;
  }
  try {
    // Who is here is answered at any time, also before the agent has started.
    if (request.method === 'pid') reply({ result: { pid: process.pid } });
    else reply({ result: await handler(request.method, isObject(request.params) ? request.params : {}) });
  } catch (error) {
    const code = error instanceof ApiError ? error.code : 'system';
    reply({ error: { code, message: error instanceof Error ? error.message : String(error) } });
  }
}
