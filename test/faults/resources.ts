/** A node runs out of something: room on its disk, descriptors, memory. Traffic goes on, and one line says what is short. */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type Watched, watch } from '../demo/measure.ts';
import { EVIO, type Joined, pidOf, residentMb } from '../demo/overlay.ts';
import { attempt, PREFIX, run, sleep, start, until } from '../demo/shell.ts';
import {
  agentLog,
  breaking,
  direct,
  endAgent,
  type Fault,
  type Lab,
  LogMarks,
  lostOf,
  node,
  note,
  outageS,
  relayed,
  sentOf,
  signal,
  startAgain,
  stop,
  whole,
  withNode,
  without,
} from './lab.ts';

const VICTIM = 'home2';
/** What the requirement allows. */
const LIMIT_S = 5;

const pids = (one: Joined): Promise<readonly number[]> =>
  Promise.all((['agent', 'tincan'] as const).map((kind) => pidOf(one, kind)));

function othersUnharmed(lab: Lab, name: string, watched: readonly Watched[]): void {
  const others = without(watched, VICTIM);
  lab.report.none(
    `${name}: packets lost by direct pairs of the others`,
    lostOf(direct(others)),
    sentOf(direct(others)),
  );
  lab.report.atMost(`${name}: longest outage of relayed pairs of the others`, outageS(relayed(others)), 1.5, 's');
}

// The disk.

/** The victim's directory, with its files, on a small disk of its own. */
async function withSmallDisk(lab: Lab, during: (place: string) => Promise<void>): Promise<void> {
  const victim = node(lab, VICTIM);
  const place = dirname(victim.config);
  const aside = `${place}.aside`;
  await stop(victim);
  await run(undefined, 'cp', '-a', place, aside);
  await run(undefined, 'mount', '-t', 'tmpfs', '-o', 'size=4m,mode=700', 'evio-small', place);
  try {
    await run(undefined, 'cp', '-a', `${aside}/.`, place);
    await during(place);
  } finally {
    await stop(victim).catch(() => '');
    await run(undefined, 'umount', '-l', place);
    rmSync(aside, { recursive: true });
  }
}

/** Takes all room, and what is left of the log's last page too. */
async function fill(place: string): Promise<void> {
  const log = join(place, 'agent.log');
  appendFileSync(log, `${'-'.repeat(4096 - (statSync(log).size % 4096) - 1)}\n`);
  await attempt(undefined, ['dd', 'if=/dev/zero', `of=${join(place, 'full')}`, 'bs=4k']);
}

async function diskFull(lab: Lab): Promise<void> {
  const name = 'disk full';
  const victim = node(lab, VICTIM);
  await withSmallDisk(lab, async (place) => {
    startAgain(lab, victim);
    await whole(lab, `${name}: ${VICTIM} on a disk of its own`, 10_000);
    await sleep(3_000);
    breaking(
      lab,
      `the disk of ${VICTIM} is full; its agent is restarted, its tincan killed with -9; 6 s later there is room again`,
    );
    await fill(place);
    const lines = agentLog(victim).length;
    const watched = await watch(lab.pairs, async () => {
      await endAgent(victim);
      startAgain(lab, victim);
      await sleep(3_000);
      await signal(victim, 'tincan', 'SIGKILL');
      await sleep(6_000);
      rmSync(join(place, 'full'));
      // What it remembers waits for the disk; what it logs from now on is written.
      await sleep(3_000);
      await endAgent(victim);
      startAgain(lab, victim);
      await sleep(2_000);
    });
    note(lab, name, watched);
    lab.report.atMost(`${name}: longest outage of pairs of ${VICTIM}`, outageS(withNode(watched, VICTIM)), 3, 's');
    othersUnharmed(lab, name, watched);
    const said = agentLog(victim).slice(lines);
    const missing = said.filter((line) =>
      /lines of the log missing here, since they could not be written: \d+/.test(line),
    );
    lab.report.holds(
      `${name}: the log says what is missing in it`,
      missing.length === 1,
      missing.join(' | ') || `none in ${said.length} lines`,
      'one line',
    );
    const remembered = JSON.parse(readFileSync(memberFile(place), 'utf8')) as { certificates: string[] };
    lab.report.atLeast(`${name}: members it remembers`, remembered.certificates.length, lab.nodes.length - 1, '');
    await whole(lab, name, LIMIT_S * 1_000);
  });
  startAgain(lab, victim);
  await whole(lab, `${name}: ${VICTIM} on the old disk`, 10_000);
}

function memberFile(place: string): string {
  const state = readdirSync(place).find((entry) => entry.startsWith('state')) ?? 'state';
  return join(place, state, 'members.json');
}

// Descriptors.

/** Soft limit of open descriptors; `undefined`: as many as the hard one allows. */
async function limitDescriptors(pid: number, count: number | undefined): Promise<void> {
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1] ?? '4096';
  await run(undefined, 'prlimit', `--pid=${pid}`, `--nofile=${count ?? hard}:${hard}`);
}

const openDescriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

async function descriptors(lab: Lab): Promise<void> {
  const name = 'out of descriptors';
  const other = node(lab, 'office1');
  const victim = node(lab, VICTIM);
  const processes = await pids(victim);
  breaking(
    lab,
    `agent and tincan of ${VICTIM} may open no further descriptor for 12 s; the agent of ${other.name}, which it reaches by a relay, is killed meanwhile`,
  );
  const marks = new LogMarks([victim]);
  const limited: number[] = [];
  let asked = '';
  const watched = await watch(lab.pairs, async () => {
    try {
      for (const pid of processes) {
        limited.push(pid);
        // Not even the ones that are closed meanwhile come back.
        await limitDescriptors(pid, Math.max(3, openDescriptors(pid) - 2));
      }
      await signal(other, 'agent', 'SIGKILL');
      startAgain(lab, other);
      await sleep(4_000);
      const status = await attempt(victim.name, [EVIO, 'status', '--run-dir', victim.runDir], 8_000);
      asked = status.stdout === '' ? status.stderr : 'answers';
      await sleep(8_000);
    } finally {
      for (const pid of limited) await limitDescriptors(pid, undefined);
    }
    await sleep(LIMIT_S * 1_000);
  });
  note(lab, name, watched);
  lab.report.none(`${name}: packets lost by direct pairs`, lostOf(direct(watched)), sentOf(direct(watched)));
  const unconcerned = relayed(without(watched, VICTIM, other.name));
  lab.report.atMost(`${name}: longest outage of relayed pairs it does not concern`, outageS(unconcerned), 1.5, 's');
  const lines = marks.since(victim);
  const about = lines.filter((line) => /too many (open )?files/i.test(line));
  lab.report.holds(
    `${name}: the log of ${VICTIM} says so, and not again and again`,
    about.length >= 1 && lines.length <= 20,
    `${about.length} of ${lines.length} lines: ${about[0] ?? lines.at(-1) ?? 'none'}`,
    'one at least, of 20 at most',
  );
  lab.report.holds(
    `${name}: evio status answers, or says in one line why not`,
    asked === 'answers' || asked.trim().split('\n').length === 1,
    asked.trim(),
  );
  lab.report.holds(
    `${name}: agent and tincan are the same processes`,
    (await pids(victim)).join() === processes.join(),
  );
  await whole(lab, name, LIMIT_S * 1_000);
  const grown = openDescriptors(processes[0] ?? 0);
  lab.report.details[`${lab.shape}.${name}: descriptors of the agent after`] = grown;
}

// Memory.

const V1 = '/sys/fs/cgroup/memory';
const V2 = '/sys/fs/cgroup';

/** A control group with a memory limit, of either version of the interface (cgroup-v1/memory, cgroup-v2 in the kernel's manual). */
class MemoryGroup {
  readonly path: string;
  readonly #v1 = existsSync(join(V1, 'memory.limit_in_bytes'));

  constructor(name: string) {
    if (!this.#v1) writeFileSync(join(V2, 'cgroup.subtree_control'), '+memory');
    this.path = join(this.#v1 ? V1 : V2, `evio-${process.pid}-${name}`);
    mkdirSync(this.path);
  }

  limit(bytes: number): void {
    writeFileSync(join(this.path, this.#v1 ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
  }

  used(): number {
    return Number(readFileSync(join(this.path, this.#v1 ? 'memory.usage_in_bytes' : 'memory.current'), 'utf8'));
  }

  /** What no page on a disk stands for. */
  anonymous(): number {
    const text = readFileSync(join(this.path, 'memory.stat'), 'utf8');
    return Number((this.#v1 ? /^rss (\d+)/m : /^anon (\d+)/m).exec(text)?.[1] ?? 0);
  }

  kills(): number {
    const text = readFileSync(join(this.path, this.#v1 ? 'memory.oom_control' : 'memory.events'), 'utf8');
    return Number(/^oom_kill (\d+)/m.exec(text)?.[1] ?? 0);
  }

  /** What a shell does to run a command in it. */
  enter(...command: string[]): readonly string[] {
    return ['sh', '-c', `echo $$ > "${this.path}/cgroup.procs" && exec "$@"`, 'sh', ...command];
  }

  async remove(): Promise<void> {
    const parent = join(dirname(this.path), 'cgroup.procs');
    for (const pid of readFileSync(join(this.path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean))
      writeFileSync(parent, pid);
    await until('the control group is empty', 3_000, async () => {
      try {
        rmdirSync(this.path);
        return true;
      } catch {
        return false;
      }
    });
  }
}

/** What docs/operations.md recommends for a node's service. */
const NODE_LIMIT_MB = 192;

async function memory(lab: Lab): Promise<void> {
  const name = 'memory limit';
  const victim = node(lab, VICTIM);
  const group = new MemoryGroup(VICTIM);
  try {
    breaking(
      lab,
      `${VICTIM} runs in a control group of ${NODE_LIMIT_MB} MB; then something else in it takes what is left`,
    );
    group.limit(NODE_LIMIT_MB << 20);
    await stop(victim);
    const log = join(victim.runDir, '..', 'agent.log');
    // The group's files are not seen from within the namespace.
    const agentRun = ['ip', 'netns', 'exec', PREFIX + victim.name, EVIO, 'agent', 'run', '--config', victim.config];
    lab.keep(start(undefined, log, ...group.enter(...agentRun)));
    await whole(lab, `${name}: ${VICTIM} in its control group`, 10_000);
    await sleep(4_000);
    const tincan = await pidOf(victim, 'tincan');
    const agent = await pidOf(victim, 'agent');
    lab.report.atMost(
      `${name}: agent and tincan and their files need`,
      group.used() / 2 ** 20,
      NODE_LIMIT_MB * 0.9,
      'MB',
    );
    const watched = await watch(lab.pairs, async () => {
      lab.report.holds(`${name}: nothing was ended for want of memory so far`, group.kills() === 0, group.kills(), '0');
      // Of the processes in the group the kernel takes it first.
      writeFileSync(`/proc/${agent}/oom_score_adj`, '1000');
      // A little more than there is, and less than there is without the agent.
      const bytes = (NODE_LIMIT_MB << 20) - group.anonymous() + (6 << 20);
      const takesMuch = `head -c ${bytes} /dev/zero | tail -c ${bytes} | sleep 2`;
      const [shell = '', ...greed] = group.enter('sh', '-c', takesMuch);
      const greedy = spawn(shell, greed, { stdio: 'ignore' });
      try {
        await until('the agent is ended by the kernel', 10_000, async () => !existsSync(`/proc/${agent}`), 50);
      } finally {
        greedy.kill('SIGKILL');
      }
      await sleep(1_000);
      // As a supervisor would.
      startAgain(lab, victim);
      await sleep(4_000);
    });
    note(lab, name, watched);
    lab.report.atLeast(`${name}: processes ended by the kernel`, group.kills(), 1, '');
    lab.report.holds(`${name}: tincan is the same process`, (await pidOf(victim, 'tincan')) === tincan);
    lab.report.none(`${name}: packets lost by direct pairs`, lostOf(direct(watched)), sentOf(direct(watched)));
    lab.report.atMost(`${name}: longest outage of relayed pairs`, outageS(relayed(watched)), LIMIT_S, 's');
    lab.report.details[`${lab.shape}.${name}: the new agent`] = await residentMb(await pidOf(victim, 'agent'));
    await whole(lab, name, LIMIT_S * 1_000);
  } finally {
    await group.remove();
  }
}

export const RESOURCE_FAULTS: readonly Fault[] = [
  { name: 'disk-full', shape: 'mesh', run: diskFull },
  { name: 'descriptors', shape: 'mesh', run: descriptors },
  { name: 'memory', shape: 'mesh', run: memory },
];
