/** docs/cli.md, made from the commands: `node hack/generated.ts`. */

import yargs, { type Argv } from 'yargs';
import type { Command } from './commands/command.ts';
import { COMMANDS, GROUPS, OUTPUT } from './parser.ts';

const HEAD = `# The command line

\`evio\` is one program; \`kubectl-evio\`, where it is installed, is the same one, so that \`kubectl evio status\` works. Each command tells its options with
\`--help\`. Every command takes \`-o json\` (\`--output\`): one JSON value on standard output, the same words as in the text; people's output goes to
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

interface Options {
  readonly key: Readonly<Record<string, unknown>>;
  readonly boolean: readonly string[];
  readonly number: readonly string[];
  readonly array: readonly string[];
  readonly choices: Readonly<Record<string, readonly string[]>>;
  readonly default: Readonly<Record<string, unknown>>;
  readonly alias: Readonly<Record<string, readonly string[]>>;
}

/** What yargs knows of itself, and its types do not. */
interface Inside {
  getOptions(): Options;
  getDemandedOptions(): Readonly<Record<string, unknown>>;
  getInternalMethods(): { getUsageInstance(): { getDescriptions(): Readonly<Record<string, string>> } };
}

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

function optionRows(command: Command): readonly string[] {
  // A parser of its own, that parses nothing.
  const parser: Argv = command.options(yargs([]).help(false).version(false));
  const inside = parser as unknown as Inside;
  const options = inside.getOptions();
  const told = inside.getInternalMethods().getUsageInstance().getDescriptions();
  const demanded = inside.getDemandedOptions();
  const positional = new Set([...command.path.matchAll(/[<[]([a-z0-9-]+)/g)].map(([, name]) => name));
  const aliases = new Set(
    Object.values(options.alias)
      .flat()
      .filter((name) => name.length === 1),
  );
  return Object.keys(options.key)
    .filter((name) => !aliases.has(name) && !(name in OUTPUT && name === 'output'))
    .map((name) => {
      const short = options.alias[name]?.filter((other) => other.length === 1).map((other) => `, \`-${other}\``) ?? [];
      const word = positional.has(name)
        ? `\`${name.toUpperCase()}\``
        : `\`--${name}${placeholder(name, options)}\`${short.join('')}`;
      const about = (told[name] ?? '').replace('__yargsString__:', '');
      const fallback = options.default[name];
      const shown =
        name in demanded
          ? '**required**'
          : fallback === undefined || fallback === false || (Array.isArray(fallback) && fallback.length === 0)
            ? ''
            : `\`${String(fallback)}\``;
      return `| ${word} | ${cell(about)} | ${shown} |`;
    });
}

function placeholder(name: string, options: Options): string {
  if (options.boolean.includes(name)) return '';
  const choices = options.choices[name];
  if (choices !== undefined) return ` ${choices.join('\\|')}`;
  return options.number.includes(name) ? ' N' : ` ${name.split('-').at(-1)?.toUpperCase()}`;
}
