/** How a command ends when it failed: words on standard error, and the exit code. */

import { ConfigError } from '../../agent/src/config/problems.ts';
import { Failure, oneLine } from './failure.ts';

export function report(error: unknown): number {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  // Not one of the failures we know by name: the words of the system are all there is to say.
  process.stderr.write(`evio: ${oneLine(error)}\n`);
  if (process.env.EVIO_DEBUG === '1' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return error instanceof Failure ? error.exitCode : 1;
}
