/** What is wrong with a command line, in our words: the parser's own do not say which option, or what may stand there. */

import { oneLine } from './failure.ts';

/** What `-` stands for where a file is meant. */
export const STANDARD_INPUT = '/dev/stdin';

/** The parser makes an empty text of a lone `-`: it gets the name that the system has for the same. */
export const wordsOf = (argv: readonly string[]): readonly string[] =>
  argv.map((word) => (word === '-' ? STANDARD_INPUT : word));

/** Options that may be given more than once. */
const LISTS: ReadonlySet<string> = new Set([
  'address',
  'allow-name',
  'allow-peer',
  'api-server',
  'cidr',
  'deny-peer',
  'route',
  'stun',
  'turn',
]);

/** What the parser lets through and no command can use; undefined when there is nothing of the kind. */
export function uselessValue(args: Readonly<Record<string, unknown>>): string | undefined {
  for (const [key, value] of Object.entries(args)) {
    if (key === '_' || key === '$0' || /[A-Z]/.test(key) || key.length === 1) continue;
    // The parser makes a list of what is given twice, where one value is meant.
    if (Array.isArray(value) && !LISTS.has(key)) return `--${key} is given ${value.length} times; give it once`;
    if (Number.isNaN(value)) return `--${key} needs a number`;
    if ((Array.isArray(value) ? value : [value]).includes('')) return `--${key} needs a value`;
  }
  return undefined;
}

/** The parser's words in ours; `paths` are those of all commands. */
export function usageMessage(words: string, argv: readonly string[], paths: readonly string[]): string {
  const path = commandOf(argv, paths);
  const name = path?.replace(/ [<[].*/, '');
  return `${inOurWords(oneLine(words), path)}; see evio ${name === undefined ? '' : `${name} `}--help`;
}

function inOurWords(words: string, path: string | undefined): string {
  const [, unknown] = /^Unknown (?:argument|command)s?: (.*)$/.exec(words) ?? [];
  if (unknown !== undefined) return `unknown here: ${unknown}`;
  const [, missing] = /^Missing required arguments?: (.*)$/.exec(words) ?? [];
  if (missing !== undefined) return `missing: ${optionList(missing)}`;
  if (words.startsWith('Not enough non-option arguments'))
    return `missing: ${
      /<.*>/
        .exec(path ?? '')?.[0]
        .replace(/[<>]/g, '')
        .toUpperCase() ?? 'an argument'
    }`;
  const [, exclusive] = /^Arguments (.*) are mutually exclusive$/.exec(words) ?? [];
  if (exclusive !== undefined) return `${optionList(exclusive.replace(' and ', ', '), ' and ')} say the same; give one`;
  const [, option, given, choices] = /Argument: ([^,]*), Given: (.*), Choices: (.*)$/.exec(words) ?? [];
  if (option !== undefined) return `--${option}: ${given} is not allowed; allowed: ${choices}`;
  const [, valueless] = /^Not enough arguments following: (.*)$/.exec(words) ?? [];
  if (valueless !== undefined) return `${optionList(valueless)} needs a value`;
  return words;
}

const optionList = (names: string, between = ', '): string =>
  names
    .split(', ')
    .map((name) => (name.length === 1 ? `-${name}` : `--${name}`))
    .join(between);

/** The command whose words the line begins with. */
function commandOf(argv: readonly string[], paths: readonly string[]): string | undefined {
  const words = argv.filter((word) => !word.startsWith('-'));
  return paths.find((path) => path.split(' ').every((part, i) => /^[<[]/.test(part) || part === words[i]));
}
