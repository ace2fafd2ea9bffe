/** Carries out one row and says what came of it. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Case, Place, type Row } from './row.ts';
import type { World } from './world.ts';

/** The shipped command. */
export const EVIO = resolve(import.meta.dirname, '../../../dist/evio');
/** In the environment of everything a row starts: what is left of it is found by this. */
export const MARK = 'EVIO_BAD_INPUT';
const COMMAND_MS = 30_000;
const LINE_MS = 25_000;
const END_MS = 3_000;

export interface Outcome {
  readonly what: string;
  readonly command: string;
  readonly wanted: { readonly code: number; readonly says: readonly (string | { readonly matches: string })[] };
  readonly got: { readonly code: number | string | null; readonly says: readonly string[] };
  /** Standard output, or the agent's whole log. */
  readonly output: string;
  /** Processes, interfaces and files that should be gone. */
  readonly left: readonly string[];
  /** Secrets in what was said. */
  readonly told: readonly string[];
  readonly error?: string;
}

interface Said {
  readonly code: number | string | null;
  readonly says: readonly string[];
  readonly output: string;
}

export async function carryOut(row: Row, number: number, world: World): Promise<Outcome> {
  const place = new Place(world.dir, number);
  const empty = {
    command: '',
    wanted: { code: 0, says: [] },
    got: { code: null, says: [] },
    output: '',
    left: [],
    told: [],
  };
  try {
    const wanted = await row.prepare(place, world);
    const before = filesBelow(place.dir);
    const mark = `${world.mark}-${number}`;
    const got = wanted.goesOn === undefined ? await toItsEnd(wanted, place, mark) : await goingOn(wanted, place, mark);
    const left = [
      ...(await processesLeft(mark)),
      ...linksOf(place),
      ...filesBelow(place.dir).filter((path) => !before.includes(path) && !wanted.leaves?.includes(path)),
    ];
    await wanted.undo?.();
    const tincan = place.path('run', 'tincan.log');
    const all = got.says.join('\n') + got.output + (existsSync(tincan) ? readFileSync(tincan, 'utf8') : '');
    return {
      what: row.what,
      command: `evio ${wanted.args.join(' ')}`,
      wanted: {
        code: wanted.code,
        says: wanted.says.map((line) => (typeof line === 'string' ? line : { matches: `^${line.source}$` })),
      },
      got: { code: got.code, says: got.says },
      output: got.output,
      left,
      told: [...world.secrets].filter((secret) => all.includes(secret)),
    };
  } catch (error) {
    return { what: row.what, ...empty, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function start({ args, within = [], env }: Case, place: Place, mark: string) {
  const [program = '', ...rest] = [...within, EVIO, ...args];
  const child = spawn(program, rest, {
    cwd: place.dir,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [MARK]: mark, ...env },
  });
  const said = { out: '', err: '' };
  child.stdout.on('data', (data: Buffer) => {
    said.out += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    said.err += data.toString();
  });
  // `close` would wait for a tincan that holds the pipes.
  const ended = new Promise<number | string | null>((done, fail) => {
    child.on('error', fail);
    child.on('exit', (code, signal) => done(signal ?? code));
  });
  return { child, said, ended };
}

const linesOf = (text: string): readonly string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

async function toItsEnd(wanted: Case, place: Place, mark: string): Promise<Said> {
  const { child, said, ended } = start(wanted, place, mark);
  const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS);
  const code = await ended;
  clearTimeout(timer);
  await sleep(20);
  return { code, says: linesOf(said.err), output: said.out };
}

/** Rows run beside each other on one machine, and each node rightly says that another one's bridge has the same overlay. */
const OF_OTHER_ROWS = /meets the route \S+ dev (?:bad|one)\d+ of this machine/;

/** Lines a person has to see: of warnings and errors, without the time. */
const complaints = (log: string): readonly string[] =>
  linesOf(log)
    .flatMap((line) => /^\S+ ((?:warn|error) .*)$/.exec(line)?.[1] ?? [])
    .filter((line) => !OF_OTHER_ROWS.test(line));

async function goingOn(wanted: Case, place: Place, mark: string): Promise<Said> {
  const { child, said, ended } = start(wanted, place, mark);
  const { quietMs, heal, healed } = wanted.goesOn ?? { quietMs: 0 };
  let over = false;
  void ended.finally(() => {
    over = true;
  });
  const until = async (holds: () => boolean): Promise<void> => {
    for (const end = performance.now() + LINE_MS; !over && !holds() && performance.now() < end; ) await sleep(20);
  };
  await until(() => complaints(said.out).length >= wanted.says.length);
  for (const end = performance.now() + quietMs; !over && performance.now() < end; ) await sleep(50);
  const says = [...complaints(said.out), ...linesOf(said.err)];
  if (heal !== undefined) {
    await heal();
    const from = said.out.length;
    await until(() => healed?.test(said.out.slice(from)) ?? true);
    if (healed !== undefined && !healed.test(said.out.slice(from)))
      says.push('(it did not say that all is well again)');
  }
  if (!over) child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS);
  const code = await ended;
  clearTimeout(timer);
  await sleep(20);
  return { code, says, output: said.out };
}

/** Processes with this mark; what is ending has a moment for it. Those that stay are ended. */
async function processesLeft(mark: string): Promise<readonly string[]> {
  const end = performance.now() + END_MS;
  while (markedProcesses(mark).length > 0 && performance.now() < end) await sleep(50);
  return markedProcesses(mark).map((pid) => {
    const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    process.kill(pid, 'SIGKILL');
    return `process ${pid} (${name})`;
  });
}

/** By the environment they were started with. One that has ended and that nobody has waited for yet has none. */
export function markedProcesses(mark: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${MARK}=${mark}`);
      } catch {
        return false;
      }
    });
}

function linksOf(place: Place): readonly string[] {
  const names = readdirSync('/sys/class/net').concat(Object.keys(networkInterfaces()));
  return [place.bridge, place.tap].filter((name) => names.includes(name)).map((name) => `interface ${name}`);
}

/** Paths below a directory, relative to it. */
function filesBelow(dir: string): readonly string[] {
  return readdirSync(dir, { recursive: true }).map(String).sort();
}
