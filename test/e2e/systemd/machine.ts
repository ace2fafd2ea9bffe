/** A machine that systemd runs, in namespaces: the real one, as its process 1, with our units alone. Other kinds: test/package. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { alive } from '../../alive.ts';
import { type Done, program } from '../evio.ts';
import { environment, until } from '../terminal/lan.ts';

/** What becomes the first process of a machine. */
export interface Kind {
  /** A program and its arguments, which ends by becoming that process. */
  readonly command: readonly string[];
  /** How that process is called (proc_pid_comm(5)). */
  readonly init: string;
  /** The environment of its administrator's commands, beside PATH. */
  readonly env: readonly string[];
  /** Folders of groups of processes that the machine is in, one of each hierarchy; left out: one of its own where systemd has its services. */
  readonly cgroups?: readonly string[];
}

const UNITS_ALONE: Kind = {
  command: [join(import.meta.dirname, 'machine.sh')],
  init: 'systemd',
  env: [`PATH=${environment().PATH}`, 'SYSTEMD_UNIT_PATH=/etc/systemd/system', 'container=evio-test'],
};

/** Where a group of processes can be made that systemd may divide further: version 1 or 2 of cgroups. */
const CGROUPS = existsSync('/sys/fs/cgroup/systemd/cgroup.procs') ? '/sys/fs/cgroup/systemd' : '/sys/fs/cgroup';

export class Machine {
  readonly #unshare: ChildProcess;
  readonly #cgroups: readonly string[];
  readonly #pid: number;
  readonly #env: readonly string[];

  private constructor(unshare: ChildProcess, cgroups: readonly string[], pid: number, env: readonly string[]) {
    this.#unshare = unshare;
    this.#cgroups = cgroups;
    this.#pid = pid;
    this.#env = env;
  }

  /** In the network namespace `ns`. */
  static async boot(ns: string, kind: Kind = UNITS_ALONE): Promise<Machine> {
    const { command, init, env, cgroups = [join(CGROUPS, ns)] } = kind;
    for (const cgroup of cgroups) mkdirSync(cgroup, { recursive: true });
    const entered = cgroups.map((cgroup) => `echo $$ >"${cgroup}/cgroup.procs"`).join('; ');
    const enter = `${entered}; exec ip netns exec "${ns}" unshare --mount --pid --fork --kill-child --cgroup --uts --ipc "$@"`;
    const unshare = spawn('sh', ['-c', enter, 'sh', ...command], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: environment(),
    });
    let words = '';
    unshare.stderr.on('data', (data: Buffer) => {
      words += data.toString();
    });
    const machine = await until(`${init} is process 1`, 10_000, () => {
      if (unshare.exitCode !== null) throw new Error(`${init} did not start: ${words}`);
      const pid = Number(
        readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8').trim().split(' ')[0],
      );
      const name = pid > 0 && alive(pid) ? readFileSync(`/proc/${pid}/comm`, 'utf8').trim() : '';
      return name === init ? new Machine(unshare, cgroups, pid, env) : undefined;
    });
    if (init !== 'systemd') return machine;
    await until(
      'systemd has booted',
      20_000,
      async () => /^running/.test((await machine.run('systemctl', 'is-system-running')).stdout) || undefined,
    );
    return machine;
  }

  /** A command of its administrator. */
  run(...command: readonly string[]): Promise<Done> {
    return program('nsenter', '-t', String(this.#pid), '-a', '--', 'env', ...this.#env, ...command);
  }

  async ok(...command: readonly string[]): Promise<string> {
    const done = await this.run(...command);
    if (done.code !== 0) throw new Error(`${command.join(' ')}: exit code ${done.code}: ${done.stdout}${done.stderr}`);
    return done.stdout;
  }

  async property(unit: string, name: string): Promise<string> {
    return (await this.ok('systemctl', 'show', '--value', '-p', name, unit)).trim();
  }

  journal(unit: string): Promise<string> {
    return this.ok('journalctl', '--no-pager', '-o', 'cat', '-u', unit);
  }

  /** Its end is the end of everything in it. */
  async end(): Promise<void> {
    if (alive(this.#pid)) process.kill(this.#pid, 'SIGKILL');
    await until('systemd ends', 10_000, () => this.#unshare.exitCode ?? this.#unshare.signalCode ?? undefined);
    await until('its groups are gone', 5_000, () => this.#cgroups.every(removed) || undefined);
  }
}

function removed(cgroup: string): boolean {
  if (!existsSync(cgroup)) return true;
  try {
    for (const entry of readdirSync(cgroup, { withFileTypes: true }))
      if (entry.isDirectory()) removed(join(cgroup, entry.name));
    rmdirSync(cgroup);
    return true;
  } catch {
    return false;
  }
}
