/**
 * Values of columns (RFC 7047 §5.1). A scalar is a set of exactly one atom, so there are two shapes only: set and map. Which JSON
 * belongs to an atom follows from the column's type; an atom of type uuid that begins with "@" is the name of a row that the same
 * transaction inserts, as with ovs-vsctl.
 */
import { DecodeError } from '../wire/reader.ts';
import { isList, type Json } from './json-rpc.ts';

export type Atom = string | number | boolean;
export type AtomicType = 'string' | 'integer' | 'real' | 'boolean' | 'uuid';
export type Datum = readonly Atom[] | ReadonlyMap<Atom, Atom>;

export interface ColumnType {
  readonly key: AtomicType;
  /** Of maps. */
  readonly value?: AtomicType;
  /** Of a map or set with `many` any number. */
  readonly count: 'one' | 'optional' | 'many';
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function decodeDatum(type: ColumnType, json: Json): Datum {
  if (type.value !== undefined) return new Map(tagged(json, 'map').map((pair) => decodePair(type, pair)));
  const atoms = isList(json) && json[0] === 'set' ? tagged(json, 'set') : [json];
  return atoms.map((atom) => decodeAtom(type.key, atom)).sort(ascending);
}

export function encodeDatum(type: ColumnType, datum: Datum): Json {
  if (isMap(datum)) {
    const value = type.value ?? type.key;
    return ['map', [...datum].map(([k, v]) => [encodeAtom(type.key, k), encodeAtom(value, v)])];
  }
  const [only] = datum;
  if (datum.length === 1 && only !== undefined) return encodeAtom(type.key, only);
  return ['set', datum.map((atom) => encodeAtom(type.key, atom))];
}

/**
 * The value that a "modify" of `update2` leads to (ovsdb-server(7) §4.1.14): with one value at most it is the new one; of a set it
 * names what came or went, of a map what came, went or got another value.
 */
export function applyDifference(type: ColumnType, old: Datum, difference: Datum): Datum {
  if (isMap(difference)) {
    const map = new Map(isMap(old) ? old : []);
    for (const [key, value] of difference) {
      if (map.get(key) === value) map.delete(key);
      else map.set(key, value);
    }
    return map;
  }
  if (type.count !== 'many' || isMap(old)) return difference;
  const [before, change] = [new Set(old), new Set(difference)];
  return [...old.filter((atom) => !change.has(atom)), ...difference.filter((atom) => !before.has(atom))].sort(
    ascending,
  );
}

export function sameDatum(a: Datum, b: Datum): boolean {
  if (isMap(a) || isMap(b))
    return isMap(a) && isMap(b) && a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
  const sorted = b.toSorted(ascending);
  return a.length === b.length && a.toSorted(ascending).every((atom, i) => atom === sorted[i]);
}

/** What a column holds of which nothing was said (RFC 7047 §5.2.1). */
export function defaultOf(type: ColumnType): Datum {
  if (type.value !== undefined) return new Map();
  return type.count === 'one' ? [DEFAULTS[type.key]] : [];
}

const DEFAULTS: Readonly<Record<AtomicType, Atom>> = {
  string: '',
  integer: 0,
  real: 0,
  boolean: false,
  uuid: '00000000-0000-0000-0000-000000000000',
};

export function isMap(datum: Datum): datum is ReadonlyMap<Atom, Atom> {
  return datum instanceof Map;
}

function decodePair(type: ColumnType, json: Json): readonly [Atom, Atom] {
  if (!isList(json) || json.length !== 2) throw new DecodeError('a map of something else than pairs');
  return [decodeAtom(type.key, json[0] ?? null), decodeAtom(type.value ?? type.key, json[1] ?? null)];
}

function decodeAtom(type: AtomicType, json: Json): Atom {
  switch (type) {
    case 'string':
      if (typeof json === 'string') return json;
      break;
    case 'boolean':
      if (typeof json === 'boolean') return json;
      break;
    case 'integer':
      if (Number.isInteger(json)) return Number(json);
      break;
    case 'real':
      if (typeof json === 'number') return json;
      break;
    case 'uuid': {
      const [tag, uuid] = isList(json) ? json : [];
      if (tag === 'uuid' && typeof uuid === 'string' && UUID.test(uuid)) return uuid;
    }
  }
  throw new DecodeError(`${JSON.stringify(json).slice(0, 60)} is no ${type}`);
}

function encodeAtom(type: AtomicType, atom: Atom): Json {
  if (type !== 'uuid') return atom;
  const text = String(atom);
  return text.startsWith('@') ? ['named-uuid', text.slice(1)] : ['uuid', text];
}

function tagged(json: Json, tag: 'set' | 'map'): readonly Json[] {
  if (isList(json) && json.length === 2 && json[0] === tag && isList(json[1])) return json[1];
  throw new DecodeError(`${JSON.stringify(json).slice(0, 60)} is no ${tag}`);
}

function ascending(a: Atom, b: Atom): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
