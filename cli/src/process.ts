/** Running other programs to their end. */

import { spawn, spawnSync } from 'node:child_process';
import { Failure } from './failure.ts';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly gid?: number;
  /** What to say when the program is not there: which package it comes in. */
  readonly missing?: string;
  readonly timeoutMs?: number;
}

/** Runs a program and gives back how it ended; a program that cannot be started is a Failure. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
    const [out, err]: [string[], string[]] = [[], []];
    child.stdout.on('data', (data: Buffer) => out.push(data.toString()));
    child.stderr.on('data', (data: Buffer) => err.push(data.toString()));
    // A program that reads nothing closes its input: its exit code tells what happened.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'ENOENT' ? `it is not installed${options.missing ? `; ${options.missing}` : ''}` : error.message;
      reject(new Failure(`cannot run ${program}: ${why}`));
    });
    child.on('close', (code) => resolve({ code, stdout: out.join(''), stderr: err.join('') }));
  });
}

/** Runs a program that has to succeed; `what` begins the sentence when it does not. */
export async function mustRun(
  what: string,
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const done = await run(program, args, options);
  if (done.code === 0) return done.stdout;
  const words = (done.stderr.trim() || done.stdout.trim()).split('\n').at(-1) ?? '';
  throw new Failure(`${what}: ${program} ended with ${done.code ?? 'a signal'}${words === '' ? '' : `: ${words}`}`);
}

/** Whether a program can be found. */
export function installed(program: string): boolean {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`;
  return spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', program], { env: { PATH: path } }).status === 0;
}
