/** Runs what `quickLine` understood. */
import { showCommands } from './commands/show.ts';
import { ioFor } from './output.ts';
import type { QuickLine } from './quick.ts';
import { report } from './report.ts';
import { endWithReader } from './standard-output.ts';

export async function runQuick({ path, args, output }: QuickLine): Promise<void> {
  endWithReader();
  try {
    await showCommands
      .find((command) => command.path === path)
      ?.run(args, await ioFor(output, (text) => process.stdout.write(text)));
  } catch (error) {
    process.exitCode = report(error);
  }
}
