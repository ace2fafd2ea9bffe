/** A transaction while it is being written: the operations of RFC 7047 §5.2 for rows of our tables. */
import type { Json } from './json-rpc.ts';
import { mapOf, type Row } from './replica.ts';
import { columnsOf, type TableName } from './schema.ts';
import { type Atom, type ColumnType, type Datum, encodeDatum } from './value.ts';

export class Draft {
  readonly operations: Json[] = [];
  #names = 0;

  /** Gives the reference to the row that is to be. */
  insert(table: TableName, columns: Readonly<Record<string, Datum>>): string {
    const name = `row${++this.#names}`;
    this.operations.push({ op: 'insert', table, row: encodeRow(table, columns), 'uuid-name': name });
    return `@${name}`;
  }

  update(table: TableName, row: Row, columns: Readonly<Record<string, Datum>>): void {
    this.operations.push({ op: 'update', table, where: where(row), row: encodeRow(table, columns) });
  }

  /** Takes out of a set of references, or puts into one, whatever else others do to that set. */
  mutate(table: TableName, row: Row, column: string, mutator: 'insert' | 'delete', atoms: readonly Atom[]): void {
    if (atoms.length === 0) return;
    const mutation = [column, mutator, encodeDatum(typeOf(table, column), atoms)];
    this.operations.push({ op: 'mutate', table, where: where(row), mutations: [mutation] });
  }

  add(table: TableName, row: Row, column: string, amount: number): void {
    this.operations.push({ op: 'mutate', table, where: where(row), mutations: [[column, '+=', amount]] });
  }

  /** Keys of a map become these, all others stay. "insert" leaves a key alone that is there: the old ones go first (§5.1). */
  putKeys(table: TableName, row: Row, column: string, pairs: ReadonlyMap<string, string>): void {
    const present = mapOf(row, column);
    const old = [...pairs.keys()].filter((key) => present.has(key));
    this.deleteKeys(table, row, column, old);
    const mutation = [column, 'insert', encodeDatum(typeOf(table, column), pairs)];
    this.operations.push({ op: 'mutate', table, where: where(row), mutations: [mutation] });
  }

  deleteKeys(table: TableName, row: Row, column: string, keys: readonly string[]): void {
    if (keys.length === 0) return;
    const mutation = [column, 'delete', ['set', keys]];
    this.operations.push({ op: 'mutate', table, where: where(row), mutations: [mutation] });
  }

  /** Nothing of this happens if the row is gone by then. */
  onlyWith(table: TableName, row: Row, column: string): void {
    const value = { [column]: encodeDatum(typeOf(table, column), row.columns[column] ?? []) };
    const wait = { op: 'wait', timeout: 0, table, where: where(row), columns: [column], until: '==', rows: [value] };
    this.operations.unshift(wait);
  }

  /** Shown by `ovsdb-tool show-log`: who looks for the origin of a change finds it. */
  comment(text: string): void {
    this.operations.push({ op: 'comment', comment: text });
  }
}

function where(row: Row): Json {
  return [['_uuid', '==', ['uuid', row.uuid]]];
}

function typeOf(table: TableName, column: string): ColumnType {
  const type = columnsOf(table)[column];
  if (type === undefined) throw new Error(`no column ${table}.${column}`);
  return type;
}

function encodeRow(table: TableName, columns: Readonly<Record<string, Datum>>): Json {
  return Object.fromEntries(
    Object.entries(columns).map(([column, datum]) => [column, encodeDatum(typeOf(table, column), datum)]),
  );
}
