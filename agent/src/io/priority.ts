/**
 * Processor time for what carries traffic. A node shares its machine with pods, a relay with other services: a datapath that waits
 * for the processor drops packets and finds its paths dead, long before anybody else feels a thing.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** sched(7): about ten times the weight of a process of nice 0. */
export const TRAFFIC_NICE = -10;

/**
 * Raises a process, with all threads it has so far; later ones inherit it. Leaves it alone when somebody has chosen its nice value,
 * and when we may not (CAP_SYS_NICE): then it runs as any other. Never throws.
 */
export function raisePriority(pid: number = process.pid): void {
  try {
    if (getPriority(pid) !== 0) return;
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), TRAFFIC_NICE);
    // sched(7), "The autogroup feature": nice values count within a session only, sessions share by a value of their own. A session
    // that the process leads is its own; another would be a person's shell.
    if (sessionOf(pid) === pid) writeFileSync(`/proc/${pid}/autogroup`, String(TRAFFIC_NICE));
  } catch {
    // No right to, no such feature in this kernel, or it has ended already.
  }
}

/** proc(5): the sixth field of stat; the second is the program's name, in brackets, and may hold anything. */
function sessionOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[3]);
}
