/** One row of the bad-input table: what is wrong, how it is made, the command, and what has to come of it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from './world.ts';

export interface Row {
  /** Completes "evio says what is wrong with ...". */
  readonly what: string;
  prepare(place: Place, world: World): Case | Promise<Case>;
}

export interface Case {
  /** After `evio`. */
  readonly args: readonly string[];
  /** A command that runs evio: one that takes privileges away, for example. */
  readonly within?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly code: number;
  /**
   * Whole lines: of standard error, or where the agent goes on, of what it logs as a warning or an error, without the time. An
   * expression is for what differs from run to run, and must match the whole line.
   */
  readonly says: readonly (string | RegExp)[];
  readonly goesOn?: GoesOn;
  /** Files and directories below the row's own that stay, and may. */
  readonly leaves?: readonly string[];
  /** After the command has ended. */
  undo?(): void | Promise<void>;
}

/** The agent rightly goes on trying. */
export interface GoesOn {
  /** So long after its last line nothing more may come, however often it tries meanwhile. */
  readonly quietMs: number;
  /** Puts right what was wrong, when the quiet time is over; the line that then says so, at any level. */
  heal?(): void | Promise<void>;
  readonly healed?: RegExp;
}

/** A row's own directory, and names for its interfaces. */
export class Place {
  readonly number: number;
  readonly dir: string;

  constructor(root: string, number: number) {
    this.number = number;
    this.dir = join(root, `row${number}`);
    mkdirSync(this.dir, { mode: 0o755 });
  }

  path(...names: readonly string[]): string {
    return join(this.dir, ...names);
  }

  get bridge(): string {
    return `bad${this.number}`;
  }

  get tap(): string {
    return `bad${this.number}-tap`;
  }
}
