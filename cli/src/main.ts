/**
 * The `evio` command. What a command needs is loaded when it runs, so that an agent does not carry the rest in memory.
 *
 * Exit codes: 0 done, 1 failed, 2 the command line or a file given to it is wrong.
 */

import { parserOf } from './parser.ts';
import { report } from './report.ts';
import { endWithReader } from './standard-output.ts';
import { wordsOf } from './usage.ts';

endWithReader();

try {
  await parserOf(wordsOf(process.argv.slice(2))).parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
