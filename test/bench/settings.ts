/** What the environment may say about a run. */

export function refuse(line: string): never {
  process.stderr.write(`evio: ${line}\n`);
  process.exit(2);
}

function number(name: string, otherwise: number): number {
  const text = process.env[name];
  const value = text === undefined || text === '' ? otherwise : Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1000)
    refuse(`${name}=${text} is not allowed; allowed: a whole number from 1 to 1000`);
  return value;
}

export const fromEnvironment = (): { readonly rounds: number; readonly seconds: number } => ({
  rounds: number('ROUNDS', 5),
  seconds: number('SECONDS_EACH', 4),
});

/** Words that the environment has by that name, apart by commas, each one of the `allowed`; all of these when it has none. */
export function listed(name: string, allowed: readonly string[]): readonly string[] {
  const words = (process.env[name] ?? '').split(',').filter(Boolean);
  const unknown = words.filter((word) => !allowed.includes(word));
  if (unknown.length > 0) refuse(`${name}=${unknown.join(',')} is not allowed; allowed: ${allowed.join(', ')}`);
  return words.length === 0 ? allowed : words;
}
