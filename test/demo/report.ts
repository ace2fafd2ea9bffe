/** The common form of results: what was checked, what was found, what the limit was. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

export interface Check {
  readonly name: string;
  readonly value: number | string;
  readonly unit: string;
  readonly limit: string;
  readonly ok: boolean;
}

export class Report {
  readonly checks: Check[] = [];
  readonly details: Record<string, unknown> = {};
  readonly #started = new Date().toISOString();
  readonly #tolerant: boolean;
  readonly #verb: string;

  /** `tolerant`: a performance figure fails only when it is off by more than half. */
  constructor(verb: string, tolerant: boolean) {
    this.#verb = verb;
    this.#tolerant = tolerant;
  }

  /** Something that holds or does not. */
  holds(name: string, ok: boolean, value: number | string = ok ? 'yes' : 'no', limit = 'yes', unit = ''): void {
    this.#add({ name, value, unit, limit, ok });
  }

  /** A measured figure that must not exceed its limit. */
  atMost(name: string, value: number, limit: number, unit: string): void {
    const bound = this.#tolerant ? limit * 1.5 : limit;
    this.#add({ name, value: round(value), unit, limit: `<= ${limit}`, ok: value <= bound });
  }

  /** A measured figure that must reach its limit. */
  atLeast(name: string, value: number, limit: number, unit: string): void {
    const bound = this.#tolerant ? limit * 0.5 : limit;
    this.#add({ name, value: round(value), unit, limit: `>= ${limit}`, ok: value >= bound });
  }

  /**
   * Packets lost out of `sent`: none may be. A tolerant run forgives one in a thousand, because a machine that stands
   * still for a second loses what no design can keep; of relayed pairs one in fifty, because on a busy machine all of them wait
   * together for the TURN server's turn, whose buffers hold some ten milliseconds.
   */
  none(name: string, lost: number, sent: number, of: 'any' | 'relayed' = 'any'): void {
    const forgiven = this.#tolerant ? sent / (of === 'relayed' ? 50 : 1000) : 0;
    this.#add({ name, value: `${lost} of ${sent}`, unit: '', limit: '0', ok: lost <= forgiven });
  }

  /** A check whose line somebody else has printed. */
  note(check: Check): void {
    this.checks.push(check);
  }

  /** Prints one line and remembers the check. */
  #add(check: Check): void {
    this.note(check);
    const value = `${check.value}${check.unit === '' ? '' : ` ${check.unit}`}`;
    say(`${check.ok ? ' ok ' : 'FAIL'}  ${check.name}: ${value} (${check.limit})`);
  }

  get passed(): number {
    return this.checks.filter((check) => check.ok).length;
  }
  get failed(): number {
    return this.checks.length - this.passed;
  }

  /** Writes results/<verb>.json. */
  save(): string {
    mkdirSync('results', { recursive: true });
    const file = `results/${this.#verb}.json`;
    const body = {
      machine: machine(),
      commit: commit(),
      started: this.#started,
      checks: this.checks,
      details: this.details,
    };
    writeFileSync(file, `${JSON.stringify(body, null, 2)}\n`);
    return file;
  }
}

const began = performance.now();
/** One line of progress with the seconds since the start. */
export function say(line: string): void {
  process.stdout.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)}] ${line}\n`);
}

export const round = (value: number): number => (Number.isFinite(value) ? Number(value.toPrecision(4)) : value);

export const machine = (): string =>
  `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`;

export function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
