/** One demo or bench of a prefix at a time: a file holds the pid of the one that runs. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { PREFIX } from './shell.ts';

const LOCK = `/run/lock/${PREFIX.slice(0, -1)}.lock`;

/** Ends this process when another one runs; `what` is a word of the command line that such a process has. */
export function takeLock(what: string): void {
  mkdirSync('/run/lock', { recursive: true });
  if (existsSync(LOCK)) {
    const pid = Number(readFileSync(LOCK, 'utf8'));
    if (pid > 0 && existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(what)) {
      process.stderr.write(`evio: a ${what} is running already (pid ${pid}); stop it, or wait for its end\n`);
      process.exit(1);
    }
    rmSync(LOCK, { force: true });
  }
  const file = openSync(LOCK, 'wx');
  writeFileSync(file, String(process.pid));
  closeSync(file);
}

export const giveLock = (): void => rmSync(LOCK, { force: true });
