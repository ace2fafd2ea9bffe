/** What options and arguments a command takes, as its own parser has them: for docs/cli.md and for completion. */
import yargs, { type Argv } from 'yargs';
import type { Command } from './commands/command.ts';

export interface OptionAbout {
  readonly name: string;
  /** One letter each, without the hyphen. */
  readonly letters: readonly string[];
  readonly describe: string;
  /** An argument that stands by itself, as in `ping <node>`. */
  readonly positional: boolean;
  readonly takes: 'nothing' | 'number' | 'text' | 'choice';
  /** With `choice`. */
  readonly choices: readonly string[];
  readonly required: boolean;
  readonly default: unknown;
}

/** What yargs knows of itself, and its types do not. */
interface Inside {
  getOptions(): {
    readonly key: Readonly<Record<string, unknown>>;
    readonly boolean: readonly string[];
    readonly number: readonly string[];
    readonly choices: Readonly<Record<string, readonly string[]>>;
    readonly default: Readonly<Record<string, unknown>>;
    readonly alias: Readonly<Record<string, readonly string[]>>;
  };
  getDemandedOptions(): Readonly<Record<string, unknown>>;
  getInternalMethods(): { getUsageInstance(): { getDescriptions(): Readonly<Record<string, string>> } };
}

/** Of one command, in the order it declares them; what every command takes is not among them. */
export function optionsOf(command: Command): readonly OptionAbout[] {
  // A parser of its own, that parses nothing.
  const parser: Argv = command.options(yargs([]).help(false).version(false));
  const inside = parser as unknown as Inside;
  const options = inside.getOptions();
  const told = inside.getInternalMethods().getUsageInstance().getDescriptions();
  const demanded = inside.getDemandedOptions();
  const positional = new Set([...command.path.matchAll(/[<[]([a-z0-9-]+)/g)].map(([, name]) => name));
  const letters = (names: readonly string[]): readonly string[] => names.filter((name) => name.length === 1);
  const aliases = new Set(letters(Object.values(options.alias).flat()));
  return Object.keys(options.key)
    .filter((name) => !aliases.has(name) && name !== 'output')
    .map((name) => {
      const choices = options.choices[name];
      return {
        name,
        letters: letters(options.alias[name] ?? []),
        describe: (told[name] ?? '').replace('__yargsString__:', ''),
        positional: positional.has(name),
        takes: options.boolean.includes(name)
          ? 'nothing'
          : choices !== undefined
            ? 'choice'
            : options.number.includes(name)
              ? 'number'
              : 'text',
        choices: choices ?? [],
        required: name in demanded,
        default: options.default[name],
      };
    });
}
