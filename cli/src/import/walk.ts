/** Goes through an old configuration beside the table of its keys: what was found, and what there is to say of it. Pure. */

import { isObject, type Json } from '../../../agent/src/config/original.ts';
import { OLD_KEYS, type OldKey } from './keys.ts';

export interface Note {
  /** As it stands in the old file: `Signal.Overlays.101000F.Port`. */
  readonly key: string;
  /** What it was for. */
  readonly was: string;
  /** What to do now. */
  readonly now: string;
}

export interface Found {
  readonly path: string;
  readonly value: unknown;
}

export interface Walked {
  /** By the path of the table. */
  readonly values: ReadonlyMap<string, Found>;
  readonly notes: readonly Note[];
  /** Values that cannot be what they have to be. */
  readonly problems: readonly string[];
}

interface Branch {
  key: OldKey | undefined;
  readonly below: Map<string, Branch>;
}

const ROOT: Branch = { key: undefined, below: new Map() };
for (const key of OLD_KEYS) {
  let at = ROOT;
  for (const part of key.path.split('.')) {
    const next = at.below.get(part) ?? { key: undefined, below: new Map() };
    at.below.set(part, next);
    at = next;
  }
  at.key = key;
}

const PART_MAX = 60;

/** A part of a path on one line, whatever somebody has written for a key. */
function part(name: string): string {
  if (/^[A-Za-z0-9_-]{1,60}$/.test(name)) return name;
  const text = JSON.stringify(name).replace(/[\u007f-\uffff]/g, '?');
  return text.length <= PART_MAX ? text : `${text.slice(0, PART_MAX)}..."`;
}

export const join = (path: string, name: string): string => (path === '' ? part(name) : `${path}.${part(name)}`);

/** What a value is; never the value, which may be a password at the wrong place. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return (
    { object: 'an object', string: 'a text', number: 'a number', boolean: 'true or false' }[typeof value as string] ??
    'nothing'
  );
}

/** `overlays`: all that the file names; the keys of those that are not `chosen` are passed over. */
export function walk(root: Json, chosen: string, overlays: readonly string[]): Walked {
  const values = new Map<string, Found>();
  const notes: Note[] = [];
  const problems: string[] = [];

  const take = (key: OldKey, path: string, value: unknown): void => {
    if (!key.path.endsWith('*')) values.set(key.path, { path, value });
    if (key.now === undefined || key.harmless?.(value)) return;
    notes.push({ key: path, was: key.was, now: key.now });
  };

  const enter = (value: unknown, branch: Branch, path: string): void => {
    if (!isObject(value)) {
      problems.push(`${path}: ${kindOf(value)} is not allowed; allowed: an object`);
      return;
    }
    for (const [name, below] of Object.entries(value)) {
      const here = join(path, name);
      const wild = branch.below.get('*');
      if (wild !== undefined && wild.key === undefined && name !== chosen) {
        if (!overlays.includes(name))
          notes.push({ key: here, was: 'an overlay that the list of overlays does not name', now: 'leave it out' });
        continue;
      }
      const next = wild ?? branch.below.get(name);
      if (next === undefined)
        notes.push({
          key: here,
          was: 'not a key of the original',
          now: 'leave it out, or look for the right spelling',
        });
      else if (next.key !== undefined) take(next.key, here, below);
      else enter(below, next, here);
    }
  };
  enter(root, ROOT, '');
  return { values, notes, problems };
}
