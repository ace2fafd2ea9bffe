/** What a long-running program has: a log, one way to fail, an orderly end, programs that end with it. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

export interface Process {
  say(text: string): void;
  /** Says it and ends the process. */
  fail(text: string): void;
  /** What is to be done before an end that was asked for. */
  onEnd(task: () => Promise<void>): void;
  /** Starts ffmpeg, which does not outlive this process. */
  ffmpeg(args: readonly string[], stdio: NonNullable<SpawnOptions['stdio']>): ChildProcess;
}

export function thisProcess(): Process {
  const tasks: (() => Promise<void>)[] = [];
  const children = new Set<ChildProcess>();
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const fail = (text: string): void => {
    process.stderr.write(`edge-video: ${text}\n`);
    process.exit(1);
  };
  const end = (): void => void Promise.all(tasks.map((task) => task())).then(() => process.exit(0));
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  process.once('exit', () => {
    for (const child of children) child.kill();
  });
  // Sockets of a library tell what they cannot do by an event nobody else hears.
  process.on('uncaughtException', (error) => fail(error.message));
  return {
    say,
    fail,
    onEnd: (task) => void tasks.push(task),
    ffmpeg(args, stdio) {
      const child = spawn('ffmpeg', args, { stdio });
      children.add(child);
      child.once('close', () => children.delete(child));
      child.once('error', (error) => fail(`ffmpeg cannot be started: ${error.message}; is it installed?`));
      return child;
    },
  };
}
