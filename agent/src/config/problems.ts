/** Turns what zod found into sentences: the key, the value (never a secret's), what is allowed. */

import type { z } from 'zod';
import { type Leaf, leafOf, shapeOf } from './leaf.ts';

/** The node file, or a file it names, cannot be used. Nothing has been started; the command exits with 2. */
export class ConfigError extends Error {
  readonly file: string;
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super(problems.map((p) => `${file}: ${p}`).join('\n'));
    this.name = 'ConfigError';
    this.file = file;
    this.problems = problems;
  }
}

const VALUE_MAX = 60;

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= VALUE_MAX ? text : `${text.slice(0, VALUE_MAX)}...`;
}

/** `signalling.password`, `ice.stun[0]`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
    root,
  );
}

/** The innermost described schema on the way to `path`: an element of a list is described by its list. */
function describe(
  schema: z.ZodType,
  path: readonly PropertyKey[],
): { about: Leaf | undefined; shape: Readonly<Record<string, z.ZodType>> } {
  let about = leafOf(schema);
  let here: z.ZodType | undefined = schema;
  for (const part of path) {
    const shape: Readonly<Record<string, z.ZodType>> | undefined = here === undefined ? undefined : shapeOf(here);
    here = shape?.[String(part)];
    if (here === undefined) return { about, shape: {} };
    about = leafOf(here) ?? about;
  }
  return { about, shape: shapeOf(here as z.ZodType) ?? {} };
}

/** A key nobody knows may be a mistyped secret: its text is shown only where no secret belongs. */
function showUnknown(key: string, value: unknown, siblings: readonly (Leaf | undefined)[]): string {
  const mayBeSecret = siblings.some((s) => s?.secret) || /pass|secret|key|token|seed|cred|priv/i.test(key);
  const plain = typeof value === 'number' || typeof value === 'boolean' || value === null;
  return plain || !mayBeSecret ? ` (value ${show(value)})` : ' (value not shown, it may be a secret)';
}

function sentences(schema: z.ZodType, root: unknown, issue: z.core.$ZodIssue): string[] {
  const at = pathText(issue.path);
  const { about, shape } = describe(schema, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const object = valueAt(root, issue.path);
    const keys = Object.keys(shape);
    const siblings = Object.values(shape).map(leafOf);
    return issue.keys.map((key) => {
      const name = pathText([...issue.path, key]);
      const allowed = keys.length > 0 ? keys.join(', ') : (about?.allowed ?? 'no other key');
      const value = about?.secret ? '' : showUnknown(key, valueAt(object, [key]), siblings);
      return `${name}: unknown key${value}; allowed: ${allowed}`;
    });
  }
  const where = at === '' ? 'the file' : at;
  const allowed = about?.allowed ?? issue.message;
  const value = valueAt(root, issue.path);
  if (value === undefined) return [`${where}: missing; allowed: ${allowed}`];
  if (about?.secret) return [`${where}: the value (not shown, it is a secret) is not allowed; allowed: ${allowed}`];
  return [`${where}: ${show(value)} is not allowed; allowed: ${allowed}`];
}

/** Every problem of a value, in the order of the schema, none twice. */
export function problemsOf(schema: z.ZodType, root: unknown, error: z.ZodError): readonly string[] {
  return [...new Set(error.issues.flatMap((issue) => sentences(schema, root, issue)))];
}
