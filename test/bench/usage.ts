/**
 * Processor time and memory of groups of processes, each group one control group.
 *
 * A group has what its processes ran for, and that includes the network work that the kernel did in their name: a packet sent over a
 * veth is received, up to the socket or the tap it is for, within the sender's system call (softirq), and without
 * CONFIG_IRQ_TIME_ACCOUNTING, as here, that time is the sender's. What the kernel's own threads ran for (ksoftirqd, kworker: kernel
 * WireGuard's encryption) is counted by itself, for the whole machine.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PREFIX, sleep } from '../demo/shell.ts';

const V1 = '/sys/fs/cgroup/cpuacct';
const hierarchy = existsSync(join(V1, 'cpuacct.usage')) ? V1 : '/sys/fs/cgroup';
/** All groups of the bench are in it. */
const ROOT = join(hierarchy, PREFIX.slice(0, -1));

/** Clock ticks a second in /proc: the same on every Linux that Node.js runs on. */
const TICKS = 100;

function folder(group: string): string {
  const path = join(ROOT, group);
  mkdirSync(path, { recursive: true });
  return path;
}

/** The command, run as a member of the group; its children are too. Not within a namespace's own /sys, where the groups are not seen. */
export function inGroup(group: string, command: readonly string[]): readonly string[] {
  return ['sh', '-c', 'echo $$ >"$0" && exec "$@"', join(folder(group), 'cgroup.procs'), ...command];
}

/** Makes a process, and what it starts from now on, members of the group. */
export const enter = (group: string, pid = process.pid): void =>
  writeFileSync(join(folder(group), 'cgroup.procs'), String(pid));

export function cpuSeconds(group: string): number {
  return used(folder(group));
}

function used(path: string): number {
  if (hierarchy === V1) return Number(readFileSync(join(path, 'cpuacct.usage'), 'utf8')) / 1e9;
  return Number(/^usage_usec (\d+)/m.exec(readFileSync(join(path, 'cpu.stat'), 'utf8'))?.[1]) / 1e6;
}

export const pidsOf = (group: string): readonly number[] =>
  readFileSync(join(folder(group), 'cgroup.procs'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(Number);

/** Resident memory in MB of a process, 0 of one that has ended. */
export function residentMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

export const groupMb = (group: string): number => pidsOf(group).reduce((sum, pid) => sum + residentMb(pid), 0);

/** What the machine had done by a moment, in seconds of one processor. */
export interface Machine {
  readonly busy: number;
  readonly steal: number;
  readonly all: number;
  readonly kernelThreads: number;
  /** All groups of the bench. */
  readonly ours: number;
  readonly load: number;
}

export function machineNow(): Machine {
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = (
    /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  )
    .split(' ')
    .map((ticks) => Number(ticks) / TICKS);
  const busy = user + nice + system + irq + softirq;
  return {
    busy,
    steal,
    all: busy + steal + idle + wait,
    kernelThreads: kernelThreadSeconds(),
    ours: existsSync(ROOT) ? used(ROOT) : 0,
    load: Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]),
  };
}

function kernelThreadSeconds(): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      // After the name, which may have anything in it: state, parent (2 is kthreadd), and from the 12th on user and system time.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      if (fields[1] === '2') ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It ended in between.
    }
  }
  return ticks / TICKS;
}

/** Leaves and removes all groups; their processes have to be gone, which the kernel may need a moment for. */
export async function removeGroups(): Promise<void> {
  writeFileSync(join(hierarchy, 'cgroup.procs'), String(process.pid));
  for (let tries = 0; existsSync(ROOT); tries++) {
    try {
      const below = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isDirectory());
      for (const { name } of below) rmdirSync(join(ROOT, name));
      rmdirSync(ROOT);
    } catch (error) {
      if (tries === 50) throw error;
      await sleep(50);
    }
  }
}
