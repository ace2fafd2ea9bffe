/** Commands in network namespaces, and the processes that outlive one command. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import type { Readable } from 'node:stream';

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Every namespace of the demo, its folder and its lock begin so; nothing else on the machine is touched. EVIO_DEMO_PREFIX names
 * another beginning, so that two demos can run beside each other.
 */
export const PREFIX = checkedPrefix(process.env.EVIO_DEMO_PREFIX ?? 'evio-demo-');

/** How the name of the demo's folder begins, under the system's own for temporary files. */
export const FOLDER = `${PREFIX}work-`;

/** Paths of unix sockets hold it, and those end at 107 bytes. */
function checkedPrefix(prefix: string): string {
  if (/^[a-z][a-z0-9-]{0,18}-$/.test(prefix)) return prefix;
  process.stderr.write(
    `evio: EVIO_DEMO_PREFIX ${JSON.stringify(prefix)} cannot be used: 2 to 20 of a-z, 0-9 and "-", a letter first and "-" last\n`,
  );
  process.exit(1);
}

const inNamespace = (ns: string | undefined, command: readonly string[]): readonly string[] =>
  ns === undefined ? command : ['ip', 'netns', 'exec', PREFIX + ns, ...command];

/** Runs a command to its end; never throws for its exit code. `timeoutMs` ends it with SIGKILL. */
export function attempt(ns: string | undefined, command: readonly string[], timeoutMs = 60_000): Promise<Finished> {
  const [program, ...args] = inNamespace(ns, command);
  return new Promise((resolve) => {
    execFile(
      program ?? '',
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 256 << 20 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr: error !== null && stderr === '' ? error.message : stderr });
      },
    );
  });
}

/** Runs a command that has to succeed. */
export async function run(ns: string | undefined, ...command: string[]): Promise<string> {
  const done = await attempt(ns, command);
  if (done.code !== 0) {
    throw new Error(
      `${inNamespace(ns, command).join(' ')}: exit code ${done.code}: ${done.stderr.trim() || done.stdout.trim()}`,
    );
  }
  return done.stdout;
}

/** Feeds a text to a command that has to succeed (nft -f -, ip -batch -). */
export function feed(ns: string, text: string, ...command: string[]): Promise<void> {
  const [program, ...args] = inNamespace(ns, command);
  return new Promise((resolve, reject) => {
    const child = spawn(program ?? '', args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${command.join(' ')}: ${stderr.trim()}`))));
    child.stdin.end(text);
  });
}

/** Starts a process that stays; its output goes to a file. */
export function start(ns: string | undefined, log: string, ...command: string[]): ChildProcess {
  const [program, ...args] = inNamespace(ns, command);
  const out = openSync(log, 'a', 0o600);
  return spawn(program ?? '', args, { stdio: ['ignore', out, out] });
}

/** Starts a process whose output is collected until it ends, what it wrote to the error stream apart. */
export function collect(
  ns: string | undefined,
  ...command: string[]
): { readonly child: ChildProcess; readonly output: Promise<string>; readonly errors: Promise<string> } {
  const [program, ...args] = inNamespace(ns, command);
  const child = spawn(program ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const gathered = (stream: Readable): Promise<string> => {
    const chunks: Buffer[] = [];
    stream.on('data', (data: Buffer) => chunks.push(data));
    return new Promise((resolve) => {
      child.on('error', () => resolve(''));
      child.on('close', () => resolve(Buffer.concat(chunks).toString()));
    });
  };
  return { child, output: gathered(child.stdout), errors: gathered(child.stderr) };
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until `probe` gives something, or throws with `what` once `withinMs` have passed. */
export async function until<T>(
  what: string,
  withinMs: number,
  probe: () => Promise<T | undefined | false>,
  everyMs = 100,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${withinMs} ms`);
    await sleep(everyMs);
  }
}

/** Process ids in a namespace. */
export async function pidsIn(ns: string): Promise<readonly number[]> {
  const done = await attempt(undefined, ['ip', 'netns', 'pids', PREFIX + ns]);
  return done.stdout.split('\n').filter(Boolean).map(Number);
}
