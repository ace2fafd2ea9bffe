import { readFileSync } from 'node:fs';

/** Whether a process runs; a zombie does not: its parent may be slow to look. */
export function alive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
