/** docs/cli.md, made from the commands: `node hack/generated.ts`. */

import { type OptionAbout, optionsOf } from './command-options.ts';
import type { Command } from './commands/command.ts';
import { COMMANDS, GROUPS } from './parser.ts';

const HEAD = `# The command line

\`evio\` is one program; \`kubectl-evio\`, where it is installed, is the same one, so that \`kubectl evio status\` works. Each command tells its options with
\`--help\`. Every command takes \`-o json\` and \`-o yaml\` (\`--output\`): one value on standard output, the same words as in the text; people's output goes to
standard output too, and what failed to standard error, in one line. Nothing is coloured. What takes longer than a second says so on
standard error when that is a terminal.

## Exit codes

| code | |
|---|---|
| 0 | done |
| 1 | failed, or the world is not as it is to be; the line says what, and what to do |
| 2 | the command line, or a file that it names, is wrong; nothing was done |

Where a command's codes mean more, its section says so. A signal ends a command with the code that the shell makes of it.

<!-- Made from cli/src/commands by hack/generated.ts: change the commands, not this file. -->
`;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

/** The whole page. */
export function cliPage(): string {
  const alone = COMMANDS.filter(({ path }) => GROUPS[path.split(' ')[0] ?? ''] === undefined);
  const groups = Object.entries(GROUPS).map(([group, about]) => ({
    title: `evio ${group}`,
    about: `${about}.`,
    members: COMMANDS.filter(({ path }) => path.startsWith(`${group} `)),
  }));
  const all = [
    { title: 'Looking at a node', about: '', members: alone.filter((one) => !isJoin(one)) },
    ...groups,
    { title: 'Joining and leaving', about: '', members: alone.filter(isJoin) },
  ];
  return [
    HEAD,
    ...all.flatMap(({ title, about, members }) => [
      `## ${title}\n`,
      ...(about === '' ? [] : [`${about}\n`]),
      ...members.map(section),
    ]),
  ].join('\n');
}

const isJoin = ({ path }: Command): boolean => /^(join|leave)\b/.test(path);

function section(command: Command): string {
  const { path, describe, exitCodes } = command;
  const rows = optionRows(command);
  const codes = Object.entries(exitCodes ?? {}).map(([code, means]) => `${code}: ${means}`);
  return [
    `### \`evio ${path}\`\n`,
    `${describe}.\n`,
    ...(rows.length === 0 ? [] : ['| option | what | default |', '|---|---|---|', ...rows, '']),
    ...(codes.length === 0 ? [] : [`Exit code ${codes.join('; ')}.\n`]),
  ].join('\n');
}

const optionRows = (command: Command): readonly string[] => optionsOf(command).map(optionRow);

function optionRow(option: OptionAbout): string {
  const { name, letters, describe, positional, required, default: fallback } = option;
  const short = letters.map((letter) => `, \`-${letter}\``).join('');
  const word = positional ? `\`${name.toUpperCase()}\`` : `\`--${name}${placeholder(option)}\`${short}`;
  const nothing = fallback === undefined || fallback === false || (Array.isArray(fallback) && fallback.length === 0);
  const shown = required ? '**required**' : nothing ? '' : `\`${String(fallback)}\``;
  return `| ${word} | ${cell(describe)} | ${shown} |`;
}

function placeholder({ name, takes, choices }: OptionAbout): string {
  if (takes === 'nothing') return '';
  if (takes === 'choice') return ` ${choices.join('\\|')}`;
  return takes === 'number' ? ' N' : ` ${name.split('-').at(-1)?.toUpperCase()}`;
}
