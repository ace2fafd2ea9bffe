/** A node whose clock is wrong from its start, or becomes wrong while it runs: certificates and TLS must cope. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Control } from '../../agent/src/io/control.ts';
import { type Watched, watch } from '../demo/measure.ts';
import { EVIO, type Joined, pidOf, status } from '../demo/overlay.ts';
import { sleep, start } from '../demo/shell.ts';
import {
  agentLog,
  breaking,
  endAgent,
  type Fault,
  type Lab,
  LogMarks,
  node,
  note,
  startAgain,
  stop,
  unharmed,
  whole,
  withoutXmpp,
} from './lab.ts';

const SECONDS = { m: 60, y: 365 * 86_400 } as const;
/** No real-time clock: the kernel begins in 1970. */
const NO_CLOCK = '@1970-01-01 00:00:05';

/** Debian's libfaketime, for processes with threads. */
function faketimeLibrary(): string {
  for (const folder of readdirSync('/usr/lib')) {
    const path = join('/usr/lib', folder, 'faketime/libfaketimeMT.so.1');
    try {
      readFileSync(path);
      return path;
    } catch {
      // Another folder.
    }
  }
  throw new Error('there is no libfaketimeMT.so.1: apt-get install faketime');
}

/** Starts a node whose agent and tincan see another time; monotonic clocks are left alone. */
function startWithClock(lab: Lab, one: Joined, ...variables: string[]): void {
  const log = join(one.runDir, '..', 'agent.log');
  const env = [`LD_PRELOAD=${faketimeLibrary()}`, 'FAKETIME_DONT_FAKE_MONOTONIC=1', 'DONT_FAKE_MONOTONIC=1'];
  lab.keep(start(one.name, log, 'env', ...env, ...variables, EVIO, 'agent', 'run', '--config', one.config));
}

/** As a board that was never there before: what it remembers of the others is gone. */
async function stopAndForget(one: Joined): Promise<void> {
  await stop(one);
  const { stateDir } = JSON.parse(readFileSync(one.config, 'utf8')) as { stateDir: string };
  rmSync(stateDir, { recursive: true, force: true });
}

/** How far the clocks of the two processes are off, by their last lines, in seconds. */
function offsets(one: Joined): { readonly agent: number; readonly tincan: number } {
  const last = (lines: readonly string[]): number => {
    const times = lines.flatMap((line) => /^(\d{4}-\S+Z) /.exec(line)?.[1] ?? []);
    return Date.parse(times.at(-1) ?? '') / 1000;
  };
  const tincan = readFileSync(join(one.runDir, 'tincan.log'), 'utf8').split('\n');
  const now = Date.now() / 1000;
  return { agent: last(agentLog(one)) - now, tincan: last(tincan) - now };
}

function offsetOf(clock: string): number {
  const [, sign, count, unit] = /^([+-])(\d+)([my])$/.exec(clock) ?? [];
  if (unit === undefined) return -Date.now() / 1000;
  return (sign === '-' ? -1 : 1) * Number(count) * SECONDS[unit as 'm' | 'y'];
}

/** A check that the test tests something: the clocks are as wrong as they should be, give or take a minute of age of the lines. */
async function wrong(lab: Lab, name: string, one: Joined, clock: string): Promise<void> {
  // A tincan that nothing has happened to has said nothing since its clock changed: a visitor is worth a line.
  const visit = await Control.open(join(one.runDir, 'control.sock'), { event: () => {}, closed: () => {} });
  await visit.request('hello', { client: 'faults' });
  visit.close();
  const { agent, tincan } = offsets(one);
  const off = offsetOf(clock);
  const ok = [agent, tincan].every((found) => Math.abs(found - off) < 90 + Math.abs(off) / 500);
  lab.report.holds(
    `${name}: agent and tincan see that clock`,
    ok,
    `${Math.round(agent)}, ${Math.round(tincan)}`,
    `${Math.round(off)}`,
    's',
  );
}

function judge(lab: Lab, name: string, watched: readonly Watched[]): void {
  note(lab, name, watched);
  unharmed(lab, name, watched);
}

/** Exactly as many lines about the clock as there should be. */
function clockLines(lab: Lab, name: string, lines: readonly string[], clock: string): void {
  const behind = /this machine's clock is at least [0-9]+ years behind/;
  const ahead = /this machine's clock is [0-9]+ years ahead/;
  const wanted = clock.endsWith('m') ? undefined : clock === '+5y' ? ahead : behind;
  const found = lines.filter((line) => /this machine's clock is /.test(line));
  const ok = wanted === undefined ? found.length === 0 : found.length === 1 && wanted.test(found[0] ?? '');
  const limit = wanted === undefined ? 'no line' : 'one line';
  lab.report.holds(`${name}: it says by how much`, ok, ok ? limit : `${found.length} lines: ${found[0] ?? ''}`, limit);
}

/** Fresh nodes with a wrong clock that find the others by the XMPP server: home2 is on no LAN with anybody. */
async function wrongClocks(lab: Lab): Promise<void> {
  const victim = node(lab, 'home2');
  for (const clock of ['-10m', '+10m', '-5y', '+5y', NO_CLOCK]) {
    const name = `clock ${clock === NO_CLOCK ? 'in 1970' : clock}`;
    breaking(lab, `home2 starts anew with its ${name}`);
    const others = lab.pairs.filter(({ from, to }) => from !== victim && to !== victim);
    const marks = new LogMarks(lab.nodes);
    const watched = await watch(others, async () => {
      await stopAndForget(victim);
      startWithClock(lab, victim, `FAKETIME=${clock}`);
      await whole(lab, `${name}: home2 is back`, 15_000);
    });
    judge(lab, `${name}, the others`, watched);
    await wrong(lab, name, victim, clock);
    const signalling = (await status(victim))?.signalling;
    lab.report.holds(
      `${name}: it is in the room of the XMPP server`,
      signalling?.state === 'online',
      signalling?.error ?? signalling?.state ?? 'no answer',
      'online',
    );
    clockLines(lab, name, marks.since(victim), clock);
    const quiet = await watch(
      lab.pairs.filter(({ from, to }) => from === victim || to === victim),
      () => sleep(5_000),
    );
    judge(lab, `${name}, home2 itself`, quiet);
  }
  await stop(victim);
  startAgain(lab, victim);
  await whole(lab, 'clock right again', 15_000);
}

/** With no server to be asked, a neighbour on the LAN tells the time. */
async function wrongClockOnLan(lab: Lab): Promise<void> {
  const victim = node(lab, 'desk1');
  for (const clock of ['+5y', NO_CLOCK]) {
    const name = `clock ${clock === NO_CLOCK ? 'in 1970' : clock} without XMPP`;
    breaking(lab, `desk1 starts anew with its ${name}: only its LAN knows of it`);
    const marks = new LogMarks(lab.nodes);
    await withoutXmpp([victim.name], async () => {
      await stopAndForget(victim);
      startWithClock(lab, victim, `FAKETIME=${clock}`);
      await whole(lab, `${name}: desk1 is back`, 20_000);
      await wrong(lab, name, victim, clock);
      clockLines(lab, name, marks.since(victim), clock);
    });
  }
  await stop(victim);
  startAgain(lab, victim);
  await whole(lab, 'clock right again', 15_000);
}

/** CPU seconds a process has used. */
function cpuS(pid: number): number {
  const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const fields = rest.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The clock of a running node jumps there and back. */
async function clockJumps(lab: Lab): Promise<void> {
  const victim = node(lab, 'home2');
  const file = join(lab.dir, 'nodes', victim.name, 'clock');
  const set = (clock: string): void => writeFileSync(file, `${clock}\n`);
  breaking(lab, 'the clock of home2 jumps five years ahead, five years back, to 1970, ten minutes each way');
  set('+0s');
  await stop(victim);
  // Read again each second, like a clock that somebody sets.
  const variables = [`FAKETIME_TIMESTAMP_FILE=${file}`, 'FAKETIME_CACHE_DURATION=1'];
  startWithClock(lab, victim, ...variables);
  await whole(lab, 'clock jumps: before', 15_000);
  await sleep(5_000);
  const marks = new LogMarks(lab.nodes);
  const pids = { agent: await pidOf(victim, 'agent'), tincan: await pidOf(victim, 'tincan') };
  const used = { quiet: { agent: 0, tincan: 0 }, jumping: { agent: 0, tincan: 0 } };
  const spend = async (during: keyof typeof used, ms: number): Promise<void> => {
    const before = { agent: cpuS(pids.agent), tincan: cpuS(pids.tincan) };
    await sleep(ms);
    used[during].agent += cpuS(pids.agent) - before.agent;
    used[during].tincan += cpuS(pids.tincan) - before.tincan;
  };
  const watched = await watch(lab.pairs, async () => {
    await spend('quiet', 15_000);
    for (const clock of ['+5y', '-5y', '-56y', '+10m', '-10m']) {
      set(clock);
      await spend('jumping', 15_000);
      if (clock === '+5y') {
        // An upgrade just then: the new agent never saw a right clock.
        await wrong(lab, 'clock jumps', victim, clock);
        await endAgent(victim);
        startWithClock(lab, victim, ...variables);
        await sleep(5_000);
        pids.agent = await pidOf(victim, 'agent');
      }
    }
    set('+0s');
    await sleep(12_000);
  });
  judge(lab, 'clock jumps', watched);
  const each = { quiet: 15, jumping: 75 };
  for (const kind of ['agent', 'tincan'] as const) {
    const share = (during: keyof typeof used): number => (100 * used[during][kind]) / each[during];
    lab.report.details[`${lab.shape}.clock jumps, CPU of the ${kind} in %`] = {
      quiet: share('quiet'),
      jumping: share('jumping'),
    };
    // No storm of timers: twice of what carrying the pings takes, and a few percent for reading the clock's file.
    lab.report.atMost(`clock jumps: CPU of the ${kind}`, share('jumping'), 2 * share('quiet') + 5, '%');
  }
  const told = marks.since(victim).filter((line) => /clock is .*(behind|ahead)/.test(line));
  lab.report.holds(
    'clock jumps: each is told in one line',
    told.length >= 2 && told.length <= 5,
    told.length,
    '2 to 5',
  );
  await whole(lab, 'clock jumps: after', 5_000);
  await stop(victim);
  startAgain(lab, victim);
  await whole(lab, 'clock right again', 15_000);
}

/** libfaketime leaves a file behind for each process that was killed. */
function tidied(fault: (lab: Lab) => Promise<void>): (lab: Lab) => Promise<void> {
  const left = (): readonly string[] => readdirSync('/dev/shm').filter((name) => name.includes('faketime'));
  return async (lab) => {
    const before = new Set(left());
    try {
      await fault(lab);
    } finally {
      for (const name of left()) if (!before.has(name)) rmSync(join('/dev/shm', name), { force: true });
    }
  };
}

export const CLOCK_FAULTS: readonly Fault[] = [
  { name: 'clock-wrong', shape: 'mesh', run: tidied(wrongClocks) },
  { name: 'clock-wrong-lan', shape: 'mesh', run: tidied(wrongClockOnLan) },
  { name: 'clock-jumps', shape: 'mesh', run: tidied(clockJumps) },
];
