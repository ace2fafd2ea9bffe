/**
 * The inputs that fuzzing begins with, as the repository holds them: one text file a target, one input a line, in base64. A thousand
 * files of a few bytes cost git and the disk ten times what is in them, and lines can be compared and merged.
 *
 *     [regression-NAME ]BASE64
 *
 * A line with a name is a finding of old and stays. Findings come first, then the others, the short ones before the long ones, none
 * twice: the same inputs make the same file, and a file that is not the one its inputs make is refused.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const REGRESSION = 'regression-';

/** Inputs by the names that libFuzzer gives them: the SHA-1 of what is in them, or that of the finding. */
export type Inputs = ReadonlyMap<string, Buffer>;

const isFinding = (name: string): boolean => name.startsWith(REGRESSION);
const ascending = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** The file that holds these inputs. */
export function pack(inputs: Inputs): string {
  const findings = [...inputs]
    .filter(([name]) => isFinding(name))
    .map(([name, bytes]) => `${name} ${bytes.toString('base64')}`)
    .sort(ascending);
  const others = [
    ...new Set([...inputs].filter(([name]) => !isFinding(name)).map(([, bytes]) => bytes.toString('base64'))),
  ];
  others.sort((a, b) => a.length - b.length || ascending(a, b));
  return [...findings, ...others].map((line) => `${line}\n`).join('');
}

/** The inputs of a file; `path` is for the complaint. */
export function unpack(text: string, path: string): Inputs {
  const inputs = new Map<string, Buffer>();
  for (const line of text.split('\n').slice(0, -1)) {
    const [encoded = '', name] = line.split(' ').reverse();
    const bytes = Buffer.from(encoded, 'base64');
    inputs.set(name ?? createHash('sha1').update(bytes).digest('hex'), bytes);
  }
  if (pack(inputs) !== text) {
    throw new Error(
      `${path} is not what its inputs make (order, doubles, base64); 'make fuzz' with --keep writes it anew`,
    );
  }
  return inputs;
}

export function readCorpus(path: string): Inputs {
  return existsSync(path) ? unpack(readFileSync(path, 'utf8'), path) : new Map();
}

/** Makes `directory` hold these inputs and nothing else, as libFuzzer reads them. */
export function lay(inputs: Inputs, directory: string): string {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const [name, bytes] of inputs) writeFileSync(join(directory, name), bytes);
  return directory;
}

export function pickUp(directory: string): Inputs {
  return new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))]));
}
