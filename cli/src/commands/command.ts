/** One command of `evio`: its place, its options, and what it does. */

import type { Argv } from 'yargs';
import type { Io } from '../output.ts';

export interface Command {
  /** As yargs wants it, with the group first: `node enroll <name>`. */
  readonly path: string;
  readonly describe: string;
  /** What its exit codes mean, where they mean more than everywhere (docs/cli.md). */
  readonly exitCodes?: ExitCodes | undefined;
  options(yargs: Argv): Argv;
  run(args: unknown, io: Io): Promise<void>;
}

/** By code, or several with commas between. */
export type ExitCodes = Readonly<Record<string, string>>;

/** Ties the options of a command to the arguments it is run with. */
export function command<T>(definition: {
  readonly path: string;
  readonly describe: string;
  readonly exitCodes?: ExitCodes;
  readonly options: (yargs: Argv) => Argv<T>;
  readonly run: (args: T, io: Io) => Promise<void>;
}): Command {
  return {
    path: definition.path,
    describe: definition.describe,
    exitCodes: definition.exitCodes,
    // yargs hands a command the arguments its own builder declared: the cast says what strict parsing has checked.
    options: (yargs) => definition.options(yargs) as Argv,
    run: (args, io) => definition.run(args as T, io),
  };
}
