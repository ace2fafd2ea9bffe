/** `evio completion SHELL`. */
import { completionScript, SHELLS } from '../completion.ts';
import { print } from '../output.ts';
import { type Command, command } from './command.ts';

export const completionCommands: readonly Command[] = [
  command({
    path: 'completion <shell>',
    describe: 'Print a script that lets a shell complete this command; its first lines say where to put it',
    options: (yargs) =>
      yargs.positional('shell', {
        choices: SHELLS,
        demandOption: true,
        describe: 'bash, zsh or fish; kubectl: what it asks for kubectl evio',
      }),
    run: async ({ shell }, io) => {
      // All commands, this one among them.
      const { COMMANDS, GROUPS } = await import('../parser.ts');
      print(io, { shell, script: completionScript(shell, COMMANDS, GROUPS) }, ({ script }) => script);
    },
  }),
];
